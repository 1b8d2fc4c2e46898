/* fovea/fovea.h: what another program is given is what `fovea predict` writes, bit for bit, in one thread and in two.
 */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "command.h"
#include "fovea/fovea.h"
#include "fovea/image/image_file.h"
#include "temporary.h"

#define DISC_AND_CUP "discs/best.safetensors"
#define VESSELS "vessels/best.safetensors"

static fv_image photo; /* wider than high */

static int setup(void **state) {
    fv_image square;
    if (command_setup(state) != 0) return -1;
    command_write_tiny_ini();
    command_expect_good(FOVEA("train", "tiny.ini", "run.dir=discs", "preprocess.size=64", "train.epochs=8",
                              "loss.bce=0", "optimizer.rate=3e-2", "optimizer.average_decay=0", "augment.enabled=no",
                              "--quiet"));
    command_expect_good(FOVEA("train", "tiny.ini", "run.dir=vessels", "model.network=unet", "model.width=1",
                              "model.base=8", "model.depth=2", "model.classes=vessel", "preprocess.fov_diameter=160",
                              "preprocess.tile=128", "train.epochs=12", "optimizer.rate=1e-2",
                              "optimizer.average_decay=0", "--quiet"));
    if (fv_image_read(temporary_path("runs/phantoms_12_1_96/images/0011.png"), 3, &square) != FV_OK) return -1;
    if (fv_image_crop(&square, 0, 5, 96, 85, &photo) != FV_OK) return -1;
    fv_image_free(&square);
    return fv_image_write_png(&photo, temporary_path("eye.png")) == FV_OK ? 0 : -1;
}

static int teardown(void **state) {
    fv_image_free(&photo);
    return command_teardown(state);
}

static fv_analyser *open_model(const char *name) {
    fv_analyser *analyser;
    if (fv_analyser_open(temporary_path(name), &analyser) != FV_OK) fail_msg("%s", fv_error());
    return analyser;
}

static fv_analysis *analyse(fv_analyser *analyser) {
    fv_analysis *analysis;
    if (fv_analyse(analyser, photo.data, photo.width, photo.height, 3 * (size_t)photo.width, &analysis) != FV_OK)
        fail_msg("%s", fv_error());
    return analysis;
}

static size_t pixels(void) {
    return (size_t)photo.width * (size_t)photo.height;
}

/* ---- beside the command ---- */

static void expect_mask(const fv_analysis *analysis, const char *class_name, const char *file) {
    fv_image written;
    if (fv_image_read(temporary_path(file), 1, &written) != FV_OK) fail_msg("%s", fv_error());
    assert_int_equal(written.width, fv_analysis_width(analysis));
    assert_int_equal(written.height, fv_analysis_height(analysis));
    assert_memory_equal(written.data, fv_analysis_mask(analysis, class_name), pixels());
    fv_image_free(&written);
}

/* Some of the photograph, not all of it. */
static void expect_something(const fv_analysis *analysis, const char *share_name) {
    double share = fv_analysis_measure(analysis, share_name);
    assert_true(share > 0 && share < 0.9);
}

static cJSON *read_json(const char *name) {
    size_t bytes;
    char *text = command_file(name, &bytes);
    cJSON *root = cJSON_Parse(text);
    free(text);
    assert_non_null(root);
    return root;
}

static void expect_number(const fv_analysis *analysis, const char *measure, const cJSON *parent, const char *name) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(parent, name);
    if (!cJSON_IsNumber(item)) fail_msg("no number %s in the JSON", name);
    double value = fv_analysis_measure(analysis, measure);
    if (!(fabs(value - item->valuedouble) <= 0.5001e-4)) /* written with four decimals */
        fail_msg("%s is %.9g, in the JSON %.9g", measure, value, item->valuedouble);
}

