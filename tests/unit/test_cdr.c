#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/file.h"
#include "fovea/clinical/cdr.h"
#include "fovea/image/image_file.h"
#include "fovea/image/mask.h"

static fv_image blank(void) {
    fv_image mask;
    assert_int_equal(fv_image_make(400, 300, 1, &mask), FV_OK);
    return mask;
}

static void set_box(fv_image *mask, int x0, int y0, int x1, int y1, uint8_t value) {
    for (int y = y0; y <= y1; y++) memset(mask->data + y * mask->width + x0, value, (size_t)(x1 - x0 + 1));
}

/* Ellipse with the half axes a (horizontal before turning) and b, turned by `turned` radians. */
static void set_ellipse(fv_image *mask, double cx, double cy, double a, double b, double turned) {
    for (int y = 0; y < mask->height; y++)
        for (int x = 0; x < mask->width; x++) {
            double u = (x - cx) * cos(turned) + (y - cy) * sin(turned),
                   v = (y - cy) * cos(turned) - (x - cx) * sin(turned);
            if (u * u / (a * a) + v * v / (b * b) <= 1) mask->data[y * mask->width + x] = 255;
        }
}

/* Boxes, away from the center of the image, of four different side lengths: an exchanged axis or divisor shows. */
static void boxes(void **state) {
    (void)state;
    fv_image disc = blank(), cup = blank();
    set_box(&disc, 210, 20, 309, 99, 255); /* 100 wide, 80 high */
    set_box(&cup, 240, 30, 269, 65, 1);    /* 30 wide, 36 high; any value but 0 counts */
    fv_cdr cdr;
    assert_int_equal(fv_cdr_measure(&disc, &cup, &cdr), FV_OK);
    assert_true(cdr.disc_found && cdr.cup_found);
    assert_int_equal(cdr.disc_width_px, 100);
    assert_int_equal(cdr.disc_height_px, 80);
    assert_int_equal(cdr.cup_width_px, 30);
    assert_int_equal(cdr.cup_height_px, 36);
    assert_int_equal(cdr.disc_area_px, 8000);
    assert_int_equal(cdr.cup_area_px, 1080);
    assert_float_equal(cdr.disc_center_x_px, 259.5, 1e-9);
    assert_float_equal(cdr.disc_center_y_px, 59.5, 1e-9);
    assert_float_equal(cdr.vcdr, 36.0 / 80.0, 1e-12);
    assert_float_equal(cdr.vcdr_refuge, 36.0 / 80.0, 1e-12);
    assert_float_equal(cdr.hcdr, 30.0 / 100.0, 1e-12);
    assert_float_equal(cdr.area_cdr, 1080.0 / 8000.0, 1e-12);
    fv_image_free(&disc);
    fv_image_free(&cup);
}

/* Upright ellipses; both vertical definitions agree, the horizontal ratio differs, areas are the product. */
static void ellipses(void **state) {
    (void)state;
    fv_image disc = blank(), cup = blank();
    set_ellipse(&disc, 130, 170, 80, 100, 0);
    set_ellipse(&cup, 140, 160, 50, 40, 0);
    fv_cdr cdr;
    assert_int_equal(fv_cdr_measure(&disc, &cup, &cdr), FV_OK);
    assert_int_equal(cdr.disc_height_px, 201);
    assert_int_equal(cdr.disc_width_px, 161);
    assert_int_equal(cdr.cup_height_px, 81);
    assert_int_equal(cdr.cup_width_px, 101);
    assert_float_equal(cdr.disc_center_x_px, 130, 1e-9);
    assert_float_equal(cdr.disc_center_y_px, 170, 1e-9);
    assert_float_equal(cdr.vcdr, 81.0 / 201.0, 1e-12);
    assert_float_equal(cdr.vcdr_refuge, 81.0 / 201.0, 1e-12);
    assert_float_equal(cdr.hcdr, 101.0 / 161.0, 1e-12);
    assert_float_equal(cdr.area_cdr, 0.25, 0.002);
    fv_image_free(&disc);
    fv_image_free(&cup);
}

/* A disc of 1.0 x 0.8 with a round cup of 0.5: turned by 30 degrees the bounding box is lower than the long axis, and
   the tallest column lower than the box. Heights of a turned ellipse: box sqrt(a^2 sin^2 + b^2 cos^2), column a b /
   sqrt(a^2 cos^2 + b^2 sin^2). */
static void turned_disc(void **state) {
    (void)state;
    fv_image disc = blank(), cup = blank();
    double a = 96, b = 120, turned = M_PI / 6;
    set_ellipse(&disc, 200, 150, a, b, turned);
    set_ellipse(&cup, 200, 150, 60, 60, 0);
    fv_cdr cdr;
    assert_int_equal(fv_cdr_measure(&disc, &cup, &cdr), FV_OK);
    double box = sqrt(a * a * sin(turned) * sin(turned) + b * b * cos(turned) * cos(turned));
    double column = a * b / sqrt(a * a * cos(turned) * cos(turned) + b * b * sin(turned) * sin(turned));
    assert_float_equal(cdr.vcdr, 60 / box, 0.005);
    assert_float_equal(cdr.vcdr, 0.524, 0.005);
    assert_float_equal(cdr.vcdr_refuge, 60 / column, 0.005);
    assert_float_equal(cdr.vcdr_refuge, 0.534, 0.005);
    assert_true(cdr.vcdr_refuge - cdr.vcdr > 0.005);
    fv_image_free(&disc);
    fv_image_free(&cup);
}

