/* fovea export --fovea: smaller model files that fovea itself reads. */
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
#include "fovea/image/image_file.h"
#include "fovea/model/model.h"
#include "temporary.h"

#define SIDE 64

static const fv_preprocess of_whole = {.size = SIDE, .work_size = SIDE, .normalise = FV_NORMALISE_SIGNED};
/* So many pixels a degree. */
static const fv_preprocess by_degrees = {.size = SIDE,
                                         .work_size = SIDE,
                                         .fit = FV_FIT_FOV,
                                         .fov_diameter = SIDE,
                                         .fov_degrees = 45,
                                         .windows = true,
                                         .normalise = FV_NORMALISE_SIGNED};

static void write_model(const char *network, const fv_preprocess *preprocess, const char *name) {
    fv_model_spec spec = {.width = 1, .classes = 1, .class_names = {"disc"}, .thresholds = {0.5}};
    spec.preprocess = *preprocess;
    spec.preprocess.enhance = fv_enhance_standard();
    snprintf(spec.network, sizeof spec.network, "%s", network);
    if (!fv_network_has_encoder(network)) spec.base = 8;
    fv_model *model;
    if (fv_model_make(&spec, 1, &model) != FV_OK) fail_msg("%s", fv_error());
    assert_int_equal(fv_model_save(model, temporary_path(name)), FV_OK);
    fv_model_free(model);
}

/* A disc that fades to its rim. */
static void write_photo(const char *name) {
    fv_image photo;
    assert_int_equal(fv_image_make(SIDE, SIDE, 3, &photo), FV_OK);
    for (int i = 0; i < SIDE * SIDE; i++) {
        int x = i % SIDE - SIDE / 2, y = i / SIDE - SIDE / 2, light = 255 - (x * x + y * y) / 8;
        for (int c = 0; c < 3; c++) photo.data[3 * i + c] = (uint8_t)(light > 0 ? light >> c : 0);
    }
    assert_int_equal(fv_image_write_png(&photo, temporary_path(name)), FV_OK);
    fv_image_free(&photo);
}

static int setup(void **state) {
    if (command_setup(state) != 0) return -1;
    write_model("mobilenetv2_unet", &of_whole, "od.safetensors");
    write_model("mobilenetv2_unet", &by_degrees, "fov.safetensors");
    write_model("unet", &of_whole, "unet.safetensors");
    write_photo("photo.png");
    return 0;
}

static void halves_take_half_the_bytes(void **state) {
    (void)state;
    size_t whole, half;
    const command_result *result = FOVEA("export", "od.safetensors", "--fovea", "--fp16", "--out", "half.safetensors");
    command_expect_good(result);
    assert_non_null(strstr(result->out, "half.safetensors: fovea, float16_storage"));
    free(command_file("od.safetensors", &whole));
    free(command_file("half.safetensors", &half));
    assert_true((double)half < 0.51 * (double)whole);
    command_expect_good(FOVEA("predict", "half.safetensors", "photo.png", "--out", "p16", "--quiet"));
}

static void bytes_predict(void **state) {
    (void)state;
    command_expect_good(FOVEA("export", "od.safetensors", "--fovea", "--int8", "--calibrate", "photo.png", "--out",
                              "bytes.safetensors", "--quiet"));
    const command_result *result = FOVEA("inspect", "bytes.safetensors");
    command_expect_good(result);
    assert_non_null(strstr(result->out, "8 bits"));
    command_expect_good(FOVEA("predict", "bytes.safetensors", "photo.png", "--out", "p8", "--quiet"));
    assert_true(command_count("p8") > 0);
    result = FOVEA("inspect", "od.safetensors");
    assert_null(strstr(result->out, "8 bits"));
}

static void what_cannot_be_is_told(void **state) {
    (void)state;
    EXPECT_COMPLAINT(FOVEA("export", "od.safetensors", "--fovea", "--out", "x"), 2, "--fp16 or --int8");
    EXPECT_COMPLAINT(FOVEA("export", "od.safetensors", "--fovea", "--fp16", "--logits", "--out", "x"), 2, "--logits");
    EXPECT_COMPLAINT(FOVEA("export", "od.safetensors", "--fovea", "--fp16", "--with-preprocessing", "--out", "x"), 2,
                     "--with-preprocessing");
    EXPECT_COMPLAINT(FOVEA("export", "unet.safetensors", "--fovea", "--int8", "--out", "x"), 2, "has no 8-bit form");
    assert_false(command_exists("x"));
}

/* Windows of another size than the model's. */
static void the_file_says_which_windows_it_takes(void **state) {
    (void)state;
    static const char text[] = "windows of 96 px, side by side with overlap";
    size_t bytes;
    command_expect_good(
        FOVEA("export", "fov.safetensors", "--onnx", "--size", "96", "--photos", "0", "--out", "windows.onnx"));
    char *file = command_file("windows.onnx", &bytes);
    assert_non_null(memmem(file, bytes, text, strlen(text)));
    free(file);
}

/* The largest difference of a probability, measured on a table. */
static double difference_on(const char *table) {
    const command_result *result =
        FOVEA("export", "fov.safetensors", "--fovea", "--int8", "--calibrate", "photo.png", "--manifest", table,
              "--out", "measured.safetensors", "--quiet", "--json", "-");
    command_expect_good(result);
    cJSON *json = cJSON_Parse(result->out);
    double difference = cJSON_GetNumberValue(cJSON_GetObjectItem(json, "difference"));
    cJSON_Delete(json);
    return difference;
}

static void cameras_of_the_table_count(void **state) {
    (void)state;
    static const char *const tables[] = {"30.csv", "60.csv"}, *const files[] = {"30.safetensors", "60.safetensors"};
    command_write_text("30.csv", "fundus,od,fov_degrees\nphoto.png,photo.png,30\n");
    command_write_text("60.csv", "fundus,od,fov_degrees\nphoto.png,photo.png,60\n");
    for (int i = 0; i < 2; i++)
        command_expect_good(FOVEA("export", "fov.safetensors", "--fovea", "--int8", "--calibrate", tables[i],
                                  "--photos", "0", "--out", files[i], "--quiet"));
    size_t bytes[2];
    char *first = command_file(files[0], &bytes[0]), *second = command_file(files[1], &bytes[1]);
    assert_true(bytes[0] != bytes[1] || memcmp(first, second, bytes[0]) != 0); /* other ranges */
    free(first);
    free(second);
    double near = difference_on("30.csv"), wide = difference_on("60.csv");
    assert_true(near > 0 && wide > 0 && near != wide);
}

static void fields_of_the_table_count(void **state) {
    (void)state;
    fv_image small;
    assert_int_equal(fv_image_make(8, 8, 1, &small), FV_OK);
    assert_int_equal(fv_image_write_png(&small, temporary_path("small.png")), FV_OK);
    fv_image_free(&small);
    command_write_text("field.csv", "fundus,fov\nphoto.png,small.png\n");
    EXPECT_COMPLAINT(
        FOVEA("export", "fov.safetensors", "--fovea", "--int8", "--calibrate", "field.csv", "--quiet", "--out", "x"), 2,
        "small.png: the mask is 8 x 8 px");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(halves_take_half_the_bytes), cmocka_unit_test(bytes_predict),
        cmocka_unit_test(what_cannot_be_is_told),     cmocka_unit_test(the_file_says_which_windows_it_takes),
        cmocka_unit_test(cameras_of_the_table_count), cmocka_unit_test(fields_of_the_table_count),
    };
    return cmocka_run_group_tests(tests, setup, command_teardown);
}
