/* Vessel measures against shapes whose values are known by geometry. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fovea/base/rng.h"
#include "fovea/clinical/distance.h"
#include "fovea/clinical/fractal.h"
#include "fovea/clinical/vessels.h"
#include "vessel_shapes.h"

static fv_vessels measure(const fv_image *mask, const fv_image *field, const fv_vessel_disc *disc) {
    fv_vessels v;
    if (fv_vessels_measure(mask, field, disc, FV_SCALE_UNKNOWN, &v, NULL) != FV_OK) fail_msg("%s", fv_error());
    return v;
}

/* Every distance against all background pixels. */
static void exact_distances(void **state) {
    (void)state;
    enum { W = 31, H = 19 };
    fv_image mask;
    assert_int_equal(fv_image_make(W, H, 1, &mask), FV_OK);
    for (uint64_t seed = 0; seed < 5; seed++) {
        fv_rng rng = fv_rng_make(seed, 0, 0, FV_PURPOSE_TEST);
        float distance[W * H];
        for (int i = 0; i < W * H; i++) mask.data[i] = fv_rng_below(&rng, 40) > seed * seed;
        assert_int_equal(fv_distance_within(&mask, distance), FV_OK);
        for (int i = 0; i < W * H; i++) {
            double nearest = INFINITY;
            for (int j = 0; j < W * H; j++)
                if (mask.data[j] == 0) nearest = fmin(nearest, hypot(i % W - j % W, i / W - j / W));
            assert_true((double)distance[i] == nearest || fabs((double)distance[i] - nearest) < 1e-5);
        }
    }
    fv_image_free(&mask);
}

/* Along rows a bar's width is exact, odd or even; at angles a digital edge leaves half a pixel of doubt, and the
   diagonal of even widths, with its ridge between two skeleton pixels' rows, a pixel. */
static void widths_of_bars(void **state) {
    (void)state;
    for (int width = 1; width <= 12; width++) {
        fv_image mask = shape_blank(200);
        shape_bar(&mask, 20, 100, 180, 100, width);
        fv_vessels v = measure(&mask, NULL, NULL);
        assert_float_equal(v.width_median_px, width, 1e-6);
        assert_float_equal(v.mean_width_px, width, 0.05 * width);
        fv_image_free(&mask);
    }
    double bias = 0;
    int bars = 0;
    for (double width = 3; width <= 15; width += 1.5)
        for (int degrees = 5; degrees < 180; degrees += 10, bars++) {
            const double c = 80 * cos(degrees * M_PI / 180), s = 80 * sin(degrees * M_PI / 180);
            fv_image mask = shape_blank(200);
            shape_bar(&mask, 100 - c, 100 - s, 100 + c, 100 + s, width);
            const double error = measure(&mask, NULL, NULL).width_median_px - width;
            if (fabs(error) > (degrees % 90 == 45 ? 1.1 : 0.75))
                fail_msg("%g px at %d degrees: %g", width, degrees, error);
            bias += error;
            fv_image_free(&mask);
        }
    assert_float_equal(bias / bars, 0, 0.1);
}

static void width_of_discs(void **state) {
    (void)state;
    for (int radius = 5; radius <= 40; radius += 5) {
        fv_image mask = shape_blank(101);
        for (int i = 0; i < 101 * 101; i++) mask.data[i] = hypot(i % 101 - 50, i / 101 - 50) <= radius + 0.25;
        fv_vessel_map map;
        fv_vessels v;
        assert_int_equal(fv_vessels_measure(&mask, NULL, NULL, FV_SCALE_UNKNOWN, &v, &map), FV_OK);
        float widest = 0;
        for (size_t i = 0; i < map.count; i++) widest = fmaxf(widest, map.points[i].width_px);
        assert_float_equal(widest, 2 * radius + 0.5, 1.5);
        fv_vessel_map_free(&map);
        fv_image_free(&mask);
    }
}

