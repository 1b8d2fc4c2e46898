/* `fovea data check`, `fovea data augment`, `fovea phantom` and `fovea inspect`. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "command.h"
#include "fovea/image/image_file.h"
#include "temporary.h"

static int setup(void **state) {
    if (command_setup(state) != 0) return -1;
    command_write_tiny_ini();
    command_expect_good(FOVEA("phantom", "--out", "drawn", "--count", "10", "--seed", "7", "--side", "96", "--quiet"));
    return 0;
}

static int count_of(const cJSON *root, const char *name) {
    const cJSON *counts = cJSON_GetObjectItemCaseSensitive(root, "counts");
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(counts, name);
    return cJSON_IsNumber(item) ? item->valueint : -1;
}

static void expect_size(const char *name, int width, int height) {
    int w, h;
    assert_int_equal(fv_image_read_size(temporary_path(name), &w, &h), FV_OK);
    assert_true(w == width && h == height);
}

/* ---- phantom ---- */

static void phantoms_follow_from_the_seed(void **state) {
    (void)state;
    command_expect_good(
        FOVEA("phantom", "--out", "same", "--count", "3", "--seed", "7", "--side", "96", "--quiet", "--threads", "1"));
    command_expect_same_file("drawn/images/0002.png", "same/images/0002.png");
    command_expect_same_file("drawn/oc/0002.png", "same/oc/0002.png");
    assert_int_equal(command_count("drawn"), 7); /* images, od, oc, bv, fov, index.csv, phantoms.json */
    assert_int_equal(command_count("drawn/bv"), 10);
    assert_int_equal(command_count("same/images"), 3);
    expect_size("same/images/0001.png", 96, 96);
    command_expect_good(FOVEA("phantom", "--out", "other", "--count", "3", "--seed", "8", "--side", "96", "--quiet"));
    size_t a_bytes, b_bytes;
    char *a = command_file("same/images/0000.png", &a_bytes), *b = command_file("other/images/0000.png", &b_bytes);
    assert_false(a_bytes == b_bytes && memcmp(a, b, a_bytes) == 0);
    free(a);
    free(b);
}

static void sheet_of_phantoms(void **state) {
    (void)state;
    command_expect_good(FOVEA("phantom", "--sheet", "sheet.png", "--count", "4", "--tile", "64", "--quiet"));
    expect_size("sheet.png", 192, 128);
}

static void wrong_words_for_phantom(void **state) {
    (void)state;
    EXPECT_COMPLAINT(FOVEA("phantom"), 2, "--out DIR or --sheet FILE.png");
    EXPECT_COMPLAINT(FOVEA("phantom", "--out", "x", "--sheet", "y.png"), 2, "--out DIR or --sheet FILE.png");
    EXPECT_COMPLAINT(FOVEA("phantom", "folder"), 2, "\"folder\"", "--out DIR");
    EXPECT_COMPLAINT(FOVEA("phantom", "--out", "x", "--count", "many"), 2,
                     "--count many: expected a whole number from 1");
    EXPECT_COMPLAINT(FOVEA("phantom", "--out", "x", "--side", "20"), 2, "--side 20: expected a whole number from 64");
    EXPECT_COMPLAINT(FOVEA("phantom", "--sheet", "x", "--tile", "513"), 2,
                     "--tile 513: expected a whole number from 64 to 512");
    assert_false(command_exists("x"));
    /* a table of the user's own is not drawn over */
    EXPECT_COMPLAINT(FOVEA("data", "check", "drawn"), 2, "drawn is a folder");
    command_expect_good(FOVEA("phantom", "--out", "own", "--count", "1", "--side", "64", "--quiet"));
    unlink(temporary_path("own/phantoms.json"));
    EXPECT_COMPLAINT(FOVEA("phantom", "--out", "own", "--count", "2", "--side", "64"), 2, "own/index.csv",
                     "not made by the phantom generator");
}

/* ---- data check ---- */

