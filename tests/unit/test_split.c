/* Splits: seeded, whole patients, indifferent to the order of rows. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "data_samples.h"
#include "fovea/base/log.h"

static const fv_split_settings standard = {
    .val_fraction = -1, .test_fraction = -1, .val_count = -1, .test_count = -1, .seed = 1};

/* `count` records p0, p1, ... of eyes_per_patient rows a patient, all with a disc, written from the last to the first
 * when `backwards`. */
static fv_manifest make_records(int count, int eyes_per_patient, fv_split split, bool backwards) {
    fv_model_spec spec = sample_spec(false);
    fv_manifest manifest;
    fv_manifest_init(&manifest, &spec);
    manifest.records = calloc((size_t)count, sizeof *manifest.records);
    manifest.count = manifest.capacity = count;
    for (int i = 0; i < count; i++) {
        int number = backwards ? count - 1 - i : i;
        fv_record *record = &manifest.records[i];
        char patient[32] = "";
        if (eyes_per_patient > 1) snprintf(patient, sizeof patient, "patient %d", number / eyes_per_patient);
        snprintf(record->name, sizeof record->name, "p%d", number);
        strcpy(record->set, "set");
        record->fundus = strdup("photo.png");
        record->patient = strdup(patient);
        record->fov = strdup("");
        record->group = strdup("");
        for (int c = 0; c < FV_MAX_CLASSES; c++) record->mask[c] = strdup(c == 0 ? "disc.png" : "");
        record->split = split;
    }
    return manifest;
}

static int count_of(const fv_manifest *manifest, fv_split split) {
    int *records, count;
    assert_int_equal(fv_manifest_select(manifest, split, &records, &count), FV_OK);
    for (int i = 0; i < count; i++) assert_int_equal(manifest->records[records[i]].split, split);
    free(records);
    return count;
}

static void split(fv_manifest *manifest, fv_split_settings settings) {
    if (fv_manifest_split(manifest, 0, &settings) != FV_OK) fail_msg("%s", fv_error());
}

static void parts_by_standard_fractions(void **state) {
    (void)state;
    fv_manifest manifest = make_records(200, 1, FV_SPLIT_NONE, false);
    split(&manifest, standard);
    assert_int_equal(count_of(&manifest, FV_SPLIT_TEST), 30);
    assert_int_equal(count_of(&manifest, FV_SPLIT_VAL), 30);
    assert_int_equal(count_of(&manifest, FV_SPLIT_TRAIN), 140);
    fv_manifest_free(&manifest);
}

static fv_split split_of(const fv_manifest *manifest, const char *name) {
    for (int i = 0; i < manifest->count; i++) {
        if (strcmp(manifest->records[i].name, name) == 0) return manifest->records[i].split;
    }
    fail_msg("no record %s", name);
    return FV_SPLIT_NONE;
}

static void does_not_depend_on_the_order_of_rows(void **state) {
    (void)state;
    for (int eyes = 1; eyes <= 2; eyes++) {
        fv_manifest forwards = make_records(60, eyes, FV_SPLIT_NONE, false);
        fv_manifest backwards = make_records(60, eyes, FV_SPLIT_NONE, true);
        split(&forwards, standard);
        split(&backwards, standard);
        for (int i = 0; i < 60; i++) {
            const char *name = forwards.records[i].name;
            assert_int_equal(split_of(&forwards, name), split_of(&backwards, name));
        }
        fv_manifest_free(&forwards);
        fv_manifest_free(&backwards);
    }
}

static void follows_the_seed(void **state) {
    (void)state;
    fv_split_settings other = standard;
    other.seed = 2;
    fv_manifest a = make_records(100, 1, FV_SPLIT_NONE, false), b = make_records(100, 1, FV_SPLIT_NONE, false);
    split(&a, standard);
    split(&b, other);
    int moved = 0;
    for (int i = 0; i < 100; i++) moved += a.records[i].split != b.records[i].split;
    assert_in_range(moved, 20, 70); /* 47 expected of independent splits 70/15/15 */
    fv_manifest_free(&a);
    fv_manifest_free(&b);
}