static void lengths(void **state) {
    (void)state;
    fv_image mask = shape_blank(120);
    shape_bar(&mask, 10, 60, 110, 60, 1); /* 101 pixels */
    fv_vessels v = measure(&mask, NULL, NULL);
    assert_float_equal(v.length_px, 100, 1e-9);
    assert_int_equal(v.vessel_area_px, 101);
    assert_float_equal(v.density_ratio, 101.0 / (120 * 120), 1e-12);
    assert_float_equal(v.length_density_per_px, 100.0 / (120 * 120), 1e-12);
    fv_image_free(&mask);
    mask = shape_blank(120);
    for (int i = 10; i <= 110; i++) mask.data[i * 120 + i] = 255;
    assert_float_equal(measure(&mask, NULL, NULL).length_px, 100 * sqrt(2), 1e-9);
    fv_image_free(&mask);
}

static void expect_counts(const fv_image *mask, int segments, int branches, int crossings, int ends) {
    fv_vessels v = measure(mask, NULL, NULL);
    assert_int_equal(v.segments, segments);
    assert_int_equal(v.branch_points, branches);
    assert_int_equal(v.crossings, crossings);
    assert_int_equal(v.end_points, ends);
}

/* Lines, a Y, an X and a ring, from one pixel to thick ones. */
static void nodes(void **state) {
    (void)state;
    for (int width = 1; width <= 9; width += 2)
        for (int turn = 0; turn < 6; turn++) {
            const double angle = turn * 0.13;
            fv_image line = shape_blank(200), y = shape_blank(200), x = shape_blank(200), ring = shape_blank(200);
            for (int arm = 0; arm < 3; arm++) {
                const double a = angle + arm * 2 * M_PI / 3;
                shape_bar(&y, 100, 100, 100 + 80 * cos(a), 100 + 80 * sin(a), width + 0.5);
            }
            for (int arm = 0; arm < 2; arm++) {
                const double a = angle + arm * M_PI / 2.4, c = 80 * cos(a), s = 80 * sin(a);
                shape_bar(&x, 100 - c, 100 - s, 100 + c, 100 + s, width + 0.5);
                if (arm == 0) shape_bar(&line, 100 - c, 100 - s, 100 + c, 100 + s, width + 0.5);
            }
            shape_arc(&ring, 100, 100, 60, 0, 7, width + 0.5);
            expect_counts(&line, 1, 0, 0, 2);
            expect_counts(&y, 3, 1, 0, 3);
            expect_counts(&x, 4, 0, 1, 4);
            expect_counts(&ring, 1, 0, 0, 0);
            fv_image_free(&line);
            fv_image_free(&y);
            fv_image_free(&x);
            fv_image_free(&ring);
        }
}

/* Straight lines in any direction, half circles turned any way; the ends that are left out take a little of the half.
 */
static void tortuosity(void **state) {
    (void)state;
    double least = INFINITY, most = 0;
    for (int turn = 0; turn < 12; turn++) {
        const double angle = turn * 0.53, c = 90 * cos(angle), s = 90 * sin(angle);
        fv_image line = shape_blank(220), half = shape_blank(220);
        shape_bar(&line, 110 - c, 110 - s, 110 + c, 110 + s, 4);
        shape_arc(&half, 110, 110, 80, angle, M_PI, 4);
        fv_vessels straight = measure(&line, NULL, NULL), bent = measure(&half, NULL, NULL);
        assert_float_equal(straight.tortuosity_arc_chord, 1, 0.001);
        assert_true(straight.tortuosity_curvature < 2.5);
        assert_float_equal(bent.tortuosity_arc_chord, M_PI / 2, 0.09);
        assert_float_equal(bent.tortuosity_curvature, M_PI * M_PI, 0.8);
        least = fmin(least, bent.tortuosity_arc_chord), most = fmax(most, bent.tortuosity_arc_chord);
        fv_image_free(&line);
        fv_image_free(&half);
    }
    assert_true(most - least < 0.05);
    for (int length = 50; length <= 130;
         length += 10) { /* short against its width: an arc is no shorter than its chord */
        fv_image bar = shape_blank(200);
        shape_bar(&bar, 30, 40, 30 + length * 0.8, 40 + length * 0.6, 20);
        const double ratio = measure(&bar, NULL, NULL).tortuosity_arc_chord;
        assert_true(isnan(ratio) || (ratio > 1 - 1e-9 && ratio < 1.05));
        if (length >= 100) assert_false(isnan(ratio));
        fv_image_free(&bar);
    }
    fv_image dot = shape_blank(30);
    shape_bar(&dot, 10, 10, 17, 10, 1);
    assert_true(isnan(measure(&dot, NULL, NULL).tortuosity_arc_chord)); /* chord below 10 px */
    fv_image_free(&dot);
}

