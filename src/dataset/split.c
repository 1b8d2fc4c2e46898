/* Train, validation and test: seeded, whole patients, whatever the order of rows. */
#include "fovea/dataset/manifest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/log.h"
#include "fovea/base/memory.h"
#include "fovea/base/rng.h"

#define STANDARD_FRACTION 0.15

const char *const fv_split_names[] = {"train", "val", "test", NULL};

/* A training row with the key of its patient; rows of one patient stand together once sorted. */
typedef struct ticket {
    uint64_t key;
    const char *person; /* tells patients of equal keys apart */
    int record;
} ticket;

static uint64_t hash_text(uint64_t hash, const char *text) {
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) hash = (hash ^ *c) * 0x100000001b3u;
    return (hash ^ 0xff) * 0x100000001b3u; /* 0xff ends a text: "a","bc" is not "ab","c" */
}

static const char *person_of(const fv_record *record) {
    return record->patient[0] ? record->patient : record->name;
}

static ticket make_ticket(const fv_manifest *manifest, int index, uint64_t seed) {
    const fv_record *record = &manifest->records[index];
    uint64_t who = hash_text(hash_text(0xcbf29ce484222325u, record->set), person_of(record));
    fv_rng rng = fv_rng_make(seed, 0, who, FV_PURPOSE_SPLIT);
    return (ticket){.key = fv_rng_next(&rng), .person = person_of(record), .record = index};
}

static int compare_tickets(const void *left, const void *right) {
    const ticket *a = left, *b = right;
    if (a->key != b->key) return a->key < b->key ? -1 : 1;
    int names = strcmp(a->person, b->person);
    return names ? names : (a->record > b->record) - (a->record < b->record);
}

static bool same_person(const ticket *a, const ticket *b) {
    return a->key == b->key && strcmp(a->person, b->person) == 0;
}

/* Moves about `wanted` training rows from `first` on to `split`; see fv_manifest_split(). */
static fv_status move_rows(fv_manifest *manifest, int first, int wanted, fv_split split, uint64_t seed) {
    ticket *tickets = fv_allocate((size_t)(manifest->count - first), sizeof *tickets, "the split of a set");
    if (!tickets) return FV_NO_RESOURCE;
    int count = 0, moved = 0;
    for (int i = first; i < manifest->count; i++) {
        if (manifest->records[i].split == FV_SPLIT_TRAIN) tickets[count++] = make_ticket(manifest, i, seed);
    }
    qsort(tickets, (size_t)count, sizeof *tickets, compare_tickets);
    for (int begin = 0, end; begin < count && moved < wanted; begin = end) {
        for (end = begin + 1; end < count && same_person(&tickets[begin], &tickets[end]); end++) continue;
        bool fits = moved + end - begin <= wanted || moved == 0;
        if (!fits || end - begin == count) continue; /* the last patient stays in train */
        for (int i = begin; i < end; i++) manifest->records[tickets[i].record].split = split;
        moved += end - begin;
    }
    free(tickets);
    return FV_OK;
}

static int count_split(const fv_manifest *manifest, int first, fv_split split) {
    int count = 0;
    for (int i = first; i < manifest->count; i++) count += manifest->records[i].split == split;
    return count;
}

static bool has_mask(const fv_manifest *manifest, const fv_record *record) {
    for (int c = 0; c < manifest->classes; c++) {
        if (record->mask[c][0]) return true;
    }
    return false;
}

static void drop_unannotated(fv_manifest *manifest, int first) {
    int dropped = 0;
    for (int i = first; i < manifest->count; i++) {
        if (has_mask(manifest, &manifest->records[i])) continue;
        manifest->records[i].split = FV_SPLIT_NONE;
        dropped++;
    }
    if (dropped == 0) return;
    fv_log_info("%s: %d of %d photographs have no mask of any class: left out of train, val and test",
                manifest->records[first].set, dropped, manifest->count - first);
}

/* Puts every annotated row into train. */
static void begin_in_train(fv_manifest *manifest, int first) {
    for (int i = first; i < manifest->count; i++) {
        if (has_mask(manifest, &manifest->records[i])) manifest->records[i].split = FV_SPLIT_TRAIN;
    }
}

fv_status fv_manifest_split(fv_manifest *manifest, int first, const fv_split_settings *settings) {
    if (first >= manifest->count) return FV_OK;
    bool by_column = count_split(manifest, first, FV_SPLIT_NONE) < manifest->count - first;
    drop_unannotated(manifest, first);
    if (!by_column) begin_in_train(manifest, first);
    int train = count_split(manifest, first, FV_SPLIT_TRAIN);
    double test = settings->test_fraction >= 0 ? settings->test_fraction : by_column ? 0 : STANDARD_FRACTION;
    double val = settings->val_fraction >= 0 ? settings->val_fraction : STANDARD_FRACTION;
    int test_wanted = test > 0 ? (int)fmax(1, floor(train * test + 0.5)) : 0;
    int val_wanted = settings->val_count >= 0 ? settings->val_count
                     : val > 0                ? (int)fmax(1, floor(train * val + 0.5))
                                              : 0;
    bool too_many = settings->val_count > 0 && settings->val_count >= train;
    if (too_many && train > 0 && count_split(manifest, first, FV_SPLIT_VAL) == 0) {
        return fv_fail(
            FV_BAD_INPUT,
            "%s: val_count = %d rows can't be moved to validation: train has %d annotated rows and must keep "
            "at least one",
            manifest->records[first].set, settings->val_count, train);
    }
    if (count_split(manifest, first, FV_SPLIT_TEST) == 0 && test_wanted > 0) {
        FV_TRY(move_rows(manifest, first, test_wanted, FV_SPLIT_TEST, settings->seed));
    }
    if (count_split(manifest, first, FV_SPLIT_VAL) == 0 && val_wanted > 0) {
        FV_TRY(move_rows(manifest, first, val_wanted, FV_SPLIT_VAL, settings->seed));
    }
    return FV_OK;
}

fv_status fv_manifest_select(const fv_manifest *manifest, fv_split split, int **records, int *count) {
    *records = NULL;
    *count = count_split(manifest, 0, split);
    if (*count == 0) return FV_OK;
    *records = fv_allocate((size_t)*count, sizeof **records, "the list of a split");
    if (!*records) {
        *count = 0;
        return FV_NO_RESOURCE;
    }
    for (int i = 0, n = 0; i < manifest->count; i++) {
        if (manifest->records[i].split == split) (*records)[n++] = i;
    }
    return FV_OK;
}