static void keeps_patients_whole(void **state) {
    (void)state;
    fv_manifest manifest = make_records(60, 3, FV_SPLIT_NONE, false);
    fv_split_settings settings = {
        .val_fraction = 0.17, .test_fraction = 0.1, .val_count = -1, .test_count = -1, .seed = 5};
    split(&manifest, settings);
    assert_int_equal(count_of(&manifest, FV_SPLIT_TEST), 6);
    assert_int_equal(count_of(&manifest, FV_SPLIT_VAL), 9); /* 10 wanted, whole patients of three */
    for (int i = 0; i < 60; i += 3) {
        assert_int_equal(manifest.records[i].split, manifest.records[i + 1].split);
        assert_int_equal(manifest.records[i].split, manifest.records[i + 2].split);
    }
    fv_manifest_free(&manifest);
}

/* Record i of the group "g0", "g1" or "g2": i modulo 3, but for every second one of g2, which is of g0. */
static void name_groups(fv_manifest *manifest) {
    for (int i = 0; i < manifest->count; i++) {
        int group = i % 6 == 5 ? 0 : i % 3;
        manifest->records[i].group = realloc(manifest->records[i].group, 8);
        snprintf(manifest->records[i].group, 8, "g%d", group);
    }
}

static void count_groups(const fv_manifest *manifest, fv_split split, int counts[3]) {
    memset(counts, 0, 3 * sizeof *counts);
    for (int i = 0; i < manifest->count; i++)
        counts[manifest->records[i].group[1] - '0'] += manifest->records[i].split == split;
}

static void draws_equally_from_groups(void **state) {
    (void)state;
    fv_split_settings settings = standard;
    settings.test_count = 15;
    settings.val_count = 4;
    fv_manifest manifest = make_records(60, 1, FV_SPLIT_NONE, false);
    name_groups(&manifest);
    split(&manifest, settings);
    int test[3], val[3];
    count_groups(&manifest, FV_SPLIT_TEST, test);
    count_groups(&manifest, FV_SPLIT_VAL, val);
    for (int g = 0; g < 3; g++) {
        assert_int_equal(test[g], 5); /* though the groups have 30, 20 and 10 rows */
        assert_in_range(val[g], 1, 2);
    }
    assert_int_equal(val[0] + val[1] + val[2], 4);
    fv_manifest_free(&manifest);
}

/* A group that runs out leaves its share to the others. */
static void takes_the_rest_from_larger_groups(void **state) {
    (void)state;
    fv_split_settings settings = {.val_fraction = 0, .test_fraction = 0, .val_count = 0, .test_count = 42, .seed = 3};
    fv_manifest manifest = make_records(60, 1, FV_SPLIT_NONE, false);
    name_groups(&manifest);
    split(&manifest, settings);
    int test[3];
    count_groups(&manifest, FV_SPLIT_TEST, test);
    assert_int_equal(test[0], 16);
    assert_int_equal(test[1], 16);
    assert_int_equal(test[2], 10);
    assert_int_equal(count_of(&manifest, FV_SPLIT_VAL), 0);
    fv_manifest_free(&manifest);
    manifest = make_records(10, 1, FV_SPLIT_NONE, false);
    settings.test_count = 10;
    assert_int_equal(fv_manifest_split(&manifest, 0, &settings), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "test_count = 10 rows can't be moved to test: train has 10 annotated rows"));
    fv_manifest_free(&manifest);
}

static void takes_validation_from_train_only(void **state) {
    (void)state;
    fv_manifest manifest = make_records(50, 1, FV_SPLIT_TRAIN, false);
    for (int i = 0; i < 20; i++) manifest.records[i].split = FV_SPLIT_TEST;
    manifest.records[20].split = FV_SPLIT_NONE;
    fv_split_settings settings = standard;
    settings.val_count = 7;
    settings.test_fraction = 0.5; /* the column has test rows: not looked at */
    split(&manifest, settings);
    assert_int_equal(count_of(&manifest, FV_SPLIT_TEST), 20);
    assert_int_equal(count_of(&manifest, FV_SPLIT_VAL), 7);
    assert_int_equal(count_of(&manifest, FV_SPLIT_TRAIN), 22);
    assert_int_equal(count_of(&manifest, FV_SPLIT_NONE), 1);
    split(&manifest, settings); /* validation is there now: nothing moves */
    assert_int_equal(count_of(&manifest, FV_SPLIT_VAL), 7);
    fv_manifest_free(&manifest);
}

