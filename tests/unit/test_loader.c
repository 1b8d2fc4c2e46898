/* The loader: the bits of a batch follow from (seed, epoch, index) alone, and failures of its threads come out. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data_samples.h"
#include "fovea/base/log.h"
#include "fovea/dataset/loader.h"
#include "fovea/image/image_file.h"

enum { PHOTOS = 11, BATCH = 4, BATCHES = 3, SIZE = 32, CLASSES = 2, PIXELS = SIZE * SIZE };

static fv_manifest manifest;
static int all_records[PHOTOS];

/* Photographs of several sizes; number 3 has no cup. */
static int make_set(void **state) {
    (void)state;
    fv_log_set_quiet(true);
    sample_folder_make();
    char table[4096] = "name,fundus,od,oc\n";
    for (int i = 0; i < PHOTOS; i++) {
        char name[64], row[256];
        int width = 60 + 7 * i, height = 80 - 3 * i;
        snprintf(name, sizeof name, "photo%d.png", i);
        sample_write_photo(name, width, height, (uint64_t)i + 1);
        snprintf(name, sizeof name, "disc%d.png", i);
        sample_write_mask(name, width, height, (int[]){10, 10, 40, 45}, 255, 0);
        snprintf(name, sizeof name, "cup%d.png", i);
        sample_write_mask(name, width, height, (int[]){15, 20, 30, 35}, 255, 0);
        snprintf(row, sizeof row, i == 3 ? "p%d,photo%d.png,disc%d.png,\n" : "p%d,photo%d.png,disc%d.png,cup%d.png\n",
                 i, i, i, i);
        strcat(table, row);
        all_records[i] = i;
    }
    sample_write_text("index.csv", table);
    fv_model_spec spec = sample_spec(false);
    fv_manifest_init(&manifest, &spec);
    return fv_manifest_append(&manifest, &(fv_manifest_source){.csv = sample_path("index.csv")}) != FV_OK;
}

static int remove_set(void **state) {
    (void)state;
    fv_manifest_free(&manifest);
    sample_folder_remove();
    return 0;
}

static fv_loader_settings make_settings(int workers, size_t cache_bytes) {
    return (fv_loader_settings){.preprocess = {.size = SIZE, .work_size = 2 * SIZE, .enhance = fv_enhance_standard()},
                                .windows_per_photo = 1,
                                .augment = {.flip_horizontal = 0.5,
                                            .rotate_probability = 1,
                                            .rotate_degrees = 20,
                                            .noise_probability = 0.5,
                                            .noise_low = 1,
                                            .noise_high = 5},
                                .mask_threshold = 127,
                                .batch = BATCH,
                                .workers = workers,
                                .cache_bytes = cache_bytes,
                                .seed = 42};
}

static fv_loader *make_loader(const fv_loader_settings *settings) {
    fv_loader *loader;
    if (fv_loader_make(&manifest, all_records, PHOTOS, settings, &loader) != FV_OK) fail_msg("%s", fv_error());
    return loader;
}

static const fv_batch *get(fv_loader *loader, int epoch, int index) {
    const fv_batch *batch;
    if (fv_loader_get(loader, epoch, index, &batch) != FV_OK) fail_msg("%s", fv_error());
    return batch;
}

/* A batch's every byte, for comparing. */
typedef struct snapshot {
    float input[BATCH * PIXELS * 3], target[BATCH * PIXELS * CLASSES], valid[BATCH * CLASSES];
    int records[BATCH];
} snapshot;

static void take_snapshot(const fv_batch *batch, snapshot *taken) {
    assert_int_equal(batch->count, BATCH);
    memcpy(taken->input, batch->input, sizeof taken->input);
    memcpy(taken->target, batch->target, sizeof taken->target);
    memcpy(taken->valid, batch->valid, sizeof taken->valid);
    memcpy(taken->records, batch->records, sizeof taken->records);
}

/* All batches of `epochs` epochs, in order. */
static snapshot *run_through(int epochs, const fv_loader_settings *settings) {
    snapshot *taken = calloc((size_t)(epochs * BATCHES), sizeof *taken);
    fv_loader *loader = make_loader(settings);
    assert_int_equal(fv_loader_batches(loader), BATCHES);
    for (int i = 0; i < epochs * BATCHES; i++) take_snapshot(get(loader, i / BATCHES, i % BATCHES), &taken[i]);
    fv_loader_free(loader);
    return taken;
}

static void is_the_same_for_any_workers_and_cache(void **state) {
    (void)state;
    enum { EPOCHS = 3 };
    static const struct {
        int workers;
        size_t cache_bytes;
    } others[] = {{3, 0}, {3, 1 << 30}, {2, 80000}, {0, 1 << 30}};
    fv_loader_settings settings = make_settings(1, 0);
    snapshot *expected = run_through(EPOCHS, &settings);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        settings = make_settings(others[i].workers, others[i].cache_bytes);
        snapshot *other = run_through(EPOCHS, &settings);
        assert_memory_equal(expected, other, EPOCHS * BATCHES * sizeof *other);
        free(other);
    }
    assert_memory_not_equal(expected[0].input, expected[BATCHES].input, sizeof expected[0].input);
    free(expected);
}

