/* `fovea eval` of vessels: the field of view, the threshold from validation, a second reader, several sets. */
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
#include "fovea/dataset/phantom.h"
#include "fovea/image/image_file.h"
#include "fovea/tensor/safetensors.h"
#include "temporary.h"

#define PHANTOMS "runs/phantoms_12_1_96"
#define TRAIN                                                                                                          \
    "train", "tiny.ini", "model.network=unet", "model.width=1", "model.base=8", "model.depth=2",                       \
        "model.classes=vessel", "preprocess.fov_diameter=80", "preprocess.size=64", "train.epochs=6",                  \
        "optimizer.rate=1e-2", "optimizer.average_decay=0", "--quiet", "--threads", "1"

static int setup(void **state) {
    if (command_setup(state) != 0) return -1;
    command_write_tiny_ini();
    command_expect_good(FOVEA(TRAIN, "run.dir=run"));
    return 0;
}

/* ---- figures ---- */

static cJSON *parse(const char *text) {
    cJSON *root = cJSON_Parse(text);
    if (!root) fail_msg("no JSON: %s", text);
    return root;
}

/* Number at a path of names, "classes.vessel.dice.mean". */
static double number_at(const cJSON *item, const char *path) {
    char words[128], *rest = NULL;
    snprintf(words, sizeof words, "%s", path);
    for (char *word = strtok_r(words, ".", &rest); word; word = strtok_r(NULL, ".", &rest))
        item = cJSON_GetObjectItemCaseSensitive(item, word);
    if (!cJSON_IsNumber(item)) fail_msg("no number at %s", path);
    return item->valuedouble;
}

/* Figures of the run on a table, free with cJSON_Delete(); without the time. */
static cJSON *figures_on(const char *table) {
    const command_result *result =
        FOVEA("eval", "run", "--manifest", table, "--root", PHANTOMS, "--json", "-", "--quiet", "--threads", "1");
    command_expect_good(result);
    cJSON *root = parse(result->out);
    cJSON_DeleteItemFromObject(root, "seconds");
    return root;
}

static double val_dice(const char *threshold) {
    const command_result *result =
        FOVEA("eval", "run", "--split", "val", "--threshold", threshold, "--json", "-", "--quiet", "--threads", "1");
    command_expect_good(result);
    cJSON *root = parse(result->out);
    double dice = number_at(root, "classes.vessel.dice.mean");
    cJSON_Delete(root);
    return dice;
}

/* ---- threshold ---- */

static cJSON *origin_of(const char *model) {
    fv_safetensors file;
    assert_int_equal(fv_safetensors_read(temporary_path(model), &file), FV_OK);
    const char *text = fv_safetensors_metadata(&file, "fovea.thresholds");
    cJSON *root = text ? parse(text) : NULL;
    assert_non_null(fv_safetensors_metadata(&file, "fovea.config"));
    fv_safetensors_free(&file);
    return root;
}

static void training_ends_with_a_threshold_as_good_as_the_best(void **state) {
    (void)state;
    cJSON *origin = origin_of("run/best.safetensors");
    assert_non_null(origin);
    double threshold = number_at(origin, "classes.vessel.threshold"), dice = number_at(origin, "classes.vessel.dice");
    assert_int_equal(number_at(origin, "classes.vessel.photographs"), 2);
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(origin, "split")->valuestring, "val");
    cJSON_Delete(origin);
    char text[16];
    snprintf(text, sizeof text, "%.2f", threshold);
    print_message("threshold %s, Dice %.4f\n", text, dice);
    assert_true(dice > 0.2);
    assert_float_equal(val_dice(text), dice, 1e-4);
    for (int t = 5; t <= 95; t += 6) {
        snprintf(text, sizeof text, "%.2f", t / 100.0);
        assert_true(val_dice(text) <= dice + 0.002 + 1e-4); /* none is better by more than what counts as as good */
    }
    const command_result *result = FOVEA("eval", "run", "--json", "-", "--quiet", "--threads", "1");
    command_expect_good(result); /* the file's threshold is used without being named */
    cJSON *root = parse(result->out);
    assert_float_equal(number_at(root, "classes.vessel.dice.mean"), dice, 1e-4);
    cJSON_Delete(root);
}

/* Training a finished run again, and choosing again, leave the file as it is; "fixed" gives the configured one back. */
static void choosing_again_gives_the_same_file(void **state) {
    (void)state;
    command_copy("run/best.safetensors", "first.safetensors");
    command_expect_good(FOVEA(TRAIN, "run.dir=run"));
    command_expect_same_file("run/best.safetensors", "first.safetensors");
    command_expect_good(FOVEA("eval", "run", "--choose-threshold", "--quiet", "--threads", "2"));
    command_expect_same_file("run/best.safetensors", "first.safetensors");
    command_expect_good(FOVEA(TRAIN, "run.dir=run", "eval.threshold=fixed"));
    assert_null(origin_of("run/best.safetensors"));
    command_expect_same_tensors("run/best.safetensors", "first.safetensors");
    command_expect_good(FOVEA(TRAIN, "run.dir=run", "eval.threshold=validation"));
    cJSON *origin = origin_of("run/best.safetensors");
    assert_non_null(origin);
    cJSON_Delete(origin);
}