static bool in_carpet(int x, int y) {
    for (; x > 0 || y > 0; x /= 3, y /= 3)
        if (x % 3 == 1 && y % 3 == 1) return false;
    return true;
}

static void fractal(void **state) {
    (void)state;
    double dimension, r2;
    fv_image line = shape_blank(512), area = shape_blank(512), carpet = shape_blank(729), empty = shape_blank(64);
    shape_bar(&line, 0, 200, 511, 200, 1);
    memset(area.data, 255, 512 * 512);
    for (int i = 0; i < 729 * 729; i++) carpet.data[i] = in_carpet(i % 729, i / 729);
    assert_int_equal(fv_fractal_dimension(&line, 2, 128, &dimension, &r2), FV_OK);
    assert_float_equal(dimension, 1, 1e-9);
    assert_float_equal(r2, 1, 1e-9);
    assert_int_equal(fv_fractal_dimension(&area, 2, 128, &dimension, &r2), FV_OK);
    assert_float_equal(dimension, 2, 1e-9);
    assert_int_equal(fv_fractal_dimension(&carpet, 1, 182, &dimension, &r2), FV_OK);
    assert_float_equal(dimension, log(8) / log(3), 0.05);
    assert_true(r2 > 0.995);
    assert_int_equal(fv_fractal_dimension(&empty, 1, 16, &dimension, &r2), FV_OK);
    assert_true(isnan(dimension) && isnan(r2));
    assert_int_equal(fv_fractal_dimension(&line, 128, 256, &dimension, &r2), FV_OK);
    assert_true(isnan(dimension)); /* two sizes are no line */
    fv_image_free(&line);
    fv_image_free(&area);
    fv_image_free(&carpet);
    fv_image_free(&empty);
}

/* Everything set: the density of every region is 1, and the rings lie where they should. */
static void regions(void **state) {
    (void)state;
    fv_image mask = shape_blank(300), field = shape_blank(300), disc = shape_blank(300);
    for (int i = 0; i < 300 * 300; i++) {
        const double x = i % 300, y = i / 300, r = hypot(x - 150, y - 150);
        mask.data[i] = r >= 40 && r <= 60; /* 2R to 3R of a disc of R = 20 */
        field.data[i] = hypot(x - 150, y - 150) <= 140;
        disc.data[i] = r <= 20;
    }
    const fv_vessel_disc circle = {.center_x_px = 150, .center_y_px = 150, .diameter_px = 40}, drawn = {.mask = &disc};
    fv_vessels v = measure(&mask, &field, &circle), w = measure(&mask, &field, &drawn);
    assert_float_equal(v.zone_b.density_ratio, 1, 1e-12);
    assert_float_equal(v.zone_b.in_field_ratio, 1, 0.01);
    assert_float_equal(v.zone_c.density_ratio, (9 - 4) / (25.0 - 4), 0.005);
    assert_float_equal((double)v.region_area_px, M_PI * (140 * 140 - 20 * 20), 100);
    assert_float_equal(w.disc_diameter_px, 40, 0.2);
    assert_float_equal(w.density_ratio, v.density_ratio, 1e-12);
    const fv_vessel_disc corner = {.center_x_px = 150, .center_y_px = 20, .diameter_px = 40};
    v = measure(&mask, &field, &corner);
    assert_true(v.zone_b.in_field_ratio < 0.7 && v.zone_c.in_field_ratio < 0.7);
    const fv_vessel_disc outside = {.center_x_px = 150, .center_y_px = 0, .diameter_px = 40};
    v = measure(&mask, &field, &outside);
    assert_true(v.zone_b.in_field_ratio < FV_VESSEL_ZONE_LEAST && isnan(v.zone_b.density_ratio));
    v = measure(&mask, NULL, NULL);
    assert_true(isnan(v.zone_b.density_ratio) && isnan(v.zone_b.in_field_ratio) && isnan(v.disc_diameter_px));
    fv_image_free(&mask);
    fv_image_free(&field);
    fv_image_free(&disc);
}