static void goes_to_any_batch(void **state) {
    (void)state;
    enum { EPOCHS = 4 };
    static const int visits[] = {7, 8, 0, 11, 3, 3, 4, 5, 1, 10, 2, 9, 6};
    fv_loader_settings settings = make_settings(3, 1 << 20);
    snapshot *expected = run_through(EPOCHS, &settings), *found = malloc(sizeof *found);
    fv_loader *loader = make_loader(&settings);
    for (size_t i = 0; i < sizeof visits / sizeof *visits; i++) {
        take_snapshot(get(loader, visits[i] / BATCHES, visits[i] % BATCHES), found);
        assert_memory_equal(found, &expected[visits[i]], sizeof *found);
    }
    fv_loader_free(loader);
    free(found);
    free(expected);
}

static void an_epoch_has_every_sample_and_a_full_last_batch(void **state) {
    (void)state;
    fv_loader_settings settings = make_settings(2, 1 << 20);
    snapshot *taken = run_through(2, &settings);
    for (int epoch = 0; epoch < 2; epoch++) {
        const snapshot *first = &taken[epoch * BATCHES];
        int seen[PHOTOS] = {0};
        for (int i = 0; i < BATCHES * BATCH; i++) seen[first[i / BATCH].records[i % BATCH]]++;
        seen[first->records[0]]--; /* 12 places for 11: the last is the epoch's first sample again */
        for (int i = 0; i < PHOTOS; i++) assert_int_equal(seen[i], 1);
        assert_int_equal(first[BATCHES - 1].records[BATCH - 1], first->records[0]);
    }
    assert_memory_not_equal(taken[0].records, taken[BATCHES].records, sizeof taken[0].records);
    free(taken);
}

static void targets_are_binary_and_valid_where_annotated(void **state) {
    (void)state;
    fv_loader_settings settings = make_settings(2, 1 << 20);
    snapshot *taken = run_through(1, &settings);
    for (int b = 0; b < BATCHES; b++) {
        for (int j = 0; j < BATCH; j++) {
            int inside[CLASSES] = {0};
            for (int i = 0; i < PIXELS * CLASSES; i++) {
                float value = taken[b].target[j * PIXELS * CLASSES + i];
                assert_true(value == 0.0f || value == 1.0f);
                inside[i % CLASSES] += value == 1.0f;
            }
            bool has_cup = taken[b].records[j] != 3;
            assert_true(taken[b].valid[j * CLASSES] == 1.0f);
            assert_true(taken[b].valid[j * CLASSES + 1] == (has_cup ? 1.0f : 0.0f));
            assert_true(inside[0] > 0);
            assert_int_equal(inside[1] > 0, has_cup);
        }
    }
    free(taken);
}

/* A mask of 64 within 128 x 128 px: letterboxed to 64 and sampled to 32, its edge lies at pixel 16 exactly. */
static void keeps_soft_masks_when_asked(void **state) {
    (void)state;
    sample_write_photo("soft.png", 128, 128, 99);
    sample_write_mask("soft_mask.png", 128, 128, (int[]){0, 0, 64, 128}, 191, 64);
    sample_write_text("soft.csv", "fundus,od\nsoft.png,soft_mask.png\n");
    fv_model_spec spec = sample_spec(false);
    fv_manifest soft;
    fv_manifest_init(&soft, &spec);
    assert_int_equal(fv_manifest_append(&soft, &(fv_manifest_source){.csv = sample_path("soft.csv")}), FV_OK);
    for (int keep = 0; keep < 2; keep++) {
        fv_loader_settings settings = make_settings(1, 0);
        settings.augment = (fv_augment){0};
        settings.soft_masks = keep;
        settings.batch = 1;
        fv_loader *loader;
        assert_int_equal(fv_loader_make(&soft, (int[]){0}, 1, &settings, &loader), FV_OK);
        const fv_batch *batch = get(loader, 0, 0);
        for (int x = 0; x < SIZE; x++) {
            float expected = keep ? (x < 16 ? 191 : 64) / 255.0f : x < 16;
            assert_float_equal(batch->target[(5 * SIZE + x) * CLASSES], expected, 1e-6);
        }
        fv_loader_free(loader);
    }
    fv_manifest_free(&soft);
}

