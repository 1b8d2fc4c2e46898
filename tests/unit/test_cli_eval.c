/* `fovea eval`: its figures against the same figures worked out from the masks that `fovea predict` writes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "command.h"
#include "fovea/clinical/cdr.h"
#include "fovea/eval/metrics.h"
#include "fovea/image/image_file.h"
#include "temporary.h"

#define PHANTOMS "runs/phantoms_12_1_96"

static int setup(void **state) {
    if (command_setup(state) != 0) return -1;
    command_write_tiny_ini();
    command_expect_good(FOVEA("train", "tiny.ini", "run.dir=run", "preprocess.size=64", "train.epochs=8", "loss.bce=0",
                              "optimizer.rate=3e-2", "optimizer.average_decay=0", "augment.enabled=no", "--quiet",
                              "--threads", "1"));
    return 0;
}

/* ---- JSON ---- */

static double number_at(const cJSON *root, const char *a, const char *b, const char *c) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, a);
    if (b) item = cJSON_GetObjectItemCaseSensitive(item, b);
    if (c) item = cJSON_GetObjectItemCaseSensitive(item, c);
    if (!cJSON_IsNumber(item)) fail_msg("no number at %s %s %s", a, b ? b : "", c ? c : "");
    return item->valuedouble;
}

static cJSON *parse(const char *text) {
    cJSON *root = cJSON_Parse(text);
    if (!root) fail_msg("no JSON: %s", text);
    return root;
}

/* Without the time, which differs from run to run. */
static char *figures_of(const char *text) {
    cJSON *root = parse(text);
    cJSON_DeleteItemFromObject(root, "seconds");
    char *figures = cJSON_Print(root);
    cJSON_Delete(root);
    return figures;
}

static void expect_same_figures(const char *a, const char *b) {
    char *first = figures_of(a), *second = figures_of(b);
    assert_string_equal(first, second);
    free(first);
    free(second);
}

/* ---- the same from mask files ---- */

static void read_grey(const char *format, const char *name, fv_image *image) {
    char path[256];
    snprintf(path, sizeof path, format, name);
    assert_int_equal(fv_image_read(temporary_path(path), 1, image), FV_OK);
}

static void add_case(const char *name, double *disc_dice, double *cup_iou, double *error) {
    fv_image disc, cup, true_disc, true_cup;
    fv_cdr cdr, true_cdr;
    read_grey("masks/%s_disc.png", name, &disc);
    read_grey("masks/%s_cup.png", name, &cup);
    read_grey(PHANTOMS "/od/%s.png", name, &true_disc);
    read_grey(PHANTOMS "/oc/%s.png", name, &true_cup);
    fv_confusion counts = fv_confusion_count(&disc, &true_disc, NULL);
    *disc_dice += fv_dice(&counts) / 2;
    counts = fv_confusion_count(&cup, &true_cup, NULL);
    *cup_iou += fv_iou(&counts) / 2;
    assert_int_equal(fv_cdr_measure(&disc, &cup, &cdr), FV_OK);
    assert_int_equal(fv_cdr_measure(&true_disc, &true_cup, &true_cdr), FV_OK);
    assert_true(cdr.disc_found);
    *error += fabs(cdr.vcdr - true_cdr.vcdr) / 2;
    fv_image_free(&disc);
    fv_image_free(&cup);
    fv_image_free(&true_disc);
    fv_image_free(&true_cup);
}

static void figures_follow_from_the_masks(void **state) {
    (void)state;
    const command_result *result = FOVEA("eval", "run", "--split", "test", "--json", "-", "--quiet", "--threads", "1");
    command_expect_good(result);
    assert_string_equal(result->err, "");
    cJSON *root = parse(result->out);
    command_expect_good(FOVEA("predict", "run", PHANTOMS "/images/0010.png", PHANTOMS "/images/0011.png", "--out",
                              "masks", "--quiet", "--threads", "1"));
    double disc_dice = 0, cup_iou = 0, error = 0;
    add_case("0010", &disc_dice, &cup_iou, &error);
    add_case("0011", &disc_dice, &cup_iou, &error);
    assert_true(disc_dice > 0.1);
    assert_int_equal(number_at(root, "n", NULL, NULL), 2);
    const cJSON *classes = cJSON_GetObjectItemCaseSensitive(root, "classes");
    assert_true(fabs(number_at(classes, "disc", "dice", "mean") - disc_dice) < 1e-9);
    assert_true(fabs(number_at(classes, "cup", "iou", "mean") - cup_iou) < 1e-9);
    assert_true(number_at(classes, "disc", "dice", "lo") <= disc_dice);
    assert_true(number_at(classes, "disc", "dice", "hi") >= disc_dice);
    assert_true(fabs(number_at(root, "vcdr", "mae", NULL) - error) < 1e-9);
    assert_true(fabs(number_at(root, "vcdr", "bias", NULL)) <= error + 1e-9);
    assert_int_equal(number_at(root, "vcdr", "n", NULL), 2);
    cJSON_Delete(root);
}

