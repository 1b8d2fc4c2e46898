/* The data check finds what was planted, names it, and finds nothing in a sound set. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "data_samples.h"
#include "fovea/base/log.h"
#include "fovea/base/threads.h"
#include "fovea/dataset/check.h"
#include "fovea/image/image_file.h"

enum { WIDTH = 96, HEIGHT = 64 };

static const fv_data_check_settings usual = {.mask_threshold = 127, .input_size = 64};

static void write_eye(int number) {
    char name[64];
    snprintf(name, sizeof name, "photo%d.png", number);
    sample_write_photo(name, WIDTH, HEIGHT, (uint64_t)number);
    snprintf(name, sizeof name, "disc%d.png", number);
    sample_write_mask(name, WIDTH, HEIGHT, (int[]){20, 20, 60, 60}, 255, 0);
    snprintf(name, sizeof name, "cup%d.png", number);
    sample_write_mask(name, WIDTH, HEIGHT, (int[]){30, 30, 50, 50}, 255, 0);
}

static int make_set(void **state) {
    (void)state;
    fv_log_set_quiet(true);
    sample_folder_make();
    for (int i = 1; i <= 4; i++) write_eye(i);
    return 0;
}

static int remove_set(void **state) {
    (void)state;
    sample_folder_remove();
    return 0;
}

/* Checks a table and expects the status; free the report. */
static fv_data_report check(const char *table, fv_data_check_settings settings, fv_status expected) {
    sample_write_text("index.csv", table);
    fv_model_spec spec = sample_spec(false);
    fv_manifest manifest;
    fv_manifest_init(&manifest, &spec);
    fv_manifest_source source = {.csv = sample_path("index.csv"), .set = "eyes"};
    if (fv_manifest_append(&manifest, &source) != FV_OK) fail_msg("%s", fv_error());
    fv_data_report report;
    fv_status status = fv_data_check(&manifest, &settings, &report);
    fv_manifest_free(&manifest);
    if (status != expected) {
        fv_data_report_print(&report, 0, stderr);
        fail_msg("status %d instead of %d: %s", status, expected, fv_error());
    }
    return report;
}

/* One finding of a kind, with `part` in its sentence. */
static void assert_finding(const fv_data_report *report, fv_finding_kind kind, bool spoils, const char *part) {
    assert_int_equal(report->counts[kind], 1);
    for (int i = 0; i < report->count; i++) {
        const fv_finding *finding = &report->findings[i];
        if (finding->kind != kind) continue;
        assert_int_equal(finding->spoils, spoils);
        if (!strstr(finding->sentence, part)) fail_msg("\"%s\" does not say \"%s\"", finding->sentence, part);
        return;
    }
    fail_msg("no finding %s", fv_finding_names[kind]);
}

/* The only finding of the table: one row in train besides a sound one. */
static void expect_one(const char *row, fv_finding_kind kind, bool spoils, const char *part) {
    char table[512];
    snprintf(table, sizeof table, "fundus,od,oc,fov\nphoto1.png,disc1.png,cup1.png,\n%s\n", row);
    fv_data_report report = check(table, usual, spoils ? FV_FINDINGS : FV_OK);
    assert_finding(&report, kind, spoils, part);
    assert_int_equal(report.count, 1);
    assert_int_equal(report.spoiling, spoils);
    fv_data_report_free(&report);
}

static void finds_nothing_in_a_sound_set(void **state) {
    (void)state;
    fv_data_report report = check("fundus,od,oc,split\nphoto1.png,disc1.png,cup1.png,train\n"
                                  "photo2.png,disc2.png,cup2.png,val\nphoto3.png,disc3.png,cup3.png,test\n",
                                  usual, FV_OK);
    assert_int_equal(report.count, 0);
    assert_int_equal(report.photos, 3);
    assert_int_equal(report.set_count, 1);
    assert_int_equal(report.sets[0].photos[FV_SPLIT_VAL], 1);
    assert_int_equal(report.sets[0].annotated[FV_SPLIT_TEST][1], 1);
    assert_int_equal(report.sets[0].median_px[0], WIDTH);
    fv_data_report_free(&report);
}