/* ---- field of view ---- */

/* Copies a phantom's mask with everything outside its field set. */
static void write_spoilt(const char *name) {
    char path[64];
    fv_image mask, fov;
    snprintf(path, sizeof path, PHANTOMS "/bv/%s.png", name);
    assert_int_equal(fv_image_read(temporary_path(path), 1, &mask), FV_OK);
    snprintf(path, sizeof path, PHANTOMS "/fov/%s.png", name);
    assert_int_equal(fv_image_read(temporary_path(path), 1, &fov), FV_OK);
    int spoilt = 0;
    for (int i = 0; i < mask.width * mask.height; i++)
        if (fov.data[i] == 0) mask.data[i] = 255, spoilt++;
    assert_true(spoilt > 100);
    snprintf(path, sizeof path, PHANTOMS "/bv/spoilt_%s.png", name);
    assert_int_equal(fv_image_write_png(&mask, temporary_path(path)), FV_OK);
    fv_image_free(&mask);
    fv_image_free(&fov);
}

static void errors_outside_the_field_do_not_count(void **state) {
    (void)state;
    command_write_text("good.csv", "fundus,bv,fov\nimages/0010.png,bv/0010.png,fov/0010.png\n");
    command_write_text("spoilt.csv", "fundus,bv,fov\nimages/0010.png,bv/spoilt_0010.png,fov/0010.png\n");
    command_write_text("found.csv", "fundus,bv\nimages/0010.png,bv/0010.png\n");
    write_spoilt("0010");
    cJSON *good = figures_on("good.csv"), *spoilt = figures_on("spoilt.csv"), *found = figures_on("found.csv");
    assert_true(cJSON_Compare(good, spoilt, true));
    double dice = number_at(good, "classes.vessel.dice.mean"), auc = number_at(good, "classes.vessel.auc.mean");
    assert_true(dice > 0.2 && auc > 0.5 && auc < 1);
    assert_true(auc == number_at(good, "classes.vessel.pooled_auc"));
    /* The field is found where none is given: nearly the same pixels. */
    assert_float_equal(number_at(found, "classes.vessel.dice.mean"), dice, 0.05);
    assert_true(number_at(found, "classes.vessel.specificity.mean") < 1);
    cJSON_Delete(good);
    cJSON_Delete(spoilt);
    cJSON_Delete(found);
}

/* ---- second reader ---- */

static void a_second_reader_stands_beside_the_model(void **state) {
    (void)state;
    command_write_text("second.csv", "fundus,bv,fov,bv2\n"
                                     "images/0010.png,bv/0010.png,fov/0010.png,bv/0010.png\n"
                                     "images/0011.png,bv/0011.png,fov/0011.png,bv/0010.png\n"
                                     "images/0009.png,bv/0009.png,fov/0009.png,\n");
    cJSON *root = figures_on("second.csv");
    assert_int_equal(number_at(root, "classes.vessel.dice.n"), 3);
    assert_int_equal(number_at(root, "classes.vessel.second_reader.dice.n"), 2);
    assert_true(number_at(root, "classes.vessel.second_reader.dice.hi") == 1); /* the same mask */
    assert_true(number_at(root, "classes.vessel.second_reader.dice.mean") < 0.9);
    assert_int_equal(number_at(root, "vessel_density_second.n"), 2);
    cJSON_Delete(root);
    const command_result *result = FOVEA("eval", "run", "--manifest", "second.csv", "--root", PHANTOMS, "--out",
                                         "second", "--quiet", "--threads", "1");
    command_expect_good(result);
    assert_non_null(strstr(result->out, "second reader (2 photographs)"));
    size_t bytes;
    char *csv = command_file("second/images.csv", &bytes);
    assert_non_null(strstr(csv, ",vessel_dice_second,"));
    free(csv);
    result = FOVEA("eval", "run", "--quiet", "--threads", "1");
    command_expect_good(result);
    assert_null(strstr(result->out, "second reader"));
}

/* ---- several sets ---- */

