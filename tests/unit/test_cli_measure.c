/* fovea measure as a user runs it, and the vessel measures of fovea predict. */
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "command.h"
#include "fovea/base/csv.h"
#include "fovea/base/file.h"
#include "fovea/image/image_file.h"
#include "temporary.h"
#include "vessel_shapes.h"

static void save(fv_image *mask, const char *name) {
    assert_int_equal(fv_image_write_png(mask, temporary_path(name)), FV_OK);
    fv_image_free(mask);
}

static void write_disc(const char *name, double x, double y, double radius) {
    fv_image mask = shape_blank(200);
    for (int i = 0; i < 200 * 200; i++) mask.data[i] = hypot(i % 200 - x, i / 200 - y) <= radius ? 255 : 0;
    save(&mask, name);
}

/* Two photographs: a horizontal bar of 5 px, and nothing. */
static int setup(void **state) {
    if (command_setup(state) != 0) return -1;
    command_write_tiny_ini();
    command_expect_good(FOVEA("train", "tiny.ini", "run.dir=run", "model.classes=vessel disc", "train.epochs=1",
                              "--quiet", "--threads", "1"));
    assert_int_equal(fv_folder_make(temporary_path("bv")), FV_OK);
    assert_int_equal(fv_folder_make(temporary_path("fov")), FV_OK);
    assert_int_equal(fv_folder_make(temporary_path("od")), FV_OK);
    fv_image bar = shape_blank(200), empty = shape_blank(200), small = shape_blank(50);
    shape_bar(&bar, 20, 100, 180, 100, 5);
    save(&bar, "bv/bar.png");
    save(&empty, "bv/empty.png");
    save(&small, "small.png");
    write_disc("fov/bar.png", 100, 100, 95);
    write_disc("fov/empty.png", 100, 100, 95);
    write_disc("od/bar.png", 100, 100, 10);
    write_disc("od/empty.png", 100, 100, 10);
    return 0;
}

static fv_csv read_table(const char *name) {
    fv_csv table;
    if (fv_csv_read(temporary_path(name), FV_CSV_LIMITS, &table) != FV_OK) fail_msg("%s", fv_error());
    return table;
}

static const char *cell(const fv_csv *table, int row, const char *column) {
    const int index = fv_csv_column(table, column);
    if (index < 0) fail_msg("no column %s", column);
    return fv_csv_cell(table, row, index);
}

static void folders(void **state) {
    (void)state;
    command_expect_good(FOVEA("measure", "bv", "--fov", "fov", "--disc", "od", "--um-per-px", "10", "--out", "out",
                              "--json", "out.json", "--quiet"));
    assert_int_equal(command_count("out"), 3);
    assert_true(command_exists("out/bar_measures.png") && command_exists("out/empty_measures.png"));
    fv_csv table = read_table("out/measures.csv");
    assert_int_equal(table.rows, 2);
    assert_string_equal(cell(&table, 0, "name"), "bar");
    assert_float_equal(atof(cell(&table, 0, "width_median_px")), 5, 1e-6);
    assert_float_equal(atof(cell(&table, 0, "width_median_um")), 50, 1e-6);
    assert_float_equal(atof(cell(&table, 0, "zone_b_density_ratio")), 0.06, 0.02); /* 2 x 10 x 5 of 500 pi */
    assert_string_equal(cell(&table, 0, "scale_source"), "user");
    assert_string_equal(cell(&table, 1, "density_ratio"), "0");
    assert_string_equal(cell(&table, 1, "mean_width_px"), ""); /* missing is empty */
    assert_non_null(strstr(cell(&table, 0, "notice"), "not a medical device"));
    fv_csv_free(&table);
    size_t bytes;
    char *text = command_file("out.json", &bytes);
    cJSON *root = cJSON_Parse(text);
    const cJSON *first = cJSON_GetArrayItem(cJSON_GetObjectItem(root, "photographs"), 0);
    assert_float_equal(cJSON_GetObjectItem(first, "width_median_um")->valuedouble, 50, 1e-6);
    assert_string_equal(cJSON_GetObjectItem(first, "scale_source")->valuestring, "user");
    cJSON_Delete(root);
    free(text);
}

/* Without options a table on standard output, and not a micrometre in it. */
static void plain(void **state) {
    (void)state;
    const command_result *result = FOVEA("measure", "bv/bar.png", "--quiet");
    command_expect_good(result);
    command_write("plain.csv", result->out, strlen(result->out));
    fv_csv table = read_table("plain.csv");
    assert_string_equal(cell(&table, 0, "scale_source"), "none");
    for (int i = 0; i < table.columns; i++)
        if (strstr(table.header[i], "_um") || strncmp(table.header[i], "um_", 3) == 0)
            assert_string_equal(fv_csv_cell(&table, 0, i), "");
    assert_string_equal(cell(&table, 0, "zone_b_density_ratio"), "");
    fv_csv_free(&table);
}