static void finds_missing_and_damaged_files(void **state) {
    (void)state;
    expect_one("photo2.png,none.png,,", FV_FINDING_MISSING_FILE, true, "none.png: there is no such file");
    expect_one("photo2.png,disc2.png,,fov.png", FV_FINDING_MISSING_FILE, true, "the FOV mask of photo2 in set eyes");
    void *png;
    size_t bytes;
    assert_int_equal(fv_file_read(sample_path("photo3.png"), 1 << 20, &png, &bytes), FV_OK);
    assert_int_equal(fv_file_write(sample_path("half.png"), png, bytes / 2), FV_OK);
    free(png);
    expect_one("half.png,disc3.png,cup3.png,", FV_FINDING_UNREADABLE, true, "half.png");
    sample_write_text("text.png", "this is no image");
    expect_one("photo2.png,text.png,,", FV_FINDING_UNREADABLE, true, "text.png");
}

static void finds_wrong_masks(void **state) {
    (void)state;
    sample_write_mask("small.png", WIDTH - 1, HEIGHT, (int[]){20, 20, 60, 60}, 255, 0);
    expect_one("photo2.png,small.png,,", FV_FINDING_SIZE_MISMATCH, true, "the mask is 95 x 64 px but its photograph");
    expect_one("photo2.png,disc2.png,,small.png", FV_FINDING_SIZE_MISMATCH, true, "small.png");
    sample_write_mask("dark.png", WIDTH, HEIGHT, (int[]){20, 20, 60, 60}, 1, 0);
    expect_one("photo2.png,dark.png,,", FV_FINDING_EMPTY_MASK, true, "no pixel is above mask_threshold 127");
    sample_write_mask("inverse.png", WIDTH, HEIGHT, (int[]){20, 20, 30, 30}, 0, 255);
    expect_one("photo2.png,inverse.png,,", FV_FINDING_FULL_MASK, true, "covers 98.4 %");
}

/* A cup of 20 x 20 = 400 px (and 40 x 40 = 1600 px) with 40 and 2 px outside the disc of 20 <= x < 60. */
static void finds_a_cup_outside_its_disc(void **state) {
    (void)state;
    sample_write_mask("shifted.png", WIDTH, HEIGHT, (int[]){42, 30, 62, 50}, 255, 0);
    expect_one("photo2.png,disc2.png,shifted.png,", FV_FINDING_CUP_OUTSIDE_DISC, true, "10.0 % of the cup (40 px)");
    fv_image cup;
    assert_int_equal(fv_image_read(sample_path("disc2.png"), 1, &cup), FV_OK);
    cup.data[19 * WIDTH + 25] = cup.data[19 * WIDTH + 26] = 255;
    assert_int_equal(fv_image_write_png(&cup, sample_path("edge.png")), FV_OK);
    fv_image_free(&cup);
    expect_one("photo2.png,disc2.png,edge.png,", FV_FINDING_CUP_OUTSIDE_DISC, false, "0.1 % of the cup (2 px)");
}

static void warns_of_grey_masks_unless_they_are_meant_so(void **state) {
    (void)state;
    fv_image mask;
    assert_int_equal(fv_image_read(sample_path("disc2.png"), 1, &mask), FV_OK);
    mask.data[0] = 64;
    assert_int_equal(fv_image_write_png(&mask, sample_path("grey.png")), FV_OK);
    fv_image_free(&mask);
    expect_one("photo2.png,grey.png,,", FV_FINDING_NOT_BINARY, false, "has 3 grey levels");
    fv_data_check_settings soft = usual;
    soft.soft_masks = true;
    fv_data_report report = check("fundus,od,oc\nphoto2.png,grey.png,cup2.png\n", soft, FV_OK);
    assert_int_equal(report.count, 0);
    fv_data_report_free(&report);
}