static void disc_and_cup_are_those_of_predict(void **state) {
    (void)state;
    command_expect_good(FOVEA("predict", DISC_AND_CUP, "eye.png", "--out", "by_command", "--quiet"));
    fv_analyser *analyser = open_model(DISC_AND_CUP);
    assert_int_equal(fv_analyser_class_count(analyser), 2);
    assert_string_equal(fv_analyser_class_name(analyser, 0), "disc");
    assert_string_equal(fv_analyser_class_name(analyser, 1), "cup");
    assert_null(fv_analyser_class_name(analyser, 2));
    assert_null(fv_analyser_class_name(analyser, -1));
    fv_analysis *analysis = analyse(analyser);
    expect_something(analysis, "disc_share_of_photo");
    expect_mask(analysis, "disc", "by_command/eye_disc.png");
    expect_mask(analysis, "cup", "by_command/eye_cup.png");
    assert_null(fv_analysis_mask(analysis, "vessel"));
    cJSON *json = read_json("by_command/eye.json");
    expect_number(analysis, "vcdr", json, "vcdr");
    expect_number(analysis, "hcdr", json, "hcdr");
    expect_number(analysis, "area_cdr", json, "area_cdr");
    const cJSON *disc = cJSON_GetObjectItemCaseSensitive(json, "disc");
    expect_number(analysis, "disc_height_px", disc, "height_px");
    expect_number(analysis, "disc_area_px", disc, "area_px");
    const cJSON *share = cJSON_GetObjectItemCaseSensitive(json, "share_of_photo");
    expect_number(analysis, "cup_share_of_photo", share, "cup");
    cJSON_Delete(json);
    assert_true(isnan(fv_analysis_measure(analysis, "density_ratio")));
    fv_analysis_free(analysis);
    fv_analyser_close(analyser);
}

/* Every column of measures.csv that holds a number, digit by digit. */
static void expect_table(const fv_analysis *analysis, const char *file) {
    size_t bytes;
    int count, found = 0;
    char *text = command_file(file, &bytes), *names, *values;
    const fv_measure *measures = fv_analysis_measures(analysis, &count);
    char *header = strtok_r(text, "\n", &names), *row = strtok_r(NULL, "\n", &names), *name;
    while ((name = strsep(&header, ",")) != NULL && (values = strsep(&row, ",")) != NULL)
        for (int i = 0; i < count; i++) {
            char expected[32] = "";
            if (strcmp(measures[i].name, name) != 0) continue;
            if (isfinite(measures[i].value)) snprintf(expected, sizeof expected, "%.9g", measures[i].value);
            assert_string_equal(values, expected);
            found++;
        }
    assert_int_equal(found, count - 1); /* all but the share of the photograph */
    free(text);
}

static void vessels_are_those_of_predict(void **state) {
    (void)state;
    command_expect_good(FOVEA("predict", VESSELS, "eye.png", "--out", "by_command", "--quiet", "--flips"));
    fv_analyser *analyser = open_model(VESSELS);
    fv_analyser_set_flips(analyser, 1);
    fv_analysis *analysis = analyse(analyser);
    expect_something(analysis, "vessel_share_of_photo");
    expect_mask(analysis, "vessel", "by_command/eye_vessel.png");
    expect_table(analysis, "by_command/measures.csv");
    assert_true(fv_analysis_measure(analysis, "length_px") > 0);
    assert_true(isnan(fv_analysis_measure(analysis, "vcdr")));
    fv_analysis_free(analysis);
    fv_analyser_close(analyser);
}

/* ---- pixels ---- */

static void expect_same(const fv_analysis *a, const fv_analysis *b, const char *class_name) {
    int a_count, b_count;
    const fv_measure *first = fv_analysis_measures(a, &a_count), *second = fv_analysis_measures(b, &b_count);
    assert_memory_equal(fv_analysis_mask(a, class_name), fv_analysis_mask(b, class_name), pixels());
    assert_int_equal(a_count, b_count);
    for (int i = 0; i < a_count; i++) {
        assert_string_equal(first[i].name, second[i].name);
        assert_memory_equal(&first[i].value, &second[i].value, sizeof first[i].value);
    }
}