static void scale_from_the_field(void **state) {
    (void)state;
    command_expect_good(FOVEA("measure", "bv/bar.png", "--fov", "fov/bar.png", "--fov-degrees", "45", "--axial-length",
                              "24", "--csv", "scale.csv", "--quiet"));
    fv_csv table = read_table("scale.csv");
    assert_string_equal(cell(&table, 0, "scale_source"), "fov+AL");
    assert_float_equal(atof(cell(&table, 0, "um_per_px")), 13034.7 / 191, 0.1); /* 191 px across */
    fv_csv_free(&table);
}

static void complaints(void **state) {
    (void)state;
    EXPECT_COMPLAINT(FOVEA("measure"), 2, "at least one mask");
    EXPECT_COMPLAINT(FOVEA("measure", "missing.png"), 2, "missing.png");
    EXPECT_COMPLAINT(FOVEA("measure", "small.png", "--fov", "fov"), 2, "no mask named small");
    EXPECT_COMPLAINT(FOVEA("measure", "small.png", "--fov", "fov/bar.png"), 2, "200 x 200", "50 x 50");
    EXPECT_COMPLAINT(FOVEA("measure", "bv/bar.png", "--disc", "bv/empty.png"), 2, "disc is empty");
    EXPECT_COMPLAINT(FOVEA("measure", "bv/bar.png", "--fov", "bv/empty.png"), 2, "field of view");
    EXPECT_COMPLAINT(FOVEA("measure", "bv/bar.png", "--fov-degrees", "45"), 2, "--fov");
    EXPECT_COMPLAINT(FOVEA("measure", "bv/bar.png", "--axial-length", "24"), 2, "--fov-degrees");
    EXPECT_COMPLAINT(FOVEA("measure", "bv/bar.png", "--um-per-px", "0"), 2, "above 0");
    EXPECT_COMPLAINT(FOVEA("measure", "bv/bar.png", "--out", "bv"), 2, "--out bv");
    EXPECT_COMPLAINT(FOVEA("measure", "bv/bar.png", "--csv", "-", "--json", "-"), 2, "--csv - and --json -",
                     "standard output");
    assert_int_equal(fv_folder_make(temporary_path("bare")), FV_OK);
    EXPECT_COMPLAINT(FOVEA("measure", "bv", "--disc", "bare", "--out", "none"), 2, "the folder bare has no");
    assert_false(command_exists("none"));
}

/* Ctrl-C: what was measured so far is kept. */
static void interrupted(void **state) {
    (void)state;
    assert_int_equal(fv_folder_make(temporary_path("many")), FV_OK);
    for (int i = 0; i < 60; i++) {
        char name[64];
        snprintf(name, sizeof name, "many/%02d.png", i);
        command_copy("bv/bar.png", name);
    }
    pid_t pid = command_start((const char *const[]){"measure", "many", "--out", "part", "--json", "part.json",
                                                    "--threads", "1", "--quiet", NULL});
    struct timespec nap = {.tv_nsec = 1000000};
    for (int i = 0; i < 60000 && !command_exists("part/01_measures.png"); i++) nanosleep(&nap, NULL);
    kill(pid, SIGINT);
    assert_int_equal(command_wait(pid)->code, 130);
    fv_csv table = read_table("part/measures.csv");
    assert_true(table.rows >= 2 && table.rows < 60);
    assert_int_equal(command_count("part"), table.rows + 1); /* a picture a row, and the table */
    assert_string_equal(cell(&table, 1, "name"), "01");
    size_t bytes;
    char *text = command_file("part.json", &bytes);
    cJSON *root = cJSON_Parse(text);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(root, "photographs")), table.rows);
    cJSON_Delete(root);
    free(text);
    fv_csv_free(&table);
}

/* A model of vessels and disc: the same table from photographs. */
static void of_a_prediction(void **state) {
    (void)state;
    command_expect_good(FOVEA("predict", "run", "runs/phantoms_12_1_96/images/0010.png",
                              "runs/phantoms_12_1_96/images/0011.png", "--out", "new", "--quiet", "--threads", "1"));
    assert_true(command_exists("new/0010_measures.png"));
    fv_csv table = read_table("new/measures.csv");
    assert_int_equal(table.rows, 2);
    size_t bytes;
    char *text = command_file("new/0010.json", &bytes);
    cJSON *root = cJSON_Parse(text);
    const cJSON *vessels = cJSON_GetObjectItem(root, "vessels");
    assert_non_null(vessels);
    assert_float_equal(cJSON_GetObjectItem(vessels, "density_ratio")->valuedouble,
                       atof(cell(&table, 0, "density_ratio")), 1e-9);
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(vessels, "mean_width_um")));
    cJSON_Delete(root);
    free(text);
    fv_csv_free(&table);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folders),    cmocka_unit_test(plain),       cmocka_unit_test(scale_from_the_field),
        cmocka_unit_test(complaints), cmocka_unit_test(interrupted), cmocka_unit_test(of_a_prediction),
    };
    return cmocka_run_group_tests(tests, setup, command_teardown);
}