static void several_sets_in_one_go(void **state) {
    (void)state;
    if (fv_phantom_write_set(temporary_path("other"), 8, 5, 96) != FV_OK) fail_msg("%s", fv_error());
    const command_result *result = FOVEA("eval", "run", "--on", PHANTOMS ",other/index.csv", "--out", "cross", "--json",
                                         "cross.json", "--quiet", "--threads", "1");
    command_expect_good(result);
    assert_non_null(strstr(result->out, "\n  other "));
    assert_non_null(strstr(result->out,
                           "  set          split    n  class   Dice   95 % interval     AUC     sens.   spec.   "
                           "clDice  density ccc, bias\n"));
    size_t bytes;
    char *text = command_file("cross.json", &bytes);
    cJSON *root = parse(text), *sets = cJSON_GetObjectItemCaseSensitive(root, "sets");
    cJSON *own = cJSON_GetObjectItemCaseSensitive(sets, "phantoms_12_1_96");
    assert_int_equal(cJSON_GetArraySize(sets), 2);
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(own, "split")->valuestring, "test");
    assert_int_equal(number_at(own, "figures.n"), 2);
    result = FOVEA("eval", "run", "--split", "test", "--json", "-", "--quiet", "--threads", "1");
    command_expect_good(result);
    cJSON *alone = parse(result->out);
    assert_true(number_at(own, "figures.classes.vessel.dice.mean") == number_at(alone, "classes.vessel.dice.mean"));
    cJSON_Delete(alone);
    cJSON_Delete(root);
    free(text);
    assert_int_equal(command_count("cross"), 4);
    assert_int_equal(command_count("cross/other"), 3);
    text = command_file("cross/sets.csv", &bytes);
    assert_non_null(strstr(text, "\nother,test,vessel,1,"));
    const char *columns = "set,split,class,n,dice,iou,precision,recall,specificity,accuracy,cldice,auc,dice_lo,dice_hi,"
                          "pooled_auc,density_ccc,density_relative_bias\n";
    assert_memory_equal(text, columns, strlen(columns));
    free(text);
    result = FOVEA("eval", "run", "--on", "other", "--split", "all", "--quiet", "--threads", "1");
    command_expect_good(result);
    assert_non_null(strstr(result->out, "  all      8 "));
}

/* A model of 40 px a 45 degrees sees a camera of 90 degrees as one of 80 px sees it that was told nothing. */
static void the_angle_of_the_camera_sets_the_scale(void **state) {
    (void)state;
    command_expect_good(FOVEA(TRAIN, "run.dir=angle", "preprocess.fov_diameter=40", "preprocess.fov_degrees=45",
                              "data.manifest=" PHANTOMS "/index.csv", "data.fov_degrees=90"));
    command_expect_good(FOVEA(TRAIN, "run.dir=plain", "data.manifest=" PHANTOMS "/index.csv"));
    const command_result *result = FOVEA("eval", "plain", "--on", PHANTOMS, "--quiet", "--threads", "1");
    command_expect_good(result);
    char *plain = strdup(strstr(result->out, "phantoms_12"));
    result = FOVEA("eval", "angle", "--on", PHANTOMS ":90", "--quiet", "--threads", "1");
    command_expect_good(result);
    assert_string_equal(strstr(result->out, "phantoms_12"), plain);
    result = FOVEA("eval", "angle", "--on", PHANTOMS, "--quiet", "--threads", "1");
    command_expect_good(result);
    assert_string_not_equal(strstr(result->out, "phantoms_12"), plain);
    free(plain);
}

/* ---- flips ---- */

static double dice_of(const char *const *words, const char *path) {
    const command_result *result = command_run(words);
    command_expect_good(result);
    cJSON *root = parse(result->out);
    double dice = number_at(root, path);
    cJSON_Delete(root);
    return dice;
}

#define DICE(path, ...) dice_of((const char *const[]){"eval", __VA_ARGS__, "--json", "-", "--quiet", NULL}, path)