static void reads_a_sample_of_coloured_mask(void **state) {
    (void)state;
    fv_image mask;
    assert_int_equal(fv_image_make(60, 80, 3, &mask), FV_OK);
    for (int i = 0; i < 60 * 80; i++) mask.data[3 * i + 2] = i % 60 < 30 ? 255 : 0; /* blue left half */
    fv_manifest blue = {0};
    fv_model_spec spec = sample_spec(false);
    fv_manifest_init(&blue, &spec);
    sample_write_text("blue.csv", "fundus,od\nphoto0.png,blue.png\n");
    assert_int_equal(fv_image_write_png(&mask, sample_path("blue.png")), FV_OK);
    fv_image_free(&mask);
    assert_int_equal(fv_manifest_append(&blue, &(fv_manifest_source){.csv = sample_path("blue.csv")}), FV_OK);
    fv_loader_settings settings = make_settings(1, 0);
    settings.preprocess.fit = FV_FIT_STRETCH;
    fv_sample sample;
    assert_int_equal(fv_sample_read(&blue, 0, &settings.preprocess, 127, false, &sample), FV_OK);
    assert_int_equal(sample.work.image.width, 2 * SIZE);
    assert_int_equal(sample.mask[0].channels, 1);
    assert_int_equal(sample.mask[0].data[2 * SIZE * SIZE], 255);
    assert_int_equal(sample.mask[0].data[2 * SIZE * SIZE + 2 * SIZE - 1], 0);
    assert_null(sample.mask[1].data);
    assert_int_equal(fv_sample_bytes(&sample), 4 * PIXELS * 4);
    fv_sample_free(&sample);
    fv_manifest_free(&blue);
}

static void reports_what_a_thread_could_not_read(void **state) {
    (void)state;
    sample_write_photo("gone.png", 40, 40, 7);
    sample_write_mask("small.png", 30, 40, (int[]){5, 5, 20, 20}, 255, 0);
    sample_write_text("bad.csv", "fundus,od\nphoto0.png,disc0.png\nmissing.png,disc1.png\ngone.png,small.png\n");
    fv_model_spec spec = sample_spec(false);
    fv_manifest bad;
    fv_manifest_init(&bad, &spec);
    assert_int_equal(fv_manifest_append(&bad, &(fv_manifest_source){.csv = sample_path("bad.csv")}), FV_OK);
    fv_loader_settings settings = make_settings(3, 0);
    settings.batch = 1;
    fv_loader *loader;
    const fv_batch *batch;
    assert_int_equal(fv_loader_make(&bad, (int[]){1, 0, 2}, 3, &settings, &loader), FV_OK);
    int good = 0, missing = 0, mismatch = 0;
    for (int i = 0; i < 3; i++) {
        fv_fail(FV_BAD_INPUT, "an older sentence");
        if (fv_loader_get(loader, 0, i, &batch) == FV_OK) {
            good += batch->records[0] == 0;
        } else {
            assert_null(batch);
            missing += strstr(fv_error(), "missing.png") != NULL;
            mismatch += strstr(fv_error(), "small.png: the mask is 30 x 40 px but its photograph") != NULL &&
                        strstr(fv_error(), "gone.png is 40 x 40 px") != NULL;
        }
    }
    assert_int_equal(good, 1);
    assert_int_equal(missing, 1);
    assert_int_equal(mismatch, 1);
    fv_loader_free(loader);
    fv_manifest_free(&bad);
}

static void refuses_what_makes_no_sense(void **state) {
    (void)state;
    fv_loader_settings settings = make_settings(1, 0);
    fv_loader *loader;
    const fv_batch *batch;
    assert_int_equal(fv_loader_make(&manifest, all_records, 0, &settings, &loader), FV_BAD_INPUT);
    assert_null(loader);
    assert_int_equal(fv_loader_make(&manifest, (int[]){PHOTOS}, 1, &settings, &loader), FV_BAD_INPUT);
    settings.batch = 0;
    assert_int_equal(fv_loader_make(&manifest, all_records, PHOTOS, &settings, &loader), FV_BAD_INPUT);
    fv_loader_free(NULL);
    settings.batch = BATCH;
    loader = make_loader(&settings);
    assert_int_equal(fv_loader_get(loader, 0, BATCHES, &batch), FV_BAD_INPUT);
    assert_int_equal(fv_loader_get(loader, -1, 0, &batch), FV_BAD_INPUT);
    fv_loader_free(loader);
}

static void stops_while_threads_work(void **state) {
    (void)state;
    fv_loader_settings settings = make_settings(3, 1 << 20);
    for (int i = 0; i < 20; i++) {
        fv_loader *loader = make_loader(&settings);
        if (i % 2) get(loader, i, 0);
        fv_loader_free(loader);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_the_same_for_any_workers_and_cache),
        cmocka_unit_test(goes_to_any_batch),
        cmocka_unit_test(an_epoch_has_every_sample_and_a_full_last_batch),
        cmocka_unit_test(targets_are_binary_and_valid_where_annotated),
        cmocka_unit_test(keeps_soft_masks_when_asked),
        cmocka_unit_test(reads_a_sample_of_coloured_mask),
        cmocka_unit_test(reports_what_a_thread_could_not_read),
        cmocka_unit_test(refuses_what_makes_no_sense),
        cmocka_unit_test(stops_while_threads_work),
    };
    return cmocka_run_group_tests(tests, make_set, remove_set);
}