static void a_sound_data_set(void **state) {
    (void)state;
    const command_result *result = FOVEA("data", "check", "drawn/index.csv", "--json", "-", "--quiet");
    command_expect_good(result);
    assert_string_equal(result->err, "");
    cJSON *root = cJSON_Parse(result->out);
    assert_non_null(root);
    assert_int_equal(cJSON_GetObjectItemCaseSensitive(root, "photographs")->valueint, 10);
    assert_int_equal(cJSON_GetObjectItemCaseSensitive(root, "spoiling")->valueint, 0);
    cJSON_Delete(root);
    result = FOVEA("data", "check", "tiny.ini");
    command_expect_good(result);
    assert_non_null(strstr(result->out, "12 photographs checked, nothing found\n"));
}

static void a_spoiled_data_set(void **state) {
    (void)state;
    command_expect_good(FOVEA("phantom", "--out", "bad", "--count", "8", "--side", "96", "--quiet"));
    command_expect_good(FOVEA("phantom", "--out", "big", "--count", "1", "--side", "128", "--quiet"));
    command_write_text("bad/od/0001.png", "");
    command_cut("bad/images/0002.png", 900);
    unlink(temporary_path("bad/images/0003.png"));
    command_copy("big/oc/0000.png", "bad/oc/0004.png");
    const command_result *result = FOVEA("data", "check", "bad/index.csv", "--json", "report.json");
    assert_int_equal(result->code, 1);
    assert_non_null(strstr(result->out, "SPOILS  bad/od/0001.png is empty (0 bytes"));
    assert_non_null(strstr(result->out, "SPOILS  bad/images/0002.png: the PNG image ends too early"));
    assert_non_null(strstr(result->out, "SPOILS  bad/images/0003.png: there is no such file"));
    assert_non_null(strstr(result->out, "SPOILS  bad/oc/0004.png: the mask is 128 x 128 px but its photograph "
                                        "bad/images/0004.png is 96 x 96 px"));
    assert_non_null(strstr(result->out, "4 findings would spoil training"));
    size_t bytes;
    char *text = command_file("report.json", &bytes);
    cJSON *root = cJSON_Parse(text);
    assert_non_null(root);
    assert_int_equal(count_of(root, "missing_file"), 1);
    assert_int_equal(count_of(root, "unreadable"), 2);
    assert_int_equal(count_of(root, "size_mismatch"), 1);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(root, "findings")), 4);
    cJSON_Delete(root);
    free(text);
}

static void renamed_columns_and_another_root(void **state) {
    (void)state;
    command_write_text("table.csv", "photo,disc mask,cup mask\nimages/0001.png,od/0001.png,oc/0001.png\n");
    const command_result *result =
        FOVEA("data", "check", "table.csv", "--root", "drawn", "--column", "fundus=photo", "--column", "od=disc mask",
              "--column", "oc=cup mask", "--json", "-", "--quiet");
    command_expect_good(result);
    assert_non_null(strstr(result->out, "\"photographs\":\t1"));
}

/* The table is read once, whatever classes it has. */
static void a_warning_is_said_once(void **state) {
    (void)state;
    command_write_text("once.csv", "fundus,od,bv,split\nimages/0001.png,od/0001.png,bv/0001.png,train\n"
                                   "images/0002.png,od/0002.png,bv/0002.png,elsewhere\n");
    const command_result *result = FOVEA("data", "check", "once.csv", "--root", "drawn", "--json", "-");
    const char *warning = strstr(result->err, "rows with an unknown value in column split");
    assert_non_null(warning);
    assert_null(strstr(warning + 1, "rows with an unknown value in column split"));
    cJSON *root = cJSON_Parse(result->out);
    const cJSON *set = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(root, "sets"), 0);
    const cJSON *split = cJSON_GetObjectItemCaseSensitive(set, "train");
    assert_int_equal(cJSON_GetObjectItemCaseSensitive(split, "disc")->valueint, 1);
    assert_int_equal(cJSON_GetObjectItemCaseSensitive(split, "vessel")->valueint, 1);
    assert_null(cJSON_GetObjectItemCaseSensitive(split, "cup"));
    cJSON_Delete(root);
}

static void report_of_names_that_are_not_utf8(void **state) {
    (void)state;
    command_write_text("latin.csv", "fundus,od\ncaf\xE9.png,od/0001.png\n");
    const command_result *result = FOVEA("data", "check", "latin.csv", "--root", "drawn", "--json", "-", "--quiet");
    assert_int_equal(result->code, 1);
    assert_non_null(strstr(result->out, "\"drawn/caf?.png\""));
    assert_null(strchr(result->out, '\xE9'));
}

