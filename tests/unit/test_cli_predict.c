/* `fovea predict`: photographs of many kinds, what is written for them, and photographs that can't be read. */
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "command.h"
#include "fovea/base/file.h"
#include "fovea/clinical/cdr.h"
#include "fovea/dataset/phantom.h"
#include "fovea/image/image_file.h"
#include "fovea/image/mask.h"
#include "image_samples.h"
#include "temporary.h"

static const char *const formats[] = {"baseline.jpg", "bitmap.bmp", "grey.png",      "progressive.jpg",
                                      "tiff.tif",     "wide.png",   "with space.png"};
#define FORMATS ((int)(sizeof formats / sizeof *formats))

static void write_sample(const char *name, sample_file sample) {
    command_write(name, sample.data, sample.bytes);
    free(sample.data);
}

/* A phantom cut to `width` x `height`, in colour or in grey. */
static void write_phantom(const char *name, int width, int height, int channels) {
    fv_phantom phantom;
    fv_image photo;
    int side = width > height ? width : height;
    assert_int_equal(fv_phantom_make(3, 0, side, &phantom), FV_OK);
    assert_int_equal(fv_image_make(width, height, channels, &photo), FV_OK);
    int left = (side - width) / 2, top = (side - height) / 2;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < channels; c++)
                photo.data[(y * width + x) * channels + c] =
                    phantom.photo.data[((y + top) * side + x + left) * 3 + (channels == 1 ? 1 : c)];
    assert_int_equal(fv_image_write_png(&photo, temporary_path(name)), FV_OK);
    fv_image_free(&photo);
    fv_phantom_free(&phantom);
}

static void write_photographs(void) {
    static const uint8_t rgb[12] = {200, 90, 40, 180, 80, 30, 160, 70, 20, 140, 60, 10};
    sample_tiff_kind tiff = {
        .width = 2, .height = 2, .bits = 8, .samples = 3, .photometric = 2, .compression = 1, .orientation = 1};
    assert_int_equal(mkdir(temporary_path("photos"), 0777), 0);
    write_sample("photos/baseline.jpg", sample_jpeg(SAMPLE_JPEG_BASELINE));
    write_sample("photos/progressive.jpg", sample_jpeg(SAMPLE_JPEG_PROGRESSIVE));
    write_sample("photos/bitmap.bmp", sample_bmp(2, 2, rgb, false));
    write_sample("photos/tiff.tif", sample_tiff(temporary_path(""), &tiff, rgb));
    write_phantom("photos/wide.png", 180, 120, 3);
    write_phantom("photos/grey.png", 96, 96, 1);
    write_phantom("photos/with space.png", 64, 100, 3);
    command_write_text("photos/notes.txt", "no photograph");
}

/* A network that finds something: enough training for masks of some shape, not for good ones. */
static int setup(void **state) {
    if (command_setup(state) != 0) return -1;
    command_write_tiny_ini();
    command_expect_good(FOVEA("train", "tiny.ini", "run.dir=run", "preprocess.size=64", "train.epochs=8", "loss.bce=0",
                              "optimizer.rate=3e-2", "optimizer.average_decay=0", "augment.enabled=no", "--quiet",
                              "--threads", "1"));
    write_photographs();
    return 0;
}

/* ---- what is written for one photograph ---- */

static double number_of(const cJSON *object, const char *name) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    assert_true(cJSON_IsNumber(item));
    return item->valuedouble;
}

static void expect_ratio(const cJSON *root, const char *name, double expected, bool disc_found) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, name);
    assert_non_null(item);
    if (disc_found)
        assert_true(fabs(number_of(root, name) - expected) <= 0.5001e-4); /* written with four decimals */
    else
        assert_true(cJSON_IsNull(item));
}

static void expect_json(const char *name, const fv_image *disc, const fv_image *cup) {
    size_t bytes;
    char *text = command_file(name, &bytes);
    assert_int_equal(text[bytes - 1], '\n');
    cJSON *root = cJSON_Parse(text);
    assert_non_null(root);
    fv_cdr cdr;
    assert_int_equal(fv_cdr_measure(disc, cup, &cdr), FV_OK);
    expect_ratio(root, "vcdr", cdr.vcdr, cdr.disc_found);
    expect_ratio(root, "hcdr", cdr.hcdr, cdr.disc_found);
    expect_ratio(root, "area_cdr", cdr.area_cdr, cdr.disc_found);
    expect_ratio(root, "vcdr_refuge", cdr.vcdr_refuge, cdr.disc_found);
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, "disc");
    assert_int_equal(number_of(item, "height_px"), cdr.disc_height_px);
    assert_int_equal(number_of(item, "width_px"), cdr.disc_width_px);
    assert_int_equal(number_of(item, "area_px"), cdr.disc_area_px);
    item = cJSON_GetObjectItemCaseSensitive(root, "cup");
    assert_int_equal(number_of(item, "height_px"), cdr.cup_height_px);
    assert_int_equal(number_of(item, "area_px"), cdr.cup_area_px);
    assert_int_equal(number_of(root, "width_px"), disc->width);
    assert_int_equal(number_of(root, "height_px"), disc->height);
    cJSON_Delete(root);
    free(text);
}

