#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "fovea/base/file.h"
#include "fovea/base/log.h"
#include "fovea/base/memory.h"
#include "fovea/base/text.h"
#include "fovea/base/version.h"
#include "fovea/image/image_file.h"
#include "fovea/image/mask.h"
#include "fovea/report/vessels.h"
#include "json_file.h"
#include "options.h"
#include "photo_list.h"
#include "vessel_table.h"

/* Masks that belong to those measured: one for all, or a folder of masks with the same names. */
typedef struct companions {
    const char *option, *word; /* "fov", what it was given; NULL for nothing */
    photo_list list;           /* of a folder, else empty */
} companions;

typedef struct session {
    companions fields, discs;
    const char *out, *csv, *json;
    double um_per_px, degrees, axial_length_mm; /* NAN where not given */
    vessel_row *rows;                           /* one for each mask measured so far */
    int count;
} session;

/* The masks of one photograph. */
typedef struct mask_set {
    fv_image vessels, field, disc; /* zeroed where there is none */
} mask_set;

/* A mask of 0 and 1 is meant as much as one of 0 and 255. */
static fv_status read_mask(const char *path, fv_image *mask) {
    fv_image image;
    FV_TRY(fv_image_read(path, 0, &image));
    uint8_t brightest = 0;
    const size_t pixels = (size_t)image.width * (size_t)image.height, channels = (size_t)image.channels;
    for (size_t i = 0; i < pixels; i++) {
        const uint8_t level = fv_mask_level(image.data + i * channels, image.channels);
        if (level > brightest) brightest = level;
    }
    const fv_status status = fv_mask_from_image(&image, brightest == 1 ? 0 : 127, mask);
    fv_image_free(&image);
    return status;
}

static fv_status find_companions(companions *masks) {
    if (!masks->word || !fv_folder_exists(masks->word)) return FV_OK;
    return photo_list_make((char *const[]){(char *)(uintptr_t)masks->word}, 1, &masks->list);
}

static fv_status read_companion(const companions *masks, const char *stem, const char *photo, const fv_image *vessels,
                                fv_image *mask) {
    if (!masks->word) return FV_OK;
    const char *path = masks->list.count > 0 ? photo_list_find(&masks->list, stem) : masks->word;
    if (!path)
        return fv_fail(FV_BAD_INPUT, "--%s %s: the folder has no mask named %s; masks of one photograph need one name",
                       masks->option, masks->word, stem);
    FV_TRY(read_mask(path, mask));
    if (mask->width == vessels->width && mask->height == vessels->height) return FV_OK;
    return fv_fail(FV_BAD_INPUT, "%s is %d x %d px, %s %d x %d px; masks of one photograph must have its size", path,
                   mask->width, mask->height, photo, vessels->width, vessels->height);
}

static fv_status find_scale(const session *run, const fv_image *field, fv_scale *scale) {
    *scale = FV_SCALE_UNKNOWN;
    if (!isnan(run->um_per_px)) *scale = (fv_scale){run->um_per_px, FV_SCALE_USER};
    if (isnan(run->degrees)) return FV_OK;
    return fv_scale_from_field_mask(run->degrees, run->axial_length_mm, field, scale);
}

static fv_status draw(const session *run, const vessel_row *row, const fv_image *mask, const fv_vessel_map *map) {
    char name[320], path[FV_PATH_MAX];
    if (run->out == NULL) return FV_OK;
    snprintf(name, sizeof name, "%s_measures.png", row->stem);
    FV_TRY(fv_path_join(path, run->out, name));
    return fv_report_vessels(path, row->stem, mask, &row->vessels, map);
}

static fv_status measure_masks(const session *run, const char *path, mask_set *masks, vessel_row *row) {
    fv_scale scale;
    fv_vessel_map map = {0};
    FV_TRY(read_mask(path, &masks->vessels));
    FV_TRY(read_companion(&run->fields, row->stem, path, &masks->vessels, &masks->field));
    FV_TRY(read_companion(&run->discs, row->stem, path, &masks->vessels, &masks->disc));
    FV_TRY(find_scale(run, &masks->field, &scale));
    row->width = masks->vessels.width;
    row->height = masks->vessels.height;
    const fv_vessel_disc disc = {.mask = &masks->disc};
    fv_status status = fv_vessels_measure(&masks->vessels, run->fields.word ? &masks->field : NULL,
                                          run->discs.word ? &disc : NULL, scale, &row->vessels, &map);
    if (status == FV_OK) status = draw(run, row, &masks->vessels, &map);
    fv_vessel_map_free(&map);
    return status;
}

static fv_status measure_photo(session *run, const char *path) {
    mask_set masks = {0};
    vessel_row *row = &run->rows[run->count];
    *row = (vessel_row){0};
    fv_path_stem(path, row->stem, sizeof row->stem);
    const fv_status status = fv_fail_about(measure_masks(run, path, &masks, row), path);
    fv_image_free(&masks.vessels);
    fv_image_free(&masks.field);
    fv_image_free(&masks.disc);
    if (status != FV_OK) return status;
    fv_log_info("%s: density %.2f %%, length %.0f px, %lld branchings", path, 100 * row->vessels.density_ratio,
                row->vessels.length_px, (long long)row->vessels.branch_points);
    run->count++;
    return FV_OK;
}

/* ---- results ---- */

static char *rows_json(const session *run) {
    cJSON *root = cJSON_CreateObject(), *photos = cJSON_AddArrayToObject(root, "photographs");
    for (int i = 0; i < run->count; i++) {
        char name[256];
        cJSON *item = cJSON_CreateObject();
        fv_text_clean(run->rows[i].stem, name, sizeof name);
        cJSON_AddStringToObject(item, "name", name);
        cJSON_AddNumberToObject(item, "width_px", run->rows[i].width);
        cJSON_AddNumberToObject(item, "height_px", run->rows[i].height);
        vessel_json(item, &run->rows[i].vessels);
        cJSON_AddItemToArray(photos, item);
    }
    cJSON_AddStringToObject(root, "fovea", fv_version());
    cJSON_AddStringToObject(root, "notice", RESEARCH_NOTICE);
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    return text;
}