static void gaps_between_rows_and_files_do_not_matter(void **state) {
    (void)state;
    size_t row = 3 * (size_t)photo.width, stride = row + 13;
    unsigned char *apart = malloc(stride * (size_t)photo.height);
    assert_non_null(apart);
    memset(apart, 201, stride * (size_t)photo.height);
    for (size_t y = 0; y < (size_t)photo.height; y++) memcpy(apart + y * stride, photo.data + y * row, row);
    fv_analyser *analyser = open_model(VESSELS);
    fv_analysis *tight = analyse(analyser), *loose, *of_file;
    assert_int_equal(fv_analyse(analyser, apart, photo.width, photo.height, stride, &loose), FV_OK);
    assert_int_equal(fv_analyse_file(analyser, temporary_path("eye.png"), &of_file), FV_OK);
    expect_same(tight, loose, "vessel");
    expect_same(tight, of_file, "vessel");
    fv_analyser_close(analyser); /* analyses stay */
    expect_same(loose, of_file, "vessel");
    fv_analysis_free(tight);
    fv_analysis_free(loose);
    fv_analysis_free(of_file);
    free(apart);
}

static void masks_are_probabilities_at_the_threshold(void **state) {
    (void)state;
    fv_analyser *analyser = open_model(VESSELS);
    float *probability = malloc(pixels() * sizeof *probability);
    assert_non_null(probability);
    for (double threshold = 0.3; threshold < 0.5; threshold += 0.1) {
        assert_int_equal(fv_analyser_set_threshold(analyser, "vessel", threshold), FV_OK);
        fv_analysis *analysis = analyse(analyser);
        assert_int_equal(fv_analysis_probabilities(analysis, "vessel", probability), FV_OK);
        const unsigned char *mask = fv_analysis_mask(analysis, "vessel");
        for (size_t i = 0; i < pixels(); i++) assert_int_equal(mask[i], probability[i] >= (float)threshold ? 255 : 0);
        expect_something(analysis, "vessel_share_of_photo");
        fv_analysis_free(analysis);
    }
    free(probability);
    fv_analyser_close(analyser);
}

/* ---- threads ---- */

#define ROUNDS 8

typedef struct worker {
    const char *model, *class_name;
    const fv_analysis *expected;
    pthread_t thread;
    int good;
} worker;

static void *work(void *context) {
    worker *w = context;
    fv_analyser *analyser;
    if (fv_analyser_open(w->model, &analyser) != FV_OK) return NULL;
    for (int i = 0; i < ROUNDS; i++) {
        fv_analysis *analysis;
        if (fv_analyse(analyser, photo.data, photo.width, photo.height, 3 * (size_t)photo.width, &analysis) != FV_OK)
            break;
        w->good += memcmp(fv_analysis_mask(analysis, w->class_name), fv_analysis_mask(w->expected, w->class_name),
                          pixels()) == 0;
        fv_analysis_free(analysis);
    }
    fv_analyser_close(analyser);
    return NULL;
}

static void analysers_in_threads_of_their_own(void **state) {
    (void)state;
    char models[2][512];
    worker workers[4];
    fv_analysis *expected[2];
    const char *const names[2] = {DISC_AND_CUP, VESSELS}, *const classes[2] = {"cup", "vessel"};
    for (int i = 0; i < 2; i++) {
        snprintf(models[i], sizeof models[i], "%s", temporary_path(names[i]));
        fv_analyser *analyser = open_model(names[i]);
        expected[i] = analyse(analyser);
        fv_analyser_close(analyser);
    }
    for (int i = 0; i < 4; i++) {
        workers[i] = (worker){.model = models[i % 2], .class_name = classes[i % 2], .expected = expected[i % 2]};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < 4; i++) pthread_join(workers[i].thread, NULL);
    for (int i = 0; i < 4; i++) assert_int_equal(workers[i].good, ROUNDS);
    for (int i = 0; i < 2; i++) fv_analysis_free(expected[i]);
}

static void their_number_may_change_between_calls(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        const char *class_name = i ? "vessel" : "cup";
        fv_threads_set(1);
        fv_analyser *analyser = open_model(i ? VESSELS : DISC_AND_CUP);
        fv_analysis *one = analyse(analyser);
        fv_threads_set(5); /* scratch is made for more */
        fv_analysis *five = analyse(analyser);
        fv_threads_set(2);
        fv_analysis *two = analyse(analyser);
        expect_same(one, five, class_name);
        expect_same(one, two, class_name);
        fv_analysis_free(one);
        fv_analysis_free(two);
        fv_analysis_free(five);
        fv_analyser_close(analyser);
    }
    fv_threads_set(0);
}