/* eval.flips of a run holds for its own photographs, tables, sets and predictions; not for its model file. */
static void a_run_with_flips_has_them_everywhere(void **state) {
    (void)state;
    const char *on_set = "sets.phantoms_12_1_96.figures.classes.vessel.dice.mean",
               *on_table = "classes.vessel.dice.mean";
    command_expect_good(FOVEA(TRAIN, "run.dir=flipped", "eval.flips=yes"));
    double own = DICE(on_table, "flipped", "--split", "test");
    double plain = DICE(on_set, "flipped/best.safetensors", "--on", PHANTOMS);
    assert_true(own != plain);
    assert_true(DICE(on_set, "flipped", "--on", PHANTOMS) == own);
    assert_true(DICE(on_set, "flipped/best.safetensors", "--on", PHANTOMS, "--flips") == own);
    assert_true(DICE(on_table, "flipped", "--manifest", PHANTOMS "/index.csv", "--split", "test") == own);
    const char *photo = PHANTOMS "/images/0011.png";
    command_expect_good(FOVEA("predict", "flipped", photo, "--out", "by_run", "--quiet"));
    command_expect_good(FOVEA("predict", "flipped/best.safetensors", photo, "--out", "by_flips", "--flips", "--quiet"));
    command_expect_good(FOVEA("predict", "flipped/best.safetensors", photo, "--out", "by_model", "--quiet"));
    command_expect_same_file("by_run/0011_vessel.png", "by_flips/0011_vessel.png");
    size_t bytes[2];
    char *masks[2] = {command_file("by_run/0011_vessel.png", &bytes[0]),
                      command_file("by_model/0011_vessel.png", &bytes[1])};
    assert_true(bytes[0] != bytes[1] || memcmp(masks[0], masks[1], bytes[0]) != 0);
    free(masks[0]);
    free(masks[1]);
    command_write_text("flipped/config.ini", "[eval]\nflips = perhaps\n");
    EXPECT_COMPLAINT(FOVEA("predict", "flipped", photo, "--out", "x", "--quiet"), 2, "config.ini", "flips", "perhaps");
    assert_false(command_exists("x"));
}

/* ---- bad input ---- */

static void what_is_wrong_is_told(void **state) {
    (void)state;
    fv_image black = {0};
    assert_int_equal(fv_image_make(96, 96, 1, &black), FV_OK);
    assert_int_equal(fv_image_write_png(&black, temporary_path(PHANTOMS "/black.png")), FV_OK);
    fv_image_free(&black);
    command_write_text("empty.csv", "fundus,bv,fov\nimages/0010.png,bv/0010.png,black.png\n");
    command_write_text("black.csv", "fundus,bv\nblack.png,bv/0010.png\n");
    command_write_text("disc.csv", "fundus,od\nimages/0010.png,od/0010.png\n");
    EXPECT_COMPLAINT(FOVEA("eval", "run", "--manifest", "empty.csv", "--root", PHANTOMS, "--quiet"), 2, "black.png",
                     "field of view is empty");
    EXPECT_COMPLAINT(FOVEA("eval", "run", "--manifest", "black.csv", "--root", PHANTOMS, "--quiet"), 2, "black.png");
    EXPECT_COMPLAINT(FOVEA("eval", "run", "--manifest", "disc.csv", "--root", PHANTOMS, "--quiet"), 2,
                     "no photograph with a mask of vessel");
    EXPECT_COMPLAINT(FOVEA("eval", "run", "--on", PHANTOMS ",disc.csv", "--out", "half", "--quiet"), 2,
                     "no photograph with a mask of vessel");
    assert_false(command_exists("half"));
    EXPECT_COMPLAINT(FOVEA("eval", "run", "--on", PHANTOMS ",unknown", "--quiet"), 2, "--on unknown", "index.csv");
    EXPECT_COMPLAINT(FOVEA("eval", "run", "--on", PHANTOMS "," PHANTOMS, "--quiet"), 2, "both called");
    EXPECT_COMPLAINT(FOVEA("eval", "run", "--on", PHANTOMS ":5", "--quiet"), 2, "behind the colon, 10 to 200");
    EXPECT_COMPLAINT(FOVEA("eval", "run", "--on", PHANTOMS ":4x", "--quiet"), 2, "behind the colon, 10 to 200");
    EXPECT_COMPLAINT(FOVEA("eval", "run", "--fov-degrees", "30"), 2, "--manifest");
    EXPECT_COMPLAINT(FOVEA("eval", "run", "--on", ",", "--quiet"), 2, "--on ,", "separated by commas");
    EXPECT_COMPLAINT(FOVEA("eval", "run", "--on", PHANTOMS, "--manifest", "disc.csv"), 2, "not both");
    EXPECT_COMPLAINT(FOVEA("eval", "run", "--on", PHANTOMS, "--choose-threshold"), 2, "--choose-threshold");
    EXPECT_COMPLAINT(FOVEA("eval", "run", "--threshold", "1.5"), 2, "--threshold");
    EXPECT_COMPLAINT(FOVEA(TRAIN, "run.dir=x", "eval.threshold=best"), 2, "eval", "validation", "fixed");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(training_ends_with_a_threshold_as_good_as_the_best),
        cmocka_unit_test(choosing_again_gives_the_same_file),
        cmocka_unit_test(errors_outside_the_field_do_not_count),
        cmocka_unit_test(a_second_reader_stands_beside_the_model),
        cmocka_unit_test(several_sets_in_one_go),
        cmocka_unit_test(the_angle_of_the_camera_sets_the_scale),
        cmocka_unit_test(a_run_with_flips_has_them_everywhere),
        cmocka_unit_test(what_is_wrong_is_told),
    };
    return cmocka_run_group_tests(tests, setup, command_teardown);
}