static void keeps_no_test_rows_of_a_train_column(void **state) {
    (void)state;
    fv_manifest manifest = make_records(40, 1, FV_SPLIT_TRAIN, false);
    split(&manifest, standard);
    assert_int_equal(count_of(&manifest, FV_SPLIT_TEST), 0);
    assert_int_equal(count_of(&manifest, FV_SPLIT_VAL), 6);
    fv_manifest_free(&manifest);
}

static void leaves_out_what_is_not_annotated(void **state) {
    (void)state;
    fv_manifest manifest = make_records(40, 1, FV_SPLIT_NONE, false);
    for (int i = 0; i < 20; i++) manifest.records[i].mask[0][0] = '\0';
    split(&manifest, (fv_split_settings){.val_fraction = 0.1, .test_fraction = 0, .val_count = -1, .test_count = -1});
    assert_int_equal(count_of(&manifest, FV_SPLIT_NONE), 20);
    assert_int_equal(count_of(&manifest, FV_SPLIT_VAL), 2);
    assert_int_equal(count_of(&manifest, FV_SPLIT_TRAIN), 18);
    for (int i = 0; i < 20; i++) assert_int_equal(manifest.records[i].split, FV_SPLIT_NONE);
    fv_manifest_free(&manifest);
}

static void does_not_empty_train(void **state) {
    (void)state;
    fv_manifest manifest = make_records(5, 1, FV_SPLIT_NONE, false);
    fv_split_settings settings = standard;
    settings.val_count = 5;
    assert_int_equal(fv_manifest_split(&manifest, 0, &settings), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "val_count = 5"));
    fv_manifest_free(&manifest);
    manifest = make_records(1, 1, FV_SPLIT_NONE, false);
    split(&manifest, standard);
    assert_int_equal(count_of(&manifest, FV_SPLIT_TRAIN), 1);
    fv_manifest_free(&manifest);
}

/* Validation is taken from what the test split leaves: 6 of 10 rows, of which one must stay in train. */
static void validation_may_not_take_what_the_test_split_leaves(void **state) {
    (void)state;
    fv_split_settings settings = standard;
    settings.test_count = 4;
    settings.val_count = 6;
    fv_manifest manifest = make_records(10, 1, FV_SPLIT_NONE, false);
    assert_int_equal(fv_manifest_split(&manifest, 0, &settings), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "val_count = 6 rows can't be moved to validation: train has 6 annotated rows"));
    fv_manifest_free(&manifest);
    manifest = make_records(10, 1, FV_SPLIT_NONE, false);
    settings.val_count = 5;
    split(&manifest, settings);
    assert_int_equal(count_of(&manifest, FV_SPLIT_TEST), 4);
    assert_int_equal(count_of(&manifest, FV_SPLIT_VAL), 5);
    assert_int_equal(count_of(&manifest, FV_SPLIT_TRAIN), 1);
    fv_manifest_free(&manifest);
}

/* Its time grows with the rows, not with their square: that would be half a minute here. */
static void a_large_set_takes_no_time(void **state) {
    (void)state;
    fv_manifest manifest = make_records(200000, 2, FV_SPLIT_NONE, false);
    name_groups(&manifest);
    clock_t begin = clock();
    split(&manifest, standard);
    assert_true((double)(clock() - begin) / CLOCKS_PER_SEC < 5);
    assert_int_equal(count_of(&manifest, FV_SPLIT_TEST), 30000);
    fv_manifest_free(&manifest);
}

int main(void) {
    fv_log_set_quiet(true);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_by_standard_fractions),
        cmocka_unit_test(does_not_depend_on_the_order_of_rows),
        cmocka_unit_test(follows_the_seed),
        cmocka_unit_test(keeps_patients_whole),
        cmocka_unit_test(draws_equally_from_groups),
        cmocka_unit_test(takes_the_rest_from_larger_groups),
        cmocka_unit_test(takes_validation_from_train_only),
        cmocka_unit_test(keeps_no_test_rows_of_a_train_column),
        cmocka_unit_test(leaves_out_what_is_not_annotated),
        cmocka_unit_test(does_not_empty_train),
        cmocka_unit_test(validation_may_not_take_what_the_test_split_leaves),
        cmocka_unit_test(a_large_set_takes_no_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
