#include "prediction.h"

#include <cjson/cJSON.h>
#include <math.h>

#include "fovea/base/file.h"
#include "fovea/base/text.h"
#include "fovea/base/version.h"
#include "vessel_table.h"

static void put(cJSON *object, const char *name, double value) {
    if (isfinite(value))
        cJSON_AddNumberToObject(object, name, round(value * 1e4) / 1e4);
    else
        cJSON_AddNullToObject(object, name);
}

static void put_extent(cJSON *root, const char *name, int height, int width, int64_t area) {
    cJSON *item = cJSON_AddObjectToObject(root, name);
    put(item, "height_px", height);
    put(item, "width_px", width);
    put(item, "area_px", (double)area);
}

static void put_cdr(cJSON *root, const fv_cdr *cdr) {
    put(root, "vcdr", cdr->vcdr);
    put(root, "hcdr", cdr->hcdr);
    put(root, "area_cdr", cdr->area_cdr);
    put(root, "vcdr_refuge", cdr->vcdr_refuge);
    put_extent(root, "disc", cdr->disc_height_px, cdr->disc_width_px, cdr->disc_area_px);
    put_extent(root, "cup", cdr->cup_height_px, cdr->cup_width_px, cdr->cup_area_px);
    cJSON *center = cJSON_AddObjectToObject(root, "disc_center");
    put(center, "x_px", cdr->disc_found ? cdr->disc_center_x_px : NAN);
    put(center, "y_px", cdr->disc_found ? cdr->disc_center_y_px : NAN);
}

static void put_times(cJSON *root, const stage_times *times) {
    cJSON *item = cJSON_AddObjectToObject(root, "times_ms");
    for (int i = 0; i < STAGE_COUNT; i++) put(item, stage_names[i], times->ms[i]);
    put(item, "total", stage_total_ms(times));
}

char *prediction_json(const prediction *p, bool with_times) {
    char photo[FV_PATH_MAX];
    const fv_analysis *found = p->found;
    fv_text_clean(p->path, photo, sizeof photo); /* a file's name may hold any bytes, JSON is UTF-8 */
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "photo", photo);
    put(root, "width_px", found->width);
    put(root, "height_px", found->height);
    if (found->has_cdr) put_cdr(root, &found->cdr);
    if (found->has_vessels) vessel_json(cJSON_AddObjectToObject(root, "vessels"), &found->vessels);
    cJSON *share = cJSON_AddObjectToObject(root, "share_of_photo");
    for (int c = 0; c < found->spec.classes; c++)
        put(share, found->spec.class_names[c], fv_analysis_measure(found, found->share_names[c]));
    if (with_times) put_times(root, &p->times);
    cJSON_AddStringToObject(root, "network", found->spec.network);
    cJSON_AddStringToObject(root, "fovea", fv_version());
    cJSON_AddStringToObject(root, "notice",
                            "Research software, not a medical device; have a qualified clinician judge the eye.");
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    return text;
}