static void read_mask(const char *out, const char *stem, const char *class_name, fv_image *mask) {
    char name[256];
    snprintf(name, sizeof name, "%s/%s_%s.png", out, stem, class_name);
    assert_int_equal(fv_image_read(temporary_path(name), 1, mask), FV_OK);
    for (int i = 0; i < mask->width * mask->height; i++) assert_true(mask->data[i] == 0 || mask->data[i] == 255);
}

/* All five files, of the photograph's size, in agreement with each other. Returns the disc's pixels. */
static int64_t expect_results(const char *out, const char *photo_name) {
    char stem[128], name[256];
    int width, height, picture_width, picture_height;
    fv_image disc, cup;
    fv_path_stem(photo_name, stem, sizeof stem);
    assert_int_equal(fv_image_read_size(temporary_path(photo_name), &width, &height), FV_OK);
    read_mask(out, stem, "disc", &disc);
    read_mask(out, stem, "cup", &cup);
    assert_true(disc.width == width && disc.height == height && cup.width == width && cup.height == height);
    for (int i = 0; i < width * height; i++) assert_true(disc.data[i] >= cup.data[i]); /* the cup lies in the disc */
    snprintf(name, sizeof name, "%s/%s.json", out, stem);
    expect_json(name, &disc, &cup);
    snprintf(name, sizeof name, "%s/%s_overlay.png", out, stem);
    assert_int_equal(fv_image_read_size(temporary_path(name), &picture_width, &picture_height), FV_OK);
    assert_true(picture_width == width && picture_height == height);
    snprintf(name, sizeof name, "%s/%s_panel.png", out, stem);
    assert_int_equal(fv_image_read_size(temporary_path(name), &picture_width, &picture_height), FV_OK);
    int64_t found = fv_mask_count(&disc);
    fv_image_free(&disc);
    fv_image_free(&cup);
    return found;
}

/* ---- tests ---- */

static void folder_of_many_formats(void **state) {
    (void)state;
    const command_result *result = FOVEA("predict", "run/best.safetensors", "photos", "--out", "all", "--threads", "1");
    command_expect_good(result);
    assert_non_null(strstr(result->err, "photos/wide.png: "));
    assert_int_equal(command_count("all"), 5 * FORMATS);
    int with_disc = 0;
    for (int i = 0; i < FORMATS; i++) {
        char photo[64];
        snprintf(photo, sizeof photo, "photos/%s", formats[i]);
        with_disc += expect_results("all", photo) > 0;
    }
    assert_true(with_disc >= 2);
}

static void phantoms_of_the_run(void **state) {
    (void)state;
    const command_result *result =
        FOVEA("predict", "run", "runs/phantoms_12_1_96/images/0010.png", "runs/phantoms_12_1_96/images/0011.png",
              "--out", "new/deep", "--quiet", "--threads", "1");
    command_expect_good(result);
    assert_string_equal(result->err, "");
    assert_string_equal(result->out, "");
    assert_int_equal(command_count("new/deep"), 10);
    assert_true(expect_results("new/deep", "runs/phantoms_12_1_96/images/0010.png") > 0);
    assert_true(expect_results("new/deep", "runs/phantoms_12_1_96/images/0011.png") > 0);
}

static void threads_do_not_change_results(void **state) {
    (void)state;
    command_expect_good(FOVEA("predict", "run", "photos/wide.png", "--out", "one", "--quiet", "--threads", "1"));
    command_expect_good(FOVEA("predict", "run", "photos/wide.png", "--out", "two", "--quiet", "--threads", "2"));
    command_expect_same_file("one/wide_disc.png", "two/wide_disc.png");
    command_expect_same_file("one/wide_cup.png", "two/wide_cup.png");
    command_expect_same_file("one/wide.json", "two/wide.json");
}

