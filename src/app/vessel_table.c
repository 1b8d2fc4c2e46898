#include "vessel_table.h"

#include <math.h>
#include <string.h>

#include "fovea/base/csv.h"
#include "fovea/base/file.h"
#include "fovea/base/text.h"
#include "json_file.h"

#define MAX_COLUMNS 40

typedef struct column {
    const char *name;
    double value; /* NAN: not known */
} column;

static double as_um(const fv_vessels *v, double px) {
    return v->scale.source == FV_SCALE_NONE ? NAN : px * v->scale.um_per_px;
}

/* In the order of the table. */
static int columns_of(const fv_vessels *v, column columns[MAX_COLUMNS]) {
    const column all[] = {
        {"vessel_area_px", (double)v->vessel_area_px},
        {"region_area_px", (double)v->region_area_px},
        {"density_ratio", v->density_ratio},
        {"disc_diameter_px", v->disc_diameter_px},
        {"zone_b_density_ratio", v->zone_b.density_ratio},
        {"zone_b_in_field_ratio", v->zone_b.in_field_ratio},
        {"zone_c_density_ratio", v->zone_c.density_ratio},
        {"zone_c_in_field_ratio", v->zone_c.in_field_ratio},
        {"length_px", v->length_px},
        {"length_density_per_px", v->length_density_per_px},
        {"segments", (double)v->segments},
        {"branch_points", (double)v->branch_points},
        {"crossings", (double)v->crossings},
        {"end_points", (double)v->end_points},
        {"mean_width_px", v->mean_width_px},
        {"width_p10_px", v->width_p10_px},
        {"width_median_px", v->width_median_px},
        {"width_p90_px", v->width_p90_px},
        {"um_per_px", v->scale.source == FV_SCALE_NONE ? NAN : v->scale.um_per_px},
        {"length_um", as_um(v, v->length_px)},
        {"length_density_per_mm", 1000 * v->length_density_per_px / as_um(v, 1)},
        {"mean_width_um", as_um(v, v->mean_width_px)},
        {"width_p10_um", as_um(v, v->width_p10_px)},
        {"width_median_um", as_um(v, v->width_median_px)},
        {"width_p90_um", as_um(v, v->width_p90_px)},
        {"experimental_tortuosity_arc_chord", v->tortuosity_arc_chord},
        {"experimental_tortuosity_curvature", v->tortuosity_curvature},
        {"experimental_fractal_dimension", v->fractal_dimension},
        {"experimental_fractal_r2", v->fractal_r2},
    };
    _Static_assert(sizeof all <= MAX_COLUMNS * sizeof *all, "more columns than MAX_COLUMNS");
    memcpy(columns, all, sizeof all);
    return (int)(sizeof all / sizeof *all);
}

void vessel_table_header(FILE *stream) {
    const fv_vessels none = {0};
    column columns[MAX_COLUMNS];
    const int count = columns_of(&none, columns);
    fputs("name,width_px,height_px,", stream);
    for (int i = 0; i < count; i++) fv_csv_write_cell(stream, columns[i].name, ',');
    fputs("scale_source,notice\n", stream);
}

void vessel_table_row(FILE *stream, const vessel_row *row) {
    char text[256];
    column columns[MAX_COLUMNS];
    const int count = columns_of(&row->vessels, columns);
    fv_text_clean(row->stem, text, sizeof text);
    fv_csv_write_cell(stream, text, ',');
    fprintf(stream, "%d,%d,", row->width, row->height);
    for (int i = 0; i < count; i++) {
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
    column columns[MAX_COLUMNS];
    const int count = columns_of(v, columns);
    for (int i = 0; i < count; i++) {
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