static void finds_the_same_photograph(void **state) {
    (void)state;
    void *png;
    size_t bytes;
    assert_int_equal(fv_file_read(sample_path("photo1.png"), 1 << 20, &png, &bytes), FV_OK);
    assert_int_equal(fv_file_write(sample_path("copy.png"), png, bytes), FV_OK);
    free(png);
    expect_one("copy.png,disc1.png,cup1.png,", FV_FINDING_SAME_PHOTO, false, "copy.png is the same photograph as");
    fv_data_report report = check("fundus,od,oc,split\nphoto1.png,disc1.png,cup1.png,train\n"
                                  "photo2.png,disc2.png,cup2.png,val\ncopy.png,disc1.png,cup1.png,test\n",
                                  usual, FV_FINDINGS);
    assert_finding(&report, FV_FINDING_SAME_PHOTO, true, "copy.png (test) is the same photograph as");
    assert_int_equal(report.count, 1);
    assert_non_null(strstr(fv_error(), "1 of 1 findings"));
    fv_data_report_free(&report);
}

/* The same picture with every pixel doubled and one changed. */
static void warns_of_a_picture_saved_anew(void **state) {
    (void)state;
    fv_image photo, doubled;
    assert_int_equal(fv_image_read(sample_path("photo1.png"), 3, &photo), FV_OK);
    assert_int_equal(fv_image_make(2 * WIDTH, 2 * HEIGHT, 3, &doubled), FV_OK);
    for (int y = 0; y < 2 * HEIGHT; y++) {
        for (int x = 0; x < 2 * WIDTH; x++) {
            memcpy(doubled.data + (y * 2 * WIDTH + x) * 3, photo.data + (y / 2 * WIDTH + x / 2) * 3, 3);
        }
    }
    doubled.data[0] ^= 3;
    assert_int_equal(fv_image_write_png(&doubled, sample_path("doubled.png")), FV_OK);
    fv_image_free(&photo);
    fv_image_free(&doubled);
    expect_one("doubled.png,,,", FV_FINDING_ALIKE_PHOTO, false, "doubled.png looks like the same photograph as");
}

static void finds_patients_on_both_sides(void **state) {
    (void)state;
    fv_data_report report = check("fundus,od,oc,split,patient\nphoto1.png,disc1.png,cup1.png,train,A\n"
                                  "photo2.png,disc2.png,cup2.png,val,B\nphoto3.png,disc3.png,cup3.png,test,A\n"
                                  "photo4.png,disc4.png,cup4.png,val,B\n",
                                  usual, FV_FINDINGS);
    assert_finding(&report, FV_FINDING_PATIENT_LEAK, true, "patient A of set eyes is on both sides");
    assert_int_equal(report.count, 1);
    fv_data_report_free(&report);
}

static void finds_classes_without_masks(void **state) {
    (void)state;
    fv_data_report report = check("fundus,od\nphoto1.png,disc1.png\n", usual, FV_FINDINGS);
    assert_finding(&report, FV_FINDING_CLASS_MISSING, true, "class cup has no mask at all");
    fv_data_report_free(&report);
    report = check("fundus,od,oc,split\nphoto1.png,disc1.png,cup1.png,train\nphoto2.png,disc2.png,,val\n"
                   "photo3.png,disc3.png,cup3.png,test\n",
                   usual, FV_OK);
    assert_finding(&report, FV_FINDING_CLASS_MISSING, false, "class cup has no mask in val (2 elsewhere)");
    fv_data_report_free(&report);
}

static void warns_of_small_photographs(void **state) {
    (void)state;
    fv_data_check_settings large = usual;
    large.input_size = 128;
    fv_data_report report = check("fundus,od,oc\nphoto1.png,disc1.png,cup1.png\n", large, FV_OK);
    assert_finding(&report, FV_FINDING_SMALL_PHOTO, false, "96 x 64 px is smaller than the network's input of 128 px");
    fv_data_report_free(&report);
}

/* ---- the report ---- */

static const char many_missing[] = "fundus,od,oc\nphoto1.png,disc1.png,cup1.png\nm1.png,,\nm2.png,,\nm3.png,,\n"
                                   "m4.png,,\nm5.png,,\n";