/* A hole shortens the column that REFUGE counts, not the extent. */
static void hole_in_the_disc(void **state) {
    (void)state;
    fv_image disc = blank(), cup = blank();
    set_box(&disc, 100, 100, 199, 199, 255);
    set_box(&disc, 100, 140, 199, 159, 0);
    set_box(&cup, 140, 105, 159, 134, 255);
    fv_cdr cdr;
    assert_int_equal(fv_cdr_measure(&disc, &cup, &cdr), FV_OK);
    assert_int_equal(cdr.disc_height_px, 100);
    assert_int_equal(cdr.disc_area_px, 8000);
    assert_float_equal(cdr.vcdr, 0.30, 1e-12);
    assert_float_equal(cdr.vcdr_refuge, 30.0 / 80.0, 1e-12);
    fv_image_free(&disc);
    fv_image_free(&cup);
}

static void nothing_there(void **state) {
    (void)state;
    fv_image disc = blank(), cup = blank();
    fv_cdr cdr;
    assert_int_equal(fv_cdr_measure(&disc, &cup, &cdr), FV_OK);
    assert_false(cdr.disc_found || cdr.cup_found);
    assert_true(isnan(cdr.vcdr) && isnan(cdr.vcdr_refuge) && isnan(cdr.hcdr) && isnan(cdr.area_cdr));
    assert_true(isnan(cdr.disc_center_x_px) && isnan(cdr.disc_center_y_px));
    set_box(&cup, 5, 5, 9, 9, 255);
    assert_int_equal(fv_cdr_measure(&disc, &cup, &cdr), FV_OK);
    assert_true(cdr.cup_found && !cdr.disc_found);
    assert_int_equal(cdr.cup_height_px, 5);
    assert_true(isnan(cdr.vcdr));
    set_box(&cup, 5, 5, 9, 9, 0);
    set_box(&disc, 399, 299, 399, 299, 255); /* one pixel, in the corner */
    assert_int_equal(fv_cdr_measure(&disc, &cup, &cdr), FV_OK);
    assert_true(cdr.disc_found && !cdr.cup_found);
    assert_int_equal(cdr.disc_height_px, 1);
    assert_float_equal(cdr.disc_center_x_px, 399, 0);
    assert_true(cdr.vcdr == 0 && cdr.vcdr_refuge == 0 && cdr.hcdr == 0 && cdr.area_cdr == 0);
    fv_image_free(&disc);
    fv_image_free(&cup);
}

static void unequal_sizes(void **state) {
    (void)state;
    fv_image disc = blank(), cup;
    assert_int_equal(fv_image_make(300, 400, 1, &cup), FV_OK);
    fv_cdr cdr;
    assert_int_equal(fv_cdr_measure(&disc, &cup, &cdr), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "400 x 300"));
    assert_non_null(strstr(fv_error(), "300 x 400"));
    assert_true(isnan(cdr.vcdr));
    fv_image_free(&cup);
    fv_image_free(&disc);
}

static void read_mask(const char *root, const char *name, fv_image *mask) {
    char path[FV_PATH_MAX];
    fv_image image;
    assert_int_equal(fv_path_join(path, root, name), FV_OK);
    if (fv_image_read(path, 1, &image) != FV_OK) fail_msg("%s", fv_error());
    assert_int_equal(fv_mask_from_image(&image, 127, mask), FV_OK);
    fv_image_free(&image);
}

/* Drishti: our ratio of the experts' masks agrees with the mean of the four experts' own vertical CDR. */
static void real_masks(void **state) {
    (void)state;
    const char *data = getenv("FOVEA_DATA");
    char root[FV_PATH_MAX], index[FV_PATH_MAX], line[4096];
    assert_int_equal(fv_path_join(root, data ? data : "../shared/data", "drishti"), FV_OK);
    assert_int_equal(fv_path_join(index, root, "index.csv"), FV_OK);
    FILE *stream = fopen(index, "r");
    if (stream == NULL) {
        printf("skip: %s is not there\n", index);
        skip();
    }
    double error = 0;
    int count = 0;
    assert_non_null(fgets(line, sizeof line, stream));
    while (fgets(line, sizeof line, stream)) {
        char *rest = line;
        const char *fields[12]; /* name, fundus, od, oc, bv, fov, split, label, age, sex, iop, cdr_expert */
        for (int i = 0; i < 12; i++) fields[i] = strsep(&rest, ",");
        fv_image disc, cup;
        read_mask(root, fields[2], &disc);
        read_mask(root, fields[3], &cup);
        fv_cdr cdr;
        assert_int_equal(fv_cdr_measure(&disc, &cup, &cdr), FV_OK);
        assert_true(cdr.vcdr > 0.1 && cdr.vcdr < 1 && fabs(cdr.vcdr - cdr.vcdr_refuge) < 0.06);
        error += fabs(cdr.vcdr - atof(fields[11]));
        count++;
        fv_image_free(&disc);
        fv_image_free(&cup);
    }
    fclose(stream);
    assert_int_equal(count, 101);
    print_message("mean absolute difference to the experts' CDR: %.4f\n", error / count);
    assert_true(error / count < 0.025);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(boxes),         cmocka_unit_test(ellipses),
        cmocka_unit_test(turned_disc),   cmocka_unit_test(hole_in_the_disc),
        cmocka_unit_test(nothing_there), cmocka_unit_test(unequal_sizes),
        cmocka_unit_test(real_masks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
