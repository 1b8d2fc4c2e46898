#include "export_photos.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"
#include "fovea/base/progress.h"
#include "fovea/dataset/loader.h"
#include "photo_list.h"

#define WINDOWS_A_SIDE 2

/* Photographs to read; what the records point to belongs to others. */
typedef struct photo_records {
    fv_record *items;
    int count, mask_threshold;
} photo_records;

/* One window of the network's training size, or the whole. */
static int samples_of(const fv_model_spec *spec) {
    return spec->preprocess.windows ? WINDOWS_A_SIDE * WINDOWS_A_SIDE : 1;
}

/* The window at (column, row) of a grid of WINDOWS_A_SIDE, spread over the work image. */
static fv_place window_at(const fv_image *work, int side, int column, int row) {
    int free_x = work->width > side ? work->width - side : 0, free_y = work->height > side ? work->height - side : 0;
    return (fv_place){free_x * (1 + 2 * column) / (2 * WINDOWS_A_SIDE), free_y * (1 + 2 * row) / (2 * WINDOWS_A_SIDE),
                      side, side};
}

static void take_samples(const fv_preprocess *p, const fv_image *work, float *out) {
    size_t floats = 3 * (size_t)p->size * (size_t)p->size;
    if (!p->windows) {
        fv_preprocess_sample(p, work, out);
        return;
    }
    for (int row = 0; row < WINDOWS_A_SIDE; row++)
        for (int column = 0; column < WINDOWS_A_SIDE; column++, out += floats)
            fv_preprocess_window(p, work, window_at(work, p->size, column, row), out);
}

/* `count` of them, spread evenly. */
static fv_status read_photos(const fv_model_spec *spec, const photo_records *photos, int count, float *out) {
    const fv_preprocess *p = &spec->preprocess;
    size_t floats = 3 * (size_t)p->size * (size_t)p->size * (size_t)samples_of(spec);
    fv_progress progress;
    fv_status status = FV_OK;
    fv_progress_start(&progress, "photographs", count);
    for (int i = 0; i < count && status == FV_OK; i++) {
        fv_work work;
        const fv_record *record = &photos->items[(int64_t)i * photos->count / count];
        status = fv_record_read(record, p, photos->mask_threshold, &work);
        if (status == FV_OK) take_samples(p, &work.image, out + (size_t)i * floats);
        fv_work_free(&work);
        fv_progress_update(&progress, i + 1, NULL);
    }
    fv_progress_end(&progress);
    return status;
}

/* At most `most` of the photographs. */
static fv_status inputs_make(const fv_model_spec *spec, const photo_records *photos, int most, export_inputs *inputs) {
    int taken = photos->count < most ? photos->count : most, side = spec->preprocess.size;
    if (taken == 0)
        return fv_fail(FV_BAD_INPUT, "there is no photograph to find the ranges of 8-bit values on: name some with "
                                     "--calibrate");
    size_t samples = (size_t)taken * (size_t)samples_of(spec);
    inputs->inputs = fv_allocate(samples * 3 * (size_t)side, (size_t)side * sizeof *inputs->inputs, "photographs");
    if (!inputs->inputs) return FV_NO_RESOURCE;
    fv_status status = read_photos(spec, photos, taken, inputs->inputs);
    inputs->photographs = taken;
    inputs->calibration = (fv_calibration){inputs->inputs, (int)samples, side, side};
    if (status != FV_OK) export_inputs_free(inputs);
    return status;
}

/* ---- where from ---- */

static fv_status record_add(photo_records *list, const fv_record *record) {
    fv_record *larger = realloc(list->items, ((size_t)list->count + 1) * sizeof *larger);
    if (!larger) return fv_fail_memory("a list of photographs", sizeof *larger);
    list->items = larger;
    list->items[list->count++] = *record;
    return FV_OK;
}

static fv_status add_records(const fv_manifest *manifest, fv_split split, photo_records *list) {
    for (int i = 0; i < manifest->count; i++)
        if (split == FV_SPLIT_NONE || manifest->records[i].split == split)
            FV_TRY(record_add(list, &manifest->records[i]));
    return FV_OK;
}

fv_status export_inputs_of_manifest(const fv_model_spec *spec, const fv_manifest *manifest, fv_split split,
                                    int mask_threshold, int most, export_inputs *inputs) {
    photo_records list = {.mask_threshold = mask_threshold};
    *inputs = (export_inputs){0};
    fv_status status = add_records(manifest, split, &list);
    if (status == FV_OK) status = inputs_make(spec, &list, most, inputs);
    free(list.items);
    return status;
}

static bool is_table(const char *word) {
    size_t length = strlen(word);
    return length > 4 && strcmp(word + length - 4, ".csv") == 0;
}

static fv_status add_words(const option_list *words, fv_manifest *tables, photo_list *photos, photo_records *list) {
    const char *others[OPTION_LIST_MAX];
    int other_count = 0;
    for (int i = 0; i < words->count; i++) {
        if (is_table(words->items[i]))
            FV_TRY(fv_manifest_append(tables, &(fv_manifest_source){.csv = words->items[i]}));
        else
            others[other_count++] = words->items[i];
    }
    if (other_count > 0) FV_TRY(photo_list_make((char *const *)others, other_count, photos));
    FV_TRY(add_records(tables, FV_SPLIT_NONE, list));
    for (int i = 0; i < photos->count; i++)
        FV_TRY(record_add(list, &(fv_record){.fundus = photos->paths[i], .fov = "", .fov_degrees = NAN}));
    return FV_OK;
}

fv_status export_inputs_of_words(const fv_model_spec *spec, const option_list *words, int most, export_inputs *inputs) {
    fv_manifest tables;
    photo_list photos = {0};
    photo_records list = {.mask_threshold = EXPORT_MASK_THRESHOLD};
    *inputs = (export_inputs){0};
    fv_manifest_init(&tables, spec);
    fv_status status = add_words(words, &tables, &photos, &list);
    if (status == FV_OK) status = inputs_make(spec, &list, most, inputs);
    free(list.items);
    photo_list_free(&photos);
    fv_manifest_free(&tables);
    return status;
}

void export_inputs_free(export_inputs *inputs) {
    free(inputs->inputs);
    *inputs = (export_inputs){0};
}