/* That they give the mean of four views is shown in test_model.c; here, that the option arrives. */
static void flips_change_the_result(void **state) {
    (void)state;
    static const char photo[] = "runs/phantoms_12_1_96/images/0010.png";
    command_expect_good(FOVEA("predict", "run", photo, "--out", "plain", "--quiet", "--threads", "1"));
    command_expect_good(FOVEA("predict", "run", photo, "--out", "flips", "--flips", "--quiet", "--threads", "1"));
    assert_true(expect_results("flips", photo) > 0);
    size_t a_bytes, b_bytes;
    char *a = command_file("plain/0010_disc.png", &a_bytes), *b = command_file("flips/0010_disc.png", &b_bytes);
    assert_false(a_bytes == b_bytes && memcmp(a, b, a_bytes) == 0);
    free(a);
    free(b);
}

static double elapsed_ms(const struct timespec *since) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return 1e3 * (double)(now.tv_sec - since->tv_sec) + 1e-6 * (double)(now.tv_nsec - since->tv_nsec);
}

/* Every stage is there, together they are the total, and the total is no more than the process took. */
static void times_by_stage(void **state) {
    (void)state;
    static const char *const stages[] = {"start", "read_model", "decode",      "enhance", "network",
                                         "masks", "measures",   "write_masks", "overlay", "panel"};
    struct timespec begin;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    const command_result *result =
        FOVEA("predict", "run", "photos/wide.png", "--out", "timed", "--times", "--quiet", "--threads", "1");
    double process_ms = elapsed_ms(&begin), sum = 0;
    command_expect_good(result);
    size_t bytes;
    char *text = command_file("timed/wide.json", &bytes);
    cJSON *root = cJSON_Parse(text);
    const cJSON *times = cJSON_GetObjectItemCaseSensitive(root, "times_ms");
    assert_int_equal(cJSON_GetArraySize(times), 11);
    for (int i = 0; i < 10; i++) {
        assert_true(number_of(times, stages[i]) >= 0);
        assert_non_null(strstr(result->err, stages[i]));
        sum += number_of(times, stages[i]);
    }
    assert_true(number_of(times, "network") > 0 && number_of(times, "overlay") > 0);
    assert_true(fabs(number_of(times, "total") - sum) < 1e-2);
    assert_true(sum <= process_ms);
    cJSON_Delete(root);
    free(text);
    text = command_file("one/wide.json", &bytes); /* made without the option */
    assert_null(strstr(text, "times_ms"));
    free(text);
}

/* Under 10 ms where nothing else runs (docs/results/predict.md); sanitizers and busy machines get more. */
static void starts_at_once(void **state) {
    (void)state;
    double best = 1e9;
    for (int i = 0; i < 20; i++) {
        struct timespec begin;
        clock_gettime(CLOCK_MONOTONIC, &begin);
        command_expect_good(FOVEA("predict", "--help"));
        best = fmin(best, elapsed_ms(&begin));
    }
#if defined(__SANITIZE_ADDRESS__) || defined(__clang__)
    assert_true(best < 1000);
#else
    assert_true(best < 50);
#endif
}

/* A second run that fails half-way: no JSON of the first stands beside masks of the second. */
static void no_old_json_beside_new_masks(void **state) {
    (void)state;
    const char *const words[] = {"predict", "run", "photos/wide.png", "--out", "again", "--quiet", "--threads",
                                 "1",       NULL};
    size_t mask_bytes, overlay_bytes;
    command_expect_good(command_run(words));
    assert_true(command_exists("again/wide.json"));
    free(command_file("again/wide_disc.png", &mask_bytes));
    free(command_file("again/wide_overlay.png", &overlay_bytes));
    assert_true(mask_bytes < overlay_bytes);
    command_limit_files((long)overlay_bytes - 1); /* the masks find room, the overlay does not */
    EXPECT_COMPLAINT(command_run(words), 3, "again/wide_overlay.png");
    assert_false(command_exists("again/wide.json"));
    assert_int_equal(command_count("again"), 4);
    command_expect_good(command_run(words));
    expect_results("again", "photos/wide.png");
}

static void results_among_the_photographs(void **state) {
    (void)state;
    int before = command_count("photos");
    EXPECT_COMPLAINT(FOVEA("predict", "run", "photos", "--out", "photos"), 2, "--out photos is the folder of",
                     "photos/baseline.jpg", "folder of its own");
    EXPECT_COMPLAINT(FOVEA("predict", "run", "photos/wide.png", "--out", "run/../photos/"), 2, "photos/wide.png");
    assert_int_equal(symlink("photos", temporary_path("link")), 0);
    EXPECT_COMPLAINT(FOVEA("predict", "run", "photos/wide.png", "--out", "link"), 2, "--out link is the folder of");
    command_copy("photos/wide.png", "here.png");
    EXPECT_COMPLAINT(FOVEA("predict", "run", "here.png", "--out", "."), 2, "--out . is the folder of");
    assert_int_equal(command_count("photos"), before);
    command_expect_good(
        FOVEA("predict", "run", "photos/wide.png", "--out", "photos/masks", "--quiet", "--threads", "1"));
    assert_int_equal(command_count("photos/masks"), 5);
}

