/* Expert masks of DRIVE, CHASE_DB1 and HRF against a stored table (tests/golden/make_vessels_golden.py): what this
   program measured when the table was made, and what scikit-image's skeletons measure. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "data_samples.h"
#include "fovea/base/csv.h"
#include "fovea/base/file.h"
#include "fovea/clinical/skeleton.h"
#include "fovea/clinical/vessels.h"
#include "fovea/image/image_file.h"
#include "fovea/image/mask.h"

static bool read_mask(const char *set, const char *kind, const char *name, fv_image *mask) {
    char path[FV_PATH_MAX];
    fv_image image;
    snprintf(path, sizeof path, "%s/%s/%s/%s.png", sample_real_data(), set, kind, name);
    if (!fv_file_exists(path)) return false;
    if (fv_image_read(path, 1, &image) != FV_OK) fail_msg("%s", fv_error());
    assert_int_equal(fv_mask_from_image(&image, 127, mask), FV_OK);
    fv_image_free(&image);
    return true;
}

static double cell(const fv_csv *table, int row, const char *column) {
    return atof(fv_csv_cell(table, row, fv_csv_column(table, column)));
}

static bool is_set(const fv_image *image, int x, int y) {
    return x >= 0 && y >= 0 && x < image->width && y < image->height && image->data[y * image->width + x];
}

/* Steps of 1 and sqrt 2, as the script counts scikit-image's. */
static double length_of(const fv_image *s) {
    double length = 0;
    for (int y = 0; y < s->height; y++)
        for (int x = 0; x < s->width; x++) {
            if (!is_set(s, x, y)) continue;
            const bool right = is_set(s, x + 1, y), left = is_set(s, x - 1, y), down = is_set(s, x, y + 1);
            length += right + down;
            if (!down && !right && is_set(s, x + 1, y + 1)) length += M_SQRT2;
            if (!down && !left && is_set(s, x - 1, y + 1)) length += M_SQRT2;
        }
    return length;
}

static int count_components(const fv_image *skeleton) {
    int count = 0;
    fv_image left, one;
    assert_int_equal(fv_image_copy(skeleton, &left), FV_OK);
    for (; fv_mask_count(&left) > 0; count++) {
        assert_int_equal(fv_image_copy(&left, &one), FV_OK);
        assert_int_equal(fv_mask_keep_largest(&one), FV_OK);
        for (int i = 0; i < left.width * left.height; i++)
            if (one.data[i]) left.data[i] = 0;
        fv_image_free(&one);
    }
    fv_image_free(&left);
    return count;
}

static void expect_near(const fv_csv *table, int row, const char *column, double value, double share) {
    const double stored = cell(table, row, column);
    if (!(fabs(value - stored) <= share * fabs(stored)))
        fail_msg("%s, %s: %.9g, stored %.9g", fv_csv_cell(table, row, 1), column, value, stored);
}

static void expect_stored(const fv_csv *table, int row, const fv_vessels *v) {
    expect_near(table, row, "density_ratio", v->density_ratio, 1e-6);
    expect_near(table, row, "length_px", v->length_px, 0.002);
    expect_near(table, row, "segments", (double)v->segments, 0.02);
    expect_near(table, row, "branch_points", (double)v->branch_points, 0.02);
    expect_near(table, row, "crossings", (double)v->crossings, 0.02);
    expect_near(table, row, "end_points", (double)v->end_points, 0.02);
    expect_near(table, row, "mean_width_px", v->mean_width_px, 0.002);
    expect_near(table, row, "width_p10_px", v->width_p10_px, 0.005);
    expect_near(table, row, "width_median_px", v->width_median_px, 0.005);
    expect_near(table, row, "width_p90_px", v->width_p90_px, 0.005);
    expect_near(table, row, "experimental_tortuosity_arc_chord", v->tortuosity_arc_chord, 0.005);
    expect_near(table, row, "experimental_tortuosity_curvature", v->tortuosity_curvature, 0.02);
    expect_near(table, row, "experimental_fractal_dimension", v->fractal_dimension, 0.002);
    expect_near(table, row, "experimental_fractal_r2", v->fractal_r2, 0.002);
}

/* Some masks have hundreds of crumbs; counting them one by one takes long. */
static void expect_like_skimage(const fv_csv *table, int row, const fv_image *mask) {
    fv_image skeleton;
    assert_int_equal(fv_skeleton_make(mask, &skeleton), FV_OK);
    expect_near(table, row, "skimage_length_px", length_of(&skeleton), 0.02);
    if (cell(table, row, "skimage_components") < 50)
        assert_int_equal(count_components(&skeleton), (int)cell(table, row, "skimage_components"));
    fv_image_free(&skeleton);
}

static void expert_masks(void **state) {
    (void)state;
    fv_csv table;
    int checked = 0;
    if (fv_csv_read("tests/golden/vessels.csv", FV_CSV_LIMITS, &table) != FV_OK) fail_msg("%s", fv_error());
    for (int row = 0; row < table.rows; row++) {
        const char *set = fv_csv_cell(&table, row, 0), *name = fv_csv_cell(&table, row, 1);
        fv_image mask, field;
        fv_vessels v;
        if (!read_mask(set, "bv", name, &mask)) continue;
        const bool has_field = read_mask(set, "fov", name, &field);
        if (fv_vessels_measure(&mask, has_field ? &field : NULL, NULL, FV_SCALE_UNKNOWN, &v, NULL) != FV_OK)
            fail_msg("%s", fv_error());
        expect_stored(&table, row, &v);
        expect_like_skimage(&table, row, &mask);
        if (has_field) fv_image_free(&field);
        fv_image_free(&mask);
        checked++;
    }
    const int rows = table.rows;
    fv_csv_free(&table);
    if (checked == 0) {
        printf("skip: no vessel masks below %s\n", sample_real_data());
        skip();
    }
    assert_int_equal(checked, rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(expert_masks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