static fv_status write_results(const session *run) {
    char path[FV_PATH_MAX];
    if (run->json) FV_TRY(json_write(rows_json(run), run->json));
    if (run->csv) return vessel_table_write(run->csv, run->rows, run->count);
    if (run->out) {
        FV_TRY(fv_path_join(path, run->out, "measures.csv"));
        return vessel_table_write(path, run->rows, run->count);
    }
    return run->json ? FV_OK : vessel_table_write("-", run->rows, run->count);
}

static fv_status measure_all(session *run, const photo_list *list) {
    fv_status worst = FV_OK;
    int failed = 0;
    for (int i = 0; i < list->count && !stop_requested() && worst != FV_NO_RESOURCE; i++) {
        const fv_status status = measure_photo(run, list->paths[i]);
        if (status != FV_OK && list->count > 1) fv_log_warning("%s", fv_error());
        failed += status != FV_OK;
        if (status > worst) worst = status;
    }
    if (run->count > 0) FV_TRY(write_results(run));
    if (stop_requested()) return FV_INTERRUPTED;
    if (failed && list->count > 1)
        return fv_fail(worst, "%d of %d masks failed, see the warnings above", failed, list->count);
    return worst;
}

static fv_status check_options(const session *run, int word_count) {
    if (word_count < 1) return fv_fail(FV_BAD_INPUT, "give at least one mask or folder; see fovea measure --help");
    if (run->csv && run->json && strcmp(run->csv, "-") == 0 && strcmp(run->json, "-") == 0)
        return fv_fail(FV_BAD_INPUT, "--csv - and --json - both go to standard output; give one of them a file");
    if (!isnan(run->um_per_px) && !isnan(run->degrees))
        return fv_fail(FV_BAD_INPUT, "--um-per-px and --fov-degrees both say the scale; give one of them");
    if (!isnan(run->axial_length_mm) && isnan(run->degrees))
        return fv_fail(FV_BAD_INPUT, "--axial-length says the scale only together with --fov-degrees");
    if (!isnan(run->degrees) && !run->fields.word)
        return fv_fail(FV_BAD_INPUT, "--fov-degrees needs the field's width in pixels: give its mask with --fov");
    return FV_OK;
}

static fv_status measure(session *run, char *const *words, int word_count) {
    photo_list list;
    FV_TRY(photo_list_make(words, word_count, &list));
    fv_status status = find_companions(&run->fields);
    if (status == FV_OK) status = find_companions(&run->discs);
    if (status == FV_OK && run->out) status = photo_list_check_out(&list, run->out);
    if (status == FV_OK && run->out) status = fv_folder_make(run->out);
    if (status == FV_OK) {
        run->rows = fv_allocate((size_t)list.count, sizeof *run->rows, "the measures of all masks");
        status = run->rows ? measure_all(run, &list) : FV_NO_RESOURCE;
    }
    free(run->rows);
    photo_list_free(&run->fields.list);
    photo_list_free(&run->discs.list);
    photo_list_free(&list);
    return status;
}

fv_status command_measure(int argc, char **argv) {
    session run = {.fields = {.option = "fov"},
                   .discs = {.option = "disc"},
                   .um_per_px = NAN,
                   .degrees = NAN,
                   .axial_length_mm = NAN};
    bool done;
    char **words;
    int word_count;
    const option_spec options[] = {
        {"fov", OPTION_TEXT, &run.fields.word, "MASK|DIR", "field of view (default: the whole image)", 0, 0},
        {"disc", OPTION_TEXT, &run.discs.word, "MASK|DIR", "optic disc: not counted, and rings round it", 0, 0},
        {"um-per-px", OPTION_NUMBER, &run.um_per_px, "X", "scale, micrometres a pixel", 0, 1000},
        {"fov-degrees", OPTION_NUMBER, &run.degrees, "D", "scale by the camera's angle; needs --fov", 1, 60},
        {"axial-length", OPTION_NUMBER, &run.axial_length_mm, "MM", "of the eye, for --fov-degrees (else 24)", 15, 40},
        {"out", OPTION_TEXT, &run.out, "DIR", "<name>_measures.png and measures.csv", 0, 0},
        {"csv", OPTION_TEXT, &run.csv, "FILE", "table, - for standard output (the default)", 0, 0},
        {"json", OPTION_TEXT, &run.json, "FILE", "the same as JSON, - for standard output", 0, 0},
    };
    const command_line line = {
        "measure",
        "MASK|FOLDER... [options]",
        "Measures vessel masks (white on black): density, length, width, branchings, and as an experiment tortuosity "
        "and\nfractal dimension. In a folder of --fov or --disc the mask of the same name is taken.\n" RESEARCH_NOTICE,
        "  fovea measure vessels.png --fov field.png --out measures\n"
        "  fovea measure bv/ --fov fov/ --disc od/ --fov-degrees 45 --csv measures.csv --json measures.json",
        options,
        sizeof options / sizeof *options};
    FV_TRY(options_parse(&line, argc, argv, &words, &word_count, &done));
    if (done) return FV_OK;
    FV_TRY(check_options(&run, word_count));
    if (!isnan(run.um_per_px) && run.um_per_px <= 0)
        return fv_fail(FV_BAD_INPUT, "--um-per-px %g: must be above 0", run.um_per_px);
    stop_on_signals();
    return measure(&run, words, word_count);
}