static void names_that_are_not_utf8(void **state) {
    (void)state;
    command_copy("photos/wide.png", "caf\xE9.png");
    command_expect_good(FOVEA("predict", "run", "caf\xE9.png", "--out", "latin", "--quiet", "--threads", "1"));
    size_t bytes;
    char *text = command_file("latin/caf\xE9.json", &bytes);
    cJSON *root = cJSON_Parse(text);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, "photo")), "caf?.png");
    cJSON_Delete(root);
    free(text);
}

/* Cairo draws nothing wider; told before anything is written. */
static void a_photograph_too_wide_to_draw_over(void **state) {
    (void)state;
    fv_image photo;
    assert_int_equal(fv_image_make(32768, 2, 3, &photo), FV_OK);
    assert_int_equal(fv_image_write_png(&photo, temporary_path("strip.png")), FV_OK);
    fv_image_free(&photo);
    EXPECT_COMPLAINT(FOVEA("predict", "run", "strip.png", "--out", "strip", "--quiet"), 2, "strip.png is 32768 x 2 px",
                     "above 32767 px");
    assert_int_equal(command_count("strip"), 0);
}

static void bad_photographs_among_good_ones(void **state) {
    (void)state;
    command_copy("photos/progressive.jpg", "cut.jpg");
    command_cut("cut.jpg", 200);
    command_write_text("empty.png", "");
    const command_result *result = FOVEA("predict", "run", "photos/wide.png", "cut.jpg", "empty.png", "photos/grey.png",
                                         "--out", "some", "--quiet", "--threads", "1");
    assert_int_equal(result->code, 2);
    assert_non_null(strstr(result->err, "warning: cut.jpg: the JPEG image ends too early"));
    assert_non_null(strstr(result->err, "warning: empty.png is empty"));
    assert_non_null(strstr(result->err, "fovea: 2 of 4 photographs failed, see the warnings above; the results of the "
                                        "others are in some\n"));
    assert_int_equal(command_count("some"), 10);
    expect_results("some", "photos/wide.png");
    expect_results("some", "photos/grey.png");
}

static void one_bad_photograph(void **state) {
    (void)state;
    command_copy("photos/progressive.jpg", "cut.jpg");
    command_cut("cut.jpg", 200);
    EXPECT_COMPLAINT(FOVEA("predict", "run", "cut.jpg", "--out", "none", "--quiet"), 2,
                     "cut.jpg: the JPEG image ends too early");
    assert_int_equal(command_count("none"), 0);
}

static void names_that_collide(void **state) {
    (void)state;
    assert_int_equal(mkdir(temporary_path("other"), 0777), 0);
    command_copy("photos/progressive.jpg", "other/wide.jpg");
    EXPECT_COMPLAINT(FOVEA("predict", "run", "photos", "other/wide.jpg", "--out", "both"), 2, "photos/wide.png",
                     "other/wide.jpg", "results of the same name", "different folders");
    EXPECT_COMPLAINT(FOVEA("predict", "run", "photos", "photos/wide.png", "--out", "both"), 2,
                     "photos/wide.png is named twice");
    assert_int_equal(command_count("both"), -1);
}

static void wrong_words(void **state) {
    (void)state;
    assert_int_equal(mkdir(temporary_path("bare"), 0777), 0);
    EXPECT_COMPLAINT(FOVEA("predict"), 2, "give a model and at least one photograph");
    EXPECT_COMPLAINT(FOVEA("predict", "run", "photos"), 2, "--out DIR");
    EXPECT_COMPLAINT(FOVEA("predict", "photos/wide.png", "run", "--out", "x"), 2,
                     "photos/wide.png stands where the model");
    EXPECT_COMPLAINT(FOVEA("predict", "run", "photos/no.jpg", "--out", "x"), 2, "photos/no.jpg: there is no such");
    EXPECT_COMPLAINT(FOVEA("predict", "run", "bare", "--out", "x"), 2, "the folder bare has no photographs");
    EXPECT_COMPLAINT(FOVEA("predict", "run", "tiny.ini", "--out", "x"), 2, "tiny.ini is not a JPEG, PNG");
    EXPECT_COMPLAINT(FOVEA("predict", "bare", "photos", "--out", "y"), 2, "the folder bare holds no trained model");
    EXPECT_COMPLAINT(FOVEA("predict", "no.safetensors", "photos", "--out", "y"), 2, "no.safetensors: there is no such");
    assert_false(command_exists("y"));
}

