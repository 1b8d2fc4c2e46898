#include "vessel_table.h"

#include <math.h>

#include "fovea/base/csv.h"
#include "fovea/base/file.h"
#include "fovea/base/text.h"
#include "fovea/clinical/measures.h"
#include "json_file.h"

void vessel_table_header(FILE *stream) {
    const fv_vessels none = {0};
    fv_measure columns[FV_VESSEL_MEASURES];
    fv_vessels_list(&none, columns);
    fputs("name,width_px,height_px,", stream);
    for (int i = 0; i < FV_VESSEL_MEASURES; i++) fv_csv_write_cell(stream, columns[i].name, ',');
    fputs("scale_source,notice\n", stream);
}

void vessel_table_row(FILE *stream, const vessel_row *row) {
    char text[256];
    fv_measure columns[FV_VESSEL_MEASURES];
    fv_vessels_list(&row->vessels, columns);
    fv_text_clean(row->stem, text, sizeof text);
    fv_csv_write_cell(stream, text, ',');
    fprintf(stream, "%d,%d,", row->width, row->height);
    for (int i = 0; i < FV_VESSEL_MEASURES; i++) {
        snprintf(text, sizeof text, "%.9g", columns[i].value);
        fv_csv_write_cell(stream, isfinite(columns[i].value) ? text : "", ',');
    }
    fv_csv_write_cell(stream, fv_scale_source_names[row->vessels.scale.source], ',');
    fv_csv_write_cell(stream, RESEARCH_NOTICE, '\n');
}

static void write_all(FILE *stream, const vessel_row *rows, int count) {
    vessel_table_header(stream);
    for (int i = 0; i < count; i++) vessel_table_row(stream, &rows[i]);
}

fv_status vessel_table_write(const char *path, const vessel_row *rows, int count) {
    fv_file file;
    if (json_to_stdout(path)) {
        write_all(stdout, rows, count);
        return FV_OK;
    }
    FV_TRY(fv_file_begin(&file, path));
    write_all(file.stream, rows, count);
    return fv_file_commit(&file);
}

static void put_zone_reason(cJSON *object, const char *name, const fv_vessel_zone *zone, bool disc_known) {
    if (!isnan(zone->density_ratio)) return;
    cJSON_AddStringToObject(object, name,
                            disc_known ? "less than half of the ring lies in the field of view" : "no disc is known");
}

void vessel_json(cJSON *object, const fv_vessels *v) {
    fv_measure columns[FV_VESSEL_MEASURES];
    fv_vessels_list(v, columns);
    for (int i = 0; i < FV_VESSEL_MEASURES; i++) {
        char text[32];
        snprintf(text, sizeof text, "%.9g", columns[i].value);
        if (isfinite(columns[i].value))
            cJSON_AddRawToObject(object, columns[i].name, text);
        else
            cJSON_AddNullToObject(object, columns[i].name);
    }
    const bool disc_known = !isnan(v->disc_diameter_px);
    put_zone_reason(object, "zone_b_reason", &v->zone_b, disc_known);
    put_zone_reason(object, "zone_c_reason", &v->zone_c, disc_known);
    cJSON_AddStringToObject(object, "scale_source", fv_scale_source_names[v->scale.source]);
}
