/* `fovea predict` of vessels: photographs of all kinds, a limit on memory, the same with any number of threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "command.h"
#include "fovea/base/file.h"
#include "fovea/dataset/phantom.h"
#include "fovea/image/fov.h"
#include "fovea/image/image_file.h"
#include "fovea/image/mask.h"
#include "fovea/image/resize.h"
#include "temporary.h"

#define TRAIN                                                                                                          \
    "train", "tiny.ini", "run.dir=run", "model.network=unet", "model.width=1", "model.base=8", "model.depth=2",        \
        "model.classes=vessel", "preprocess.fov_diameter=160", "preprocess.size=64", "preprocess.tile=128",            \
        "train.epochs=12", "optimizer.rate=1e-2", "optimizer.average_decay=0", "--quiet"

static fv_image phantom;

static int setup(void **state) {
    if (command_setup(state) != 0) return -1;
    command_write_tiny_ini();
    command_expect_good(FOVEA(TRAIN));
    return fv_image_read(temporary_path("runs/phantoms_12_1_96/images/0011.png"), 3, &phantom) == FV_OK ? 0 : -1;
}

static int teardown(void **state) {
    fv_image_free(&phantom);
    return command_teardown(state);
}

static void write(const char *name, const fv_image *image) {
    assert_int_equal(fv_image_write_png(image, temporary_path(name)), FV_OK);
}

static int64_t vessel_pixels(const char *name, int width, int height) {
    fv_image mask;
    if (fv_image_read(temporary_path(name), 1, &mask) != FV_OK) fail_msg("%s", fv_error());
    assert_int_equal(mask.width, width);
    assert_int_equal(mask.height, height);
    int64_t count = fv_mask_count(&mask);
    fv_image_free(&mask);
    return count;
}

/* Another camera: twice as many pixels. The mask comes back at its size, with about the same share of vessels. */
static void a_photograph_twice_as_large_has_the_same_vessels(void **state) {
    (void)state;
    int width = phantom.width, height = phantom.height;
    fv_image larger;
    assert_int_equal(fv_image_make(2 * width, 2 * height, 3, &larger), FV_OK);
    assert_int_equal(fv_resize_into(&phantom, &larger, (fv_place){0, 0, 2 * width, 2 * height}), FV_OK);
    write("one.png", &phantom);
    write("two.png", &larger);
    fv_image_free(&larger);
    command_expect_good(FOVEA("predict", "run", "one.png", "two.png", "--out", "sizes", "--quiet"));
    double one = (double)vessel_pixels("sizes/one_vessel.png", width, height);
    double two = (double)vessel_pixels("sizes/two_vessel.png", 2 * width, 2 * height);
    assert_true(one > 0.02 * width * height);
    assert_float_equal(two / 4 / one, 1, 0.12);
}

static void portrait_grey_and_rimless_photographs_are_predicted(void **state) {
    (void)state;
    int width = phantom.width, height = phantom.height;
    fv_image portrait, grey, rimless;
    assert_int_equal(fv_image_make(width, 2 * height, 3, &portrait), FV_OK);
    memcpy(portrait.data + (size_t)(3 * width * (height / 2)), phantom.data, (size_t)(3 * width * height));
    assert_int_equal(fv_mask_from_image(&phantom, 0, &grey), FV_OK);
    for (int i = 0; i < width * height; i++) grey.data[i] = phantom.data[3 * i + 1];
    assert_int_equal(fv_image_crop(&phantom, width / 3, height / 3, width / 3, height / 3, &rimless), FV_OK);
    write("plain.png", &phantom);
    write("portrait.png", &portrait);
    write("grey.png", &grey);
    write("rimless.png", &rimless);
    command_expect_good(
        FOVEA("predict", "run", "plain.png", "portrait.png", "grey.png", "rimless.png", "--out", "kinds", "--quiet"));
    int64_t plain = vessel_pixels("kinds/plain_vessel.png", width, height);
    assert_int_equal(vessel_pixels("kinds/portrait_vessel.png", width, 2 * height), plain);
    vessel_pixels("kinds/grey_vessel.png", width, height);
    vessel_pixels("kinds/rimless_vessel.png", width / 3, height / 3);
    fv_image_free(&portrait);
    fv_image_free(&grey);
    fv_image_free(&rimless);
}