static void garbage_for_a_model(void **state) {
    (void)state;
    char garbage[5000];
    for (int i = 0; i < 5000; i++) garbage[i] = (char)(i * 37 + i / 256);
    command_write("garbage.safetensors", garbage, sizeof garbage);
    command_copy("run/best.safetensors", "short.safetensors");
    command_cut("short.safetensors", 60000);
    EXPECT_COMPLAINT(FOVEA("predict", "garbage.safetensors", "photos", "--out", "y"), 2,
                     "garbage.safetensors: ", "cut off or no safetensors file");
    EXPECT_COMPLAINT(FOVEA("predict", "short.safetensors", "photos", "--out", "y"), 2,
                     "short.safetensors: ", "the file is cut off");
    assert_false(command_exists("y"));
}

/* Predicts the folder of 40 photographs into `out` and interrupts when the result `first` is there: long before the
   last one. */
static const command_result *interrupt_after(const char *out, const char *first) {
    pid_t pid =
        command_start((const char *const[]){"predict", "run", "many", "--out", out, "--quiet", "--threads", "1", NULL});
    struct timespec nap = {.tv_nsec = 1000000};
    for (int i = 0; i < 60000 && !command_exists(first); i++) nanosleep(&nap, NULL);
    kill(pid, SIGINT);
    return command_wait(pid);
}

static void interrupted_between_photographs(void **state) {
    (void)state;
    assert_int_equal(mkdir(temporary_path("many"), 0777), 0);
    for (int i = 0; i < 40; i++) {
        char name[64];
        snprintf(name, sizeof name, "many/%02d.png", i);
        command_copy("photos/wide.png", name);
    }
    const command_result *result = interrupt_after("part", "part/00.json");
    int done = -1;
    assert_int_equal(result->code, 130);
    assert_int_equal(sscanf(result->err, "stopped after %d of 40 photographs; their results are complete\n", &done), 1);
    assert_true(done >= 1 && done < 40);
    assert_int_equal(command_count("part"), 5 * done);

    command_cut("many/00.png", 100);
    result = interrupt_after("rest", "rest/01.json");
    const char *sentence = strstr(result->err, "stopped after ");
    assert_int_equal(result->code, 130);
    assert_non_null(sentence);
    assert_int_equal(sscanf(sentence, "stopped after %d of 40 photographs; ", &done), 1);
    assert_non_null(strstr(sentence, "; 1 of them failed, see the warnings above; the results of the others are "));
    assert_int_equal(command_count("rest"), 5 * (done - 1));
}

/* No room for the first photograph's overlay: what comes behind it is not tried. */
static void stopped_by_a_full_disk(void **state) {
    (void)state;
    command_limit_files(2000); /* standard error has to fit as well */
    const command_result *result =
        FOVEA("predict", "run", "photos/wide.png", "photos/grey.png", "--out", "full", "--quiet", "--threads", "1");
    assert_int_equal(result->code, 3);
    assert_non_null(strstr(result->err, "warning: full/wide_"));
    assert_non_null(strstr(result->err, "fovea: stopped after 1 of 2 photographs, 1 of them failed"));
    assert_false(command_exists("full/wide.json"));
    assert_false(command_exists("full/grey_disc.png"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folder_of_many_formats),
        cmocka_unit_test(phantoms_of_the_run),
        cmocka_unit_test(threads_do_not_change_results),
        cmocka_unit_test(times_by_stage),
        cmocka_unit_test(starts_at_once),
        cmocka_unit_test(flips_change_the_result),
        cmocka_unit_test(no_old_json_beside_new_masks),
        cmocka_unit_test(results_among_the_photographs),
        cmocka_unit_test(names_that_are_not_utf8),
        cmocka_unit_test(a_photograph_too_wide_to_draw_over),
        cmocka_unit_test(bad_photographs_among_good_ones),
        cmocka_unit_test(one_bad_photograph),
        cmocka_unit_test(names_that_collide),
        cmocka_unit_test(wrong_words),
        cmocka_unit_test(garbage_for_a_model),
        cmocka_unit_test(interrupted_between_photographs),
        cmocka_unit_test(stopped_by_a_full_disk),
    };
    return cmocka_run_group_tests(tests, setup, command_teardown);
}