static void wrong_words_for_data(void **state) {
    (void)state;
    static const char *const table_options[][2] = {
        {"--root", "drawn"}, {"--column", "od=x"}, {"--mask-threshold", "100"}, {"--soft-masks", "--quiet"}};
    for (size_t i = 0; i < sizeof table_options / sizeof *table_options; i++)
        EXPECT_COMPLAINT(FOVEA("data", "check", "tiny.ini", table_options[i][0], table_options[i][1]), 2,
                         "are for a table; tiny.ini has keys for them");
    command_write_text("table.csv", "photo,disc\n");
    EXPECT_COMPLAINT(FOVEA("data"), 2, "fovea data check or fovea data augment");
    EXPECT_COMPLAINT(FOVEA("data", "chekc"), 2, "not \"chekc\"");
    EXPECT_COMPLAINT(FOVEA("data", "check"), 2, "give a configuration or a table");
    EXPECT_COMPLAINT(FOVEA("data", "check", "no.csv"), 2, "no.csv: there is no such file");
    EXPECT_COMPLAINT(FOVEA("data", "check", "a.csv", "b.csv"), 2, "one table, not also \"b.csv\"");
    EXPECT_COMPLAINT(FOVEA("data", "check", "table.csv"), 2, "table.csv", "fundus");
    EXPECT_COMPLAINT(FOVEA("data", "check", "table.csv", "--column", "fundus=foto"), 2, "table.csv", "\"foto\"",
                     "photo");
    EXPECT_COMPLAINT(FOVEA("data", "augment", "tiny.ini"), 2, "--out FILE.png");
}

/* ---- data augment, inspect ---- */

static void sheet_of_augmented_samples(void **state) {
    (void)state;
    command_expect_good(FOVEA("data", "augment", "tiny.ini", "--out", "one.png", "--count", "7", "--threads", "1"));
    command_expect_good(FOVEA("data", "augment", "tiny.ini", "--out", "two.png", "--count", "7", "--threads", "2"));
    command_expect_same_file("one.png", "two.png");
    command_expect_good(
        FOVEA("data", "augment", "tiny.ini", "run.seed=5", "--out", "three.png", "--count", "7", "--threads", "1"));
    size_t a_bytes, b_bytes;
    char *a = command_file("one.png", &a_bytes), *b = command_file("three.png", &b_bytes);
    assert_false(a_bytes == b_bytes && memcmp(a, b, a_bytes) == 0);
    free(a);
    free(b);
}

static void inspect_a_configuration(void **state) {
    (void)state;
    const command_result *result = FOVEA("inspect", "tiny.ini", "model.width=1", "preprocess.size=256");
    command_expect_good(result);
    assert_non_null(strstr(result->out, "parameters"));
    assert_non_null(strstr(result->out, "memory"));
    assert_false(command_exists("runs/phantoms_120_1_512"));
    EXPECT_COMPLAINT(FOVEA("inspect"), 2, "give a model file or a configuration");
    EXPECT_COMPLAINT(FOVEA("inspect", "tiny.ini", "model.width=wide"), 2, "[model] width = wide");
    EXPECT_COMPLAINT(FOVEA("inspect", "tiny.ini", "model.widht=1"), 2, "widht", "did you mean \"width\"?");
    EXPECT_COMPLAINT(FOVEA("inspect", "drawn"), 2, "the folder drawn holds no trained model");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(phantoms_follow_from_the_seed),
        cmocka_unit_test(sheet_of_phantoms),
        cmocka_unit_test(wrong_words_for_phantom),
        cmocka_unit_test(a_sound_data_set),
        cmocka_unit_test(a_spoiled_data_set),
        cmocka_unit_test(renamed_columns_and_another_root),
        cmocka_unit_test(a_warning_is_said_once),
        cmocka_unit_test(report_of_names_that_are_not_utf8),
        cmocka_unit_test(wrong_words_for_data),
        cmocka_unit_test(sheet_of_augmented_samples),
        cmocka_unit_test(inspect_a_configuration),
    };
    return cmocka_run_group_tests(tests, setup, command_teardown);
}