static void a_table_with_other_column_names(void **state) {
    (void)state;
    static const char table[] = "photo,optic_disc,optic_cup\n"
                                "images/0010.png,od/0010.png,oc/0010.png\n"
                                "images/0011.png,od/0011.png,oc/0011.png\n";
    command_write_text("table.csv", table);
    const command_result *result =
        FOVEA("eval", "run/best.safetensors", "--manifest", "table.csv", "--root", PHANTOMS, "--column", "fundus=photo",
              "--column", "od=optic_disc", "--column", "oc=optic_cup", "--json", "table.json", "--threads", "1");
    command_expect_good(result);
    assert_non_null(strstr(result->out, "run/best.safetensors, all photographs: 2 photographs in "));
    assert_non_null(strstr(result->out, "  disc     Dice "));
    size_t bytes;
    char *text = command_file("table.json", &bytes);
    result = FOVEA("eval", "run", "--split", "test", "--json", "-", "--quiet", "--threads", "1");
    command_expect_good(result);
    /* the phantoms' own table also gives experts' ratios */
    cJSON *own = parse(result->out), *renamed = parse(text);
    cJSON_DeleteItemFromObject(own, "vcdr_expert");
    cJSON_DeleteItemFromObject(renamed, "vcdr_expert");
    char *a = cJSON_Print(own), *b = cJSON_Print(renamed);
    expect_same_figures(a, b);
    cJSON_Delete(own);
    cJSON_Delete(renamed);
    free(a);
    free(b);
    free(text);
}

static void folder_of_results(void **state) {
    (void)state;
    command_expect_good(FOVEA("eval", "run", "--split", "all", "--out", "a/b", "--quiet", "--threads", "2"));
    assert_int_equal(command_count("a/b"), 3);
    size_t bytes;
    char *json = command_file("a/b/evaluation.json", &bytes);
    cJSON *root = parse(json);
    assert_int_equal(number_at(root, "n", NULL, NULL), 12);
    cJSON_Delete(root);
    char *csv = command_file("a/b/images.csv", &bytes);
    assert_memory_equal(csv, "set,name,", 9);
    assert_non_null(strstr(csv, "\nphantoms,0000,"));
    assert_non_null(strstr(csv, "\nphantoms,0011,"));
    free(csv);
    const command_result *result = FOVEA("eval", "run", "--split", "all", "--json", "-", "--quiet", "--threads", "1");
    command_expect_good(result);
    expect_same_figures(json, result->out);
    free(json);
}

static void validation_split_is_the_standard(void **state) {
    (void)state;
    const command_result *result = FOVEA("eval", "run", "--quiet", "--threads", "1");
    command_expect_good(result);
    assert_memory_equal(result->out, "run, val: 2 photographs in ", 27);
    assert_null(strstr(result->out, "nan"));
}

/* A network that finds nothing: no ratio, and that is said. */
static void missed_discs_are_counted(void **state) {
    (void)state;
    command_expect_good(FOVEA("train", "tiny.ini", "run.dir=blind", "train.epochs=1", "model.threshold=0.99", "--quiet",
                              "--threads", "1"));
    const command_result *result =
        FOVEA("eval", "blind", "--json", "blind.json", "--out", "blind_out", "--quiet", "--threads", "1");
    command_expect_good(result);
    assert_non_null(strstr(result->out, "  no disc was found in 2 photographs that have one"));
    size_t bytes;
    char *text = command_file("blind.json", &bytes);
    cJSON *root = parse(text);
    assert_int_equal(number_at(root, "vcdr", "missed", NULL), 2);
    assert_int_equal(number_at(root, "vcdr", "n", NULL), 0);
    cJSON_Delete(root);
    free(text);
    result = FOVEA("eval", "run", "--split", "test", "--json", "-", "--threads", "1");
    command_expect_good(result);
    root = parse(result->out);
    assert_int_equal(number_at(root, "vcdr", "missed", NULL), 0);
    assert_null(strstr(result->err, "no disc was found"));
    cJSON_Delete(root);
}

/* Where cup and disc are not both annotated no disc is measured, and the cell is empty. */
static void cells_of_what_was_not_measured(void **state) {
    (void)state;
    command_write_text("disc.csv", "fundus,od\nimages/0010.png,od/0010.png\n");
    command_expect_good(FOVEA("eval", "run", "--manifest", "disc.csv", "--root", PHANTOMS, "--out", "disc_only",
                              "--quiet", "--threads", "1"));
    size_t bytes;
    char *csv = command_file("disc_only/images.csv", &bytes);
    assert_non_null(strstr(csv, "\ndata,0010,,"));
    free(csv);
}