static void a_black_photograph_is_told_by_name(void **state) {
    (void)state;
    fv_image black;
    assert_int_equal(fv_image_make(50, 40, 3, &black), FV_OK);
    write("black.png", &black);
    write("good.png", &phantom);
    fv_image_free(&black);
    EXPECT_COMPLAINT(FOVEA("predict", "run", "black.png", "--out", "dark", "--quiet"), 2, "black.png", "is black");
    assert_false(fv_file_exists(temporary_path("dark/black.json")));
    const command_result *result = FOVEA("predict", "run", "black.png", "good.png", "--out", "dark", "--quiet");
    assert_int_equal(result->code, 2);
    assert_non_null(strstr(result->err, "1 of 2 photographs failed"));
    assert_true(fv_file_exists(temporary_path("dark/good.json")));
}

static void memory_and_threads(void **state) {
    (void)state;
    write("photo.png", &phantom);
    command_expect_good(FOVEA("predict", "run", "photo.png", "--out", "a", "--quiet", "--threads", "1"));
    command_expect_good(FOVEA("predict", "run", "photo.png", "--out", "b", "--quiet", "--threads", "3"));
    void *one, *three;
    size_t one_bytes, three_bytes;
    assert_int_equal(fv_file_read(temporary_path("a/photo_vessel.png"), 1 << 20, &one, &one_bytes), FV_OK);
    assert_int_equal(fv_file_read(temporary_path("b/photo_vessel.png"), 1 << 20, &three, &three_bytes), FV_OK);
    assert_int_equal(one_bytes, three_bytes);
    assert_memory_equal(one, three, one_bytes);
    free(one);
    free(three);
    command_expect_good(FOVEA("predict", "run", "photo.png", "--out", "c", "--quiet", "--memory", "2"));
    EXPECT_COMPLAINT(FOVEA("predict", "run", "photo.png", "--out", "c", "--quiet", "--memory", "1"), 3,
                     "more than the limit of 1.0 MiB");
}

static double number_in(const char *file, const char *name) {
    size_t bytes;
    char *text = command_file(file, &bytes), *at = strstr(text, name);
    if (!at) fail_msg("%s has no %s", file, name);
    double value = strtod(strchr(at, ':') + 1, NULL);
    free(text);
    return value;
}

/* Bennett's formula for 45 degrees and an eye of 24 mm: 13.04 mm over the field's diameter. */
static void the_angle_of_the_camera_gives_micrometres(void **state) {
    (void)state;
    fv_image field;
    fv_box box;
    write("photo.png", &phantom);
    command_expect_good(FOVEA("predict", "run", "photo.png", "--out", "um", "--quiet", "--fov-degrees", "45"));
    assert_int_equal(fv_fov_find(&phantom, &field), FV_OK);
    assert_true(fv_mask_box(&field, &box));
    double um_per_px = 1000 * 0.01306 * (24 - 1.82) * 45 / (box.x1 - box.x0 + 1);
    assert_float_equal(number_in("um/photo.json", "\"um_per_px\""), um_per_px, 1e-3);
    assert_float_equal(number_in("um/photo.json", "\"mean_width_um\""),
                       number_in("um/photo.json", "\"mean_width_px\"") * um_per_px, 0.01);
    fv_image_free(&field);
    EXPECT_COMPLAINT(FOVEA("predict", "run", "photo.png", "--out", "um", "--fov-degrees", "5"), 2, "--fov-degrees");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_photograph_twice_as_large_has_the_same_vessels),
        cmocka_unit_test(portrait_grey_and_rimless_photographs_are_predicted),
        cmocka_unit_test(a_black_photograph_is_told_by_name),
        cmocka_unit_test(memory_and_threads),
        cmocka_unit_test(the_angle_of_the_camera_gives_micrometres),
    };
    return cmocka_run_group_tests_name("cli_predict_vessels", tests, setup, teardown);
}