/* Its workers are not the child's: that computes all the same, to the same bits. */
static void a_child_of_fork_analyses_too(void **state) {
    (void)state;
    fv_threads_set(4);
    fv_analyser *analyser = open_model(VESSELS);
    fv_analysis *expected = analyse(analyser);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(60);
        fv_analysis *own = analyse(analyser);
        _exit(memcmp(fv_analysis_mask(own, "vessel"), fv_analysis_mask(expected, "vessel"), pixels()) == 0 ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    fv_analysis_free(expected);
    fv_analyser_close(analyser);
    fv_threads_set(0);
}

/* ---- errors ---- */

static void expect_error(fv_status status, const char *sentence) {
    assert_int_equal(status, FV_BAD_INPUT);
    if (!strstr(fv_error(), sentence)) fail_msg("\"%s\" is missing in: %s", sentence, fv_error());
}

static void wrong_models(void **state) {
    (void)state;
    fv_analyser *analyser = (fv_analyser *)state; /* anything but NULL */
    expect_error(fv_analyser_open(temporary_path("none.safetensors"), &analyser), "none.safetensors: ");
    assert_null(analyser);
    expect_error(fv_analyser_open(temporary_path("eye.png"), &analyser), "eye.png: ");
    assert_null(analyser);
    fv_analyser_close(NULL);
    fv_analysis_free(NULL);
}

static void wrong_pixels_and_classes(void **state) {
    (void)state;
    fv_analyser *analyser = open_model(VESSELS);
    fv_analysis *analysis = (fv_analysis *)state;
    const unsigned char *rgb = photo.data;
    expect_error(fv_analyse(analyser, rgb, 10, 10, 29, &analysis), "rows of 29 bytes for 10 pixels");
    assert_null(analysis);
    expect_error(fv_analyse(analyser, rgb, 0, 10, 30, &analysis), "0 x 10 px");
    expect_error(fv_analyse(analyser, rgb, 10, -1, 30, &analysis), "10 x -1 px");
    expect_error(fv_analyse(analyser, rgb, 1 << 30, 1 << 30, (size_t)3 << 30, &analysis), "expected 1 to 120000000");
    expect_error(fv_analyse(analyser, NULL, 10, 10, 30, &analysis), "at NULL");
    unsigned char *dark = calloc(pixels(), 3);
    assert_non_null(dark);
    expect_error(fv_analyse(analyser, dark, photo.width, photo.height, 3 * (size_t)photo.width, &analysis), "");
    assert_null(analysis);
    free(dark);
    expect_error(fv_analyse_file(analyser, temporary_path("tiny.ini"), &analysis), "tiny.ini");
    expect_error(fv_analyser_set_threshold(analyser, "disc", 0.5), "no class \"disc\"");
    expect_error(fv_analyser_set_threshold(analyser, "vessel", 1.5), "expected a probability");
    expect_error(fv_analyser_set_threshold(analyser, "vessel", NAN), "expected a probability");
    analysis = analyse(analyser); /* still good */
    float one;
    expect_error(fv_analysis_probabilities(analysis, "disc", &one), "no class \"disc\"");
    fv_analysis_free(analysis);
    fv_analyser_close(analyser);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(disc_and_cup_are_those_of_predict),
        cmocka_unit_test(vessels_are_those_of_predict),
        cmocka_unit_test(gaps_between_rows_and_files_do_not_matter),
        cmocka_unit_test(masks_are_probabilities_at_the_threshold),
        cmocka_unit_test(analysers_in_threads_of_their_own),
        cmocka_unit_test(their_number_may_change_between_calls),
        cmocka_unit_test(a_child_of_fork_analyses_too),
        cmocka_unit_test(wrong_models),
        cmocka_unit_test(wrong_pixels_and_classes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