static void scales(void **state) {
    (void)state;
    fv_scale scale;
    assert_int_equal(fv_scale_from_field(45, NAN, 912, &scale), FV_OK);
    assert_float_equal(scale.um_per_px, 14.3, 0.05); /* 45 degrees at 24 mm are 13.0 mm */
    assert_int_equal(scale.source, FV_SCALE_FOV);
    assert_int_equal(fv_scale_from_field(45, 24, 1956, &scale), FV_OK);
    assert_float_equal(scale.um_per_px, 6.66, 0.02);
    assert_int_equal(scale.source, FV_SCALE_FOV_AXIAL);
    assert_int_equal(fv_scale_from_field(100, NAN, 912, &scale), FV_BAD_INPUT);
    assert_int_equal(fv_scale_from_field(45, 2, 912, &scale), FV_BAD_INPUT);
    assert_int_equal(fv_scale_from_field(45, 24, 0, &scale), FV_BAD_INPUT);
    assert_true(isnan(scale.um_per_px) && scale.source == FV_SCALE_NONE);
}

static void bad_input(void **state) {
    (void)state;
    fv_vessels v;
    fv_image mask = shape_blank(50), other = shape_blank(40), full = shape_blank(50), dot = shape_blank(1);
    fv_vessels empty = measure(&mask, NULL, NULL);
    assert_true(empty.density_ratio == 0 && empty.length_px == 0 && isnan(empty.mean_width_px));
    assert_true(isnan(empty.tortuosity_arc_chord) && isnan(empty.fractal_dimension));
    memset(full.data, 255, 50 * 50);
    fv_vessels white = measure(&full, NULL, NULL);
    assert_true(white.density_ratio == 1 && isnan(white.mean_width_px));
    dot.data[0] = 1;
    assert_float_equal(measure(&dot, NULL, NULL).density_ratio, 1, 0);
    assert_int_equal(fv_vessels_measure(&mask, &other, NULL, FV_SCALE_UNKNOWN, &v, NULL), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "40 x 40"));
    assert_int_equal(fv_vessels_measure(&full, &mask, NULL, FV_SCALE_UNKNOWN, &v, NULL), FV_BAD_INPUT);
    const fv_vessel_disc none = {.mask = &mask}, no_size = {.diameter_px = 0}, large = {.diameter_px = 60};
    assert_int_equal(fv_vessels_measure(&full, NULL, &none, FV_SCALE_UNKNOWN, &v, NULL), FV_BAD_INPUT);
    assert_int_equal(fv_vessels_measure(&full, NULL, &no_size, FV_SCALE_UNKNOWN, &v, NULL), FV_BAD_INPUT);
    assert_int_equal(fv_vessels_measure(&full, NULL, &large, FV_SCALE_UNKNOWN, &v, NULL), FV_BAD_INPUT);
    assert_true(isnan(v.density_ratio));
    fv_image_free(&mask);
    fv_image_free(&other);
    fv_image_free(&full);
    fv_image_free(&dot);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_distances), cmocka_unit_test(widths_of_bars), cmocka_unit_test(width_of_discs),
        cmocka_unit_test(lengths),         cmocka_unit_test(nodes),          cmocka_unit_test(tortuosity),
        cmocka_unit_test(fractal),         cmocka_unit_test(regions),        cmocka_unit_test(scales),
        cmocka_unit_test(bad_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