/* eval.flips of the run counts as the option does. */
static void flips_of_the_run(void **state) {
    (void)state;
    size_t bytes;
    char *plain, *config = command_file("run/config.ini", &bytes), *flips = strstr(config, "flips = no");
    assert_non_null(flips);
    const command_result *result = FOVEA("eval", "run", "--json", "-", "--quiet", "--threads", "1");
    command_expect_good(result);
    plain = figures_of(result->out);
    command_expect_good(FOVEA("eval", "run", "--flips", "--json", "option.json", "--quiet", "--threads", "1"));
    assert_int_equal(mkdir(temporary_path("flipped"), 0777), 0);
    command_copy("run/best.safetensors", "flipped/best.safetensors");
    memcpy(flips, "flips = 1 ", 10);
    command_write_text("flipped/config.ini", config);
    result = FOVEA("eval", "flipped", "--json", "-", "--quiet", "--threads", "1");
    command_expect_good(result);
    char *with_flips = figures_of(result->out), *option = command_file("option.json", &bytes);
    expect_same_figures(result->out, option);
    assert_string_not_equal(plain, with_flips);
    free(plain);
    free(with_flips);
    free(option);
    free(config);
}

static void what_is_wrong_is_told(void **state) {
    (void)state;
    command_write_text("table.csv", "fundus,od\na.png,b.png\n");
    command_write_text("train.csv", "fundus,od,oc,split\nimages/0001.png,od/0001.png,oc/0001.png,train\n");
    EXPECT_COMPLAINT(FOVEA("eval"), 2, "give one run folder or model file");
    EXPECT_COMPLAINT(FOVEA("eval", "run", "more"), 2, "give one run folder or model file");
    EXPECT_COMPLAINT(FOVEA("eval", "nothing"), 2, "nothing: there is no such file");
    EXPECT_COMPLAINT(FOVEA("eval", "runs"), 2, "the folder runs holds no trained model");
    EXPECT_COMPLAINT(FOVEA("eval", "run/best.safetensors"), 2, "run/best.safetensors", "--manifest");
    EXPECT_COMPLAINT(FOVEA("eval", "run", "--split", "validation"), 2, "--split validation: expected train, val, test");
    EXPECT_COMPLAINT(FOVEA("eval", "run", "--manifest", "no.csv"), 2, "no.csv: there is no such file");
    EXPECT_COMPLAINT(FOVEA("eval", "run", "--manifest", "table.csv", "--column", "oc=optic_cup"), 2, "table.csv",
                     "optic_cup");
    EXPECT_COMPLAINT(FOVEA("eval", "run", "--manifest", "table.csv", "--column", "cupp=x"), 2, "cupp");
    EXPECT_COMPLAINT(FOVEA("eval", "run", "--manifest", "train.csv", "--root", PHANTOMS, "--split", "test", "--quiet"),
                     2, "test");
    EXPECT_COMPLAINT(FOVEA("eval", "run", "--manifest", "table.csv", "--quiet"), 2, "a.png: there is no such file");
    EXPECT_COMPLAINT(FOVEA("eval", "run", "--root", PHANTOMS), 2,
                     "--root, --fov-degrees, --column and --mask-threshold", "--manifest");
    EXPECT_COMPLAINT(FOVEA("eval", "run", "--column", "od=x"), 2, "--manifest");
    EXPECT_COMPLAINT(FOVEA("eval", "run", "--mask-threshold", "127"), 2, "--manifest");
    EXPECT_COMPLAINT(FOVEA("eval", "run", "--out", "tiny.ini/x", "--quiet"), 2, "tiny.ini/x", "in the way");
}

static void full_standard_output(void **state) {
    (void)state;
    command_output_to("/dev/full");
    EXPECT_COMPLAINT(FOVEA("eval", "run", "--json", "-", "--quiet", "--threads", "1"), 3, "standard output",
                     "disk full");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_follow_from_the_masks),
        cmocka_unit_test(a_table_with_other_column_names),
        cmocka_unit_test(folder_of_results),
        cmocka_unit_test(validation_split_is_the_standard),
        cmocka_unit_test(missed_discs_are_counted),
        cmocka_unit_test(cells_of_what_was_not_measured),
        cmocka_unit_test(flips_of_the_run),
        cmocka_unit_test(what_is_wrong_is_told),
        cmocka_unit_test(full_standard_output),
    };
    return cmocka_run_group_tests(tests, setup, command_teardown);
}
