/* An ONNX network at the command line: inspected, predicted with, stored as a model file under other settings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "command.h"
#include "fovea/base/file.h"
#include "fovea/image/image_file.h"
#include "onnx_samples.h"
#include "temporary.h"

/* A network that begins with a scale and an offset of its own. */
static void write_scaled(void) {
    Onnx__ModelProto *sample = onnx_sample_make(32);
    onnx_sample_weights(sample, "mean", 3, (int[]){3, 1, 1}, (float[]){0.25f, 0.5f, 0.75f});
    onnx_sample_weights(sample, "five", 0, NULL, (float[]){5});
    onnx_sample_weights(sample, "w", 4, (int[]){2, 3, 1, 1}, NULL);
    onnx_sample_node(sample, "Sub", "input mean", "a");
    onnx_sample_node(sample, "Mul", "a five", "b");
    onnx_sample_node(sample, "Relu", "b", "r");
    onnx_sample_node(sample, "Conv", "r w", "c");
    onnx_sample_node(sample, "Sigmoid", "c", "output");
    size_t bytes;
    void *data = onnx_sample_pack(sample, &bytes);
    command_write("scaled.onnx", data, bytes);
    free(data);
    onnx__model_proto__free_unpacked(sample, NULL);
}

static int setup(void **state) {
    if (command_setup(state) != 0) return -1;
    write_scaled();
    Onnx__ModelProto *sample = onnx_sample_make(32);
    onnx_sample_weights(sample, "w", 4, (int[]){2, 3, 1, 1}, NULL);
    onnx_sample_node(sample, "Conv", "input w", "c");
    onnx_sample_node(sample, "Sigmoid", "c", "output");
    size_t bytes;
    void *data = onnx_sample_pack(sample, &bytes);
    command_write("net.onnx", data, bytes);
    command_write("cut.onnx", data, bytes / 2);
    free(data);
    onnx__model_proto__free_unpacked(sample, NULL);
    fv_image photo;
    if (fv_image_make(40, 30, 3, &photo) != FV_OK) return -1;
    for (size_t i = 0; i < 40 * 30 * 3; i++) photo.data[i] = (uint8_t)(i * 7 % 256);
    fv_status status = fv_image_write_png(&photo, temporary_path("photo.png"));
    fv_image_free(&photo);
    return status == FV_OK ? 0 : -1;
}

static void test_inspect(void **state) {
    (void)state;
    const command_result *r = FOVEA("inspect", "net.onnx");
    command_expect_good(r);
    assert_non_null(strstr(r->out, "recipe, 1 steps, sides a multiple of 1"));
    assert_non_null(strstr(r->out, "class1 (threshold 0.5) class2"));
}

static void test_predict(void **state) {
    (void)state;
    command_expect_good(FOVEA("predict", "net.onnx", "photo.png", "--out", "results"));
    assert_true(command_exists("results/photo_class1.png"));
    assert_true(command_exists("results/photo_class2.png"));
}

/* The stored network gives the same masks under its new names. */
static void test_import(void **state) {
    (void)state;
    command_expect_good(
        FOVEA("import", "net.onnx", "--as", "model", "--out", "net.safetensors", "--set", "model.classes=artery vein"));
    command_expect_good(FOVEA("predict", "net.safetensors", "photo.png", "--out", "stored"));
    command_expect_good(FOVEA("predict", "net.onnx", "photo.png", "--out", "results"));
    command_expect_same_file("stored/photo_vein.png", "results/photo_class2.png");
    command_expect_good(FOVEA("import", "net.onnx", "--as", "model", "--out", "unit.safetensors", "--set",
                              "preprocess.normalise=unit", "--set", "model.threshold=0.25"));
    const command_result *r = FOVEA("inspect", "unit.safetensors");
    command_expect_good(r);
    assert_non_null(strstr(r->out, "class2 (threshold 0.25)"));
    assert_non_null(strstr(r->out, "unit values"));
}

/* Written again and read again, with and without fovea's normalisation in front, the network keeps its own. */
static void test_there_and_back(void **state) {
    (void)state;
    command_expect_good(FOVEA("import", "scaled.onnx", "--as", "model", "--out", "scaled.safetensors", "--set",
                              "preprocess.windows=yes", "--set", "preprocess.fit=native"));
    command_expect_good(FOVEA("predict", "scaled.safetensors", "photo.png", "--out", "first"));
    command_expect_good(FOVEA("export", "scaled.safetensors", "--onnx", "--out", "again.onnx", "--photos", "0"));
    command_expect_good(FOVEA("predict", "again.onnx", "photo.png", "--out", "again"));
    command_expect_good(FOVEA("export", "scaled.safetensors", "--onnx", "--with-preprocessing", "--out", "levels.onnx",
                              "--photos", "0"));
    command_expect_good(FOVEA("predict", "levels.onnx", "photo.png", "--out", "levels"));
    command_expect_same_file("first/photo_class1.png", "again/photo_class1.png");
    command_expect_same_file("first/photo_class1.png", "levels/photo_class1.png");
}

static void test_import_keeps_settings(void **state) {
    (void)state;
    command_expect_good(FOVEA("import", "net.onnx", "--as", "model", "--out", "fov.safetensors", "--set",
                              "preprocess.fit=fov", "--set", "preprocess.fov_diameter=32", "--set",
                              "preprocess.windows=yes", "--set", "preprocess.tile=32", "--set",
                              "preprocess.fov_degrees=45", "--set", "preprocess.clahe_clip=2.3456789012"));
    command_expect_good(FOVEA("export", "fov.safetensors", "--onnx", "--out", "fov.onnx", "--photos", "0"));
    command_expect_good(
        FOVEA("import", "fov.onnx", "--as", "model", "--out", "again.safetensors", "--set", "model.threshold=0.25"));
    const command_result *r = FOVEA("inspect", "again.safetensors");
    command_expect_good(r);
    assert_non_null(strstr(r->out, "at 45 degrees"));
    void *file;
    size_t bytes;
    assert_int_equal(fv_file_read(temporary_path("again.safetensors"), 1 << 20, &file, &bytes), FV_OK);
    assert_non_null(memmem(file, bytes, "2.3456789012", 12));
    free(file);
}

static void test_complaints(void **state) {
    (void)state;
    EXPECT_COMPLAINT(FOVEA("predict", "cut.onnx", "photo.png", "--out", "none"), 2, "cut.onnx", "cut off");
    EXPECT_COMPLAINT(FOVEA("import", "net.onnx", "--as", "encoder", "--out", "e.safetensors"), 2, "--as model");
    EXPECT_COMPLAINT(
        FOVEA("import", "net.onnx", "--as", "model", "--out", "e.safetensors", "--set", "model.classes=disc"), 2,
        "2 classes");
    assert_false(command_exists("none"));
    assert_false(command_exists("e.safetensors"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inspect),        cmocka_unit_test(test_predict),
        cmocka_unit_test(test_import),         cmocka_unit_test(test_import_keeps_settings),
        cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_complaints),
    };
    return cmocka_run_group_tests(tests, setup, command_teardown);
}