static void prints_some_of_each_kind(void **state) {
    (void)state;
    fv_data_report report = check(many_missing, usual, FV_FINDINGS);
    assert_int_equal(report.counts[FV_FINDING_MISSING_FILE], 5);
    for (int limit = 0; limit <= 2; limit += 2) {
        char *text = NULL;
        size_t bytes;
        FILE *stream = open_memstream(&text, &bytes);
        fv_data_report_print(&report, limit, stream);
        fclose(stream);
        assert_int_equal(strstr(text, "m5.png: there is no such file") != NULL, limit == 0);
        assert_int_equal(strstr(text, "... and 3 more of missing_file") != NULL, limit == 2);
        assert_non_null(strstr(text, "5 findings would spoil training, 0 warnings"));
        free(text);
    }
    fv_data_report_free(&report);
}

static void is_the_same_for_any_number_of_threads(void **state) {
    (void)state;
    char *json[2];
    for (int i = 0; i < 2; i++) {
        fv_threads_set(i ? 4 : 1);
        fv_data_report report = check(many_missing, usual, FV_FINDINGS);
        assert_int_equal(fv_data_report_json(&report, &json[i]), FV_OK);
        fv_data_report_free(&report);
    }
    fv_threads_set(0);
    assert_string_equal(json[0], json[1]);
    cJSON *parsed = cJSON_Parse(json[0]);
    assert_non_null(parsed);
    const cJSON *counts = cJSON_GetObjectItem(parsed, "counts"), *findings = cJSON_GetObjectItem(parsed, "findings");
    assert_int_equal(cJSON_GetObjectItem(counts, "missing_file")->valueint, 5);
    assert_int_equal(cJSON_GetArraySize(findings), 5);
    assert_string_equal(cJSON_GetObjectItem(cJSON_GetArrayItem(findings, 0), "severity")->valuestring, "spoils");
    cJSON_Delete(parsed);
    free(json[0]);
    free(json[1]);
}

/* ---- real photographs ---- */

static void finds_nothing_in_drishti(void **state) {
    (void)state;
    char csv[FV_PATH_MAX];
    assert_int_equal(fv_path_join(csv, sample_real_data(), "drishti/index.csv"), FV_OK);
    if (!fv_file_exists(csv)) {
        print_message("skip: %s is not there\n", csv);
        skip();
    }
    fv_model_spec spec = sample_spec(false);
    fv_manifest manifest;
    fv_manifest_init(&manifest, &spec);
    assert_int_equal(fv_manifest_append(&manifest, &(fv_manifest_source){.csv = csv}), FV_OK);
    fv_split_settings settings = {
        .val_fraction = -1, .test_fraction = -1, .val_count = 10, .test_count = -1, .seed = 1};
    assert_int_equal(fv_manifest_split(&manifest, 0, &settings), FV_OK);
    fv_data_report report;
    fv_status status = fv_data_check(&manifest, &usual, &report);
    if (report.count > 0) fv_data_report_print(&report, 0, stderr);
    assert_int_equal(status, FV_OK);
    assert_int_equal(report.count, 0);
    assert_int_equal(report.sets[0].readable, 101);
    fv_data_report_free(&report);
    fv_manifest_free(&manifest);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_nothing_in_a_sound_set),
        cmocka_unit_test(finds_missing_and_damaged_files),
        cmocka_unit_test(finds_wrong_masks),
        cmocka_unit_test(finds_a_cup_outside_its_disc),
        cmocka_unit_test(warns_of_grey_masks_unless_they_are_meant_so),
        cmocka_unit_test(finds_the_same_photograph),
        cmocka_unit_test(warns_of_a_picture_saved_anew),
        cmocka_unit_test(finds_patients_on_both_sides),
        cmocka_unit_test(finds_classes_without_masks),
        cmocka_unit_test(warns_of_small_photographs),
        cmocka_unit_test(prints_some_of_each_kind),
        cmocka_unit_test(is_the_same_for_any_number_of_threads),
        cmocka_unit_test(finds_nothing_in_drishti),
    };
    return cmocka_run_group_tests(tests, make_set, remove_set);
}
