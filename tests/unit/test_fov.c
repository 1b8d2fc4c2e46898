/* The field of view of drawn photographs; of real ones where FOVEA_DATA has masks to compare with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data_samples.h"
#include "fovea/base/file.h"
#include "fovea/image/fov.h"
#include "fovea/image/image_file.h"
#include "fovea/image/mask.h"

enum { SIDE = 400, RADIUS = 180 };

static bool in_disc(int x, int y) {
    return (x - SIDE / 2) * (x - SIDE / 2) + (y - SIDE / 2) * (y - SIDE / 2) <= RADIUS * RADIUS;
}

/* A disc of `level` on a noisy rim from 0 to `rim`. */
static fv_image draw(int level, int rim) {
    fv_image photo;
    assert_int_equal(fv_image_make(SIDE, SIDE, 3, &photo), FV_OK);
    for (int i = 0; i < SIDE * SIDE; i++)
        memset(photo.data + 3 * i, in_disc(i % SIDE, i / SIDE) ? level : rim - i * 7919 % 4, 3);
    return photo;
}

static void paint(fv_image *photo, int x0, int y0, int x1, int y1, int level) {
    for (int y = y0; y < y1; y++) memset(photo->data + (y * SIDE + x0) * 3, level, (size_t)(x1 - x0) * 3);
}

/* Dice coefficient with the disc that was drawn; frees the photograph. */
static double dice_of(fv_image *photo) {
    fv_image fov;
    int64_t both = 0, sum = 0;
    assert_int_equal(fv_fov_find(photo, &fov), FV_OK);
    for (int i = 0; i < SIDE * SIDE; i++) {
        bool found = fov.data[i] == 255, drawn = in_disc(i % SIDE, i / SIDE);
        both += found && drawn;
        sum += found + drawn;
    }
    fv_image_free(&fov);
    fv_image_free(photo);
    return 2.0 * (double)both / (double)sum;
}

static void equals_opencv(void **state) {
    (void)state;
    void *golden;
    size_t bytes, skipped = 8 + 101 * 67 * 4;
    assert_int_equal(fv_file_read("tests/golden/enhance.bin", 1 << 20, &golden, &bytes), FV_OK);
    assert_int_equal(bytes, skipped + 96 * 80);
    fv_image photo, fov;
    assert_int_equal(fv_image_make(96, 80, 3, &photo), FV_OK);
    for (int i = 0; i < 96 * 80; i++) { /* the same formula stands in make_enhance_golden.py */
        int x = i % 96, y = i / 96, squared = (x - 48) * (x - 48) + (y - 40) * (y - 40);
        int level = squared <= 25 ? 3 : squared <= 36 * 36 ? 140 - x : 4;
        if (x >= 2 && x < 5 && y >= 2 && y < 5) level = 200;
        photo.data[3 * i] = (uint8_t)level;
        photo.data[3 * i + 1] = (uint8_t)(level / 2 + 4);
        photo.data[3 * i + 2] = (uint8_t)(level / 4);
    }
    assert_int_equal(fv_fov_find(&photo, &fov), FV_OK);
    assert_memory_equal(fov.data, (const uint8_t *)golden + skipped, 96 * 80);
    fv_image_free(&photo);
    fv_image_free(&fov);
    free(golden);
}

static void a_plain_disc_is_found_exactly(void **state) {
    (void)state;
    fv_image photo = draw(120, 3);
    assert_true(dice_of(&photo) == 1);
}

static void dark_photographs_and_bright_rims_are_found(void **state) {
    (void)state;
    fv_image photo = draw(9, 3);
    assert_true(dice_of(&photo) > 0.99);
    photo = draw(150, 22);
    assert_true(dice_of(&photo) > 0.99);
}

static void text_is_left_out(void **state) {
    (void)state;
    fv_image photo = draw(120, 3);
    paint(&photo, 5, 10, 60, 13, 255);      /* apart */
    paint(&photo, 300, 371, 390, 374, 255); /* apart, below */
    paint(&photo, 375, 199, 400, 201, 200); /* touching the disc */
    assert_true(dice_of(&photo) > 0.998);
}

static void a_shadow_at_the_rim_is_filled(void **state) {
    (void)state;
    fv_image photo = draw(120, 3);
    paint(&photo, 330, 180, 400, 220, 2);
    assert_true(dice_of(&photo) > 0.99);
}

static void expect_whole(int width, int height, int channels, int level) {
    fv_image photo, fov;
    assert_int_equal(fv_image_make(width, height, channels, &photo), FV_OK);
    memset(photo.data, level, (size_t)(width * height * channels));
    assert_int_equal(fv_fov_find(&photo, &fov), FV_OK);
    assert_int_equal(fov.channels, 1);
    assert_int_equal(fv_mask_count(&fov), width * height);
    fv_image_free(&photo);
    fv_image_free(&fov);
}

static void a_photograph_without_a_rim_is_whole(void **state) {
    (void)state;
    expect_whole(50, 90, 3, 255);
    expect_whole(8, 8, 3, 130);
    expect_whole(1, 1, 1, 60);
    expect_whole(64, 40, 1, 5);
}

static void a_black_photograph_is_refused(void **state) {
    (void)state;
    fv_image photo, fov;
    assert_int_equal(fv_image_make(64, 48, 3, &photo), FV_OK);
    assert_int_equal(fv_fov_find(&photo, &fov), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "the photograph is black"));
    assert_null(fov.data);
    fv_image_free(&photo);
}

static void real_masks_are_met(void **state) {
    (void)state;
    static const char *const names[] = {"drive/%s/01_test.png", "drive/%s/21_training.png", "drive/%s/40_training.png",
                                        "chase_db1/%s/Image_01L.png", "chase_db1/%s/Image_10R.png"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char paths[2][FV_PATH_MAX], name[64];
        for (int k = 0; k < 2; k++) {
            const char *slot = strstr(names[i], "%s");
            snprintf(name, sizeof name, "%.*s%s%s", (int)(slot - names[i]), names[i], k ? "fov" : "images", slot + 2);
            assert_int_equal(fv_path_join(paths[k], sample_real_data(), name), FV_OK);
        }
        if (!fv_file_exists(paths[0])) {
            printf("skip: field of view of photographs: no %s\n", paths[0]);
            skip();
        }
        fv_image photo, truth, fov;
        assert_int_equal(fv_image_read(paths[0], 3, &photo), FV_OK);
        assert_int_equal(fv_image_read(paths[1], 1, &truth), FV_OK);
        assert_int_equal(fv_fov_find(&photo, &fov), FV_OK);
        double sum = (double)(fv_mask_count(&truth) + fv_mask_count(&fov));
        fv_mask_and(&fov, &truth);
        assert_true(2 * (double)fv_mask_count(&fov) / sum >= 0.99);
        fv_image_free(&photo);
        fv_image_free(&truth);
        fv_image_free(&fov);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_opencv),
        cmocka_unit_test(a_plain_disc_is_found_exactly),
        cmocka_unit_test(dark_photographs_and_bright_rims_are_found),
        cmocka_unit_test(text_is_left_out),
        cmocka_unit_test(a_shadow_at_the_rim_is_filled),
        cmocka_unit_test(a_photograph_without_a_rim_is_whole),
        cmocka_unit_test(a_black_photograph_is_refused),
        cmocka_unit_test(real_masks_are_met),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
