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
    int next; /* of a patient's first row: that of the next patient of the group; -1 after the last */
} ticket;

/* The patients of a group that may still move, in the order of tickets. */
typedef struct queue {
    const char *group;
    int first, last; /* first rows of patients; first -1 when none is left */
    int moved;       /* rows */
} queue;

typedef struct queues {
    queue *list;
    int count;
} queues;

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

/* The training rows from `first` on, in the order in which they may move. */
static int make_tickets(const fv_manifest *manifest, int first, uint64_t seed, ticket *tickets) {
    int count = 0;
    for (int i = first; i < manifest->count; i++)
        if (manifest->records[i].split == FV_SPLIT_TRAIN) tickets[count++] = make_ticket(manifest, i, seed);
    qsort(tickets, (size_t)count, sizeof *tickets, compare_tickets);
    return count;
}

/* The rows begin .. end-1 of `tickets` are a patient. */
static int patient_end(const ticket *tickets, int count, int begin) {
    int end = begin + 1;
    while (end < count && same_person(&tickets[begin], &tickets[end])) end++;
    return end;
}

static queue *queue_of(queues *all, const char *group) {
    for (int i = 0; i < all->count; i++)
        if (strcmp(all->list[i].group, group) == 0) return &all->list[i];
    all->list[all->count] = (queue){.group = group, .first = -1};
    return &all->list[all->count++];
}

/* Each patient behind those of the group of its first row. */
static void fill_queues(const fv_manifest *manifest, ticket *tickets, int count, queues *all) {
    for (int begin = 0; begin < count; begin = patient_end(tickets, count, begin)) {
        queue *q = queue_of(all, manifest->records[tickets[begin].record].group);
        tickets[begin].next = -1;
        if (q->first < 0)
            q->first = begin;
        else
            tickets[q->last].next = begin;
        q->last = begin;
    }
}

/* The group whose turn it is: of those with the fewest rows moved the one whose patient comes first; NULL when no
   patient is left. */
static queue *next_queue(const queues *all) {
    queue *best = NULL;
    for (queue *q = all->list; q < all->list + all->count; q++) {
        if (q->first < 0) continue;
        if (!best || q->moved < best->moved || (q->moved == best->moved && q->first < best->first)) best = q;
    }
    return best;
}

/* Moves about `wanted` of the tickets' rows to `split`; see fv_manifest_split(). */
static void move_tickets(fv_manifest *manifest, const ticket *tickets, int count, queues *all, int wanted,
                         fv_split split) {
    int moved = 0;
    while (moved < wanted) {
        queue *q = next_queue(all);
        if (!q) return;
        int begin = q->first, end = patient_end(tickets, count, begin);
        bool fits = moved + end - begin <= wanted || moved == 0;
        q->first = tickets[begin].next;
        if (!fits || end - begin == count) continue; /* the last patient stays in train */
        for (int i = begin; i < end; i++) manifest->records[tickets[i].record].split = split;
        q->moved += end - begin;
        moved += end - begin;
    }
}

/* Moves training rows from `first` on. */
static fv_status move_rows(fv_manifest *manifest, int first, int wanted, fv_split split, uint64_t seed) {
    size_t rows = (size_t)(manifest->count - first);
    ticket *tickets = fv_allocate(rows, sizeof *tickets, "the split of a set");
    queues all = {.list = fv_allocate(rows, sizeof *all.list, "the split of a set")};
    fv_status status = tickets && all.list ? FV_OK : FV_NO_RESOURCE;
    if (status == FV_OK) {
        int count = make_tickets(manifest, first, seed, tickets);
        fill_queues(manifest, tickets, count, &all);
        move_tickets(manifest, tickets, count, &all, wanted, split);
    }
    free(tickets);
    free(all.list);
    return status;
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

/* How many of `train` rows are wanted: so many when `count` is given, else a share of at least one row. */
static int rows_wanted(int train, int count, double fraction) {
    if (count >= 0) return count;
    return fraction > 0 ? (int)fmax(1, floor(train * fraction + 0.5)) : 0;
}

static fv_status complain_count(const fv_manifest *manifest, int first, const char *key, int count, const char *where,
                                int train) {
    return fv_fail(FV_BAD_INPUT,
                   "%s: %s = %d rows can't be moved to %s: train has %d annotated rows and must keep at least one",
                   manifest->records[first].set, key, count, where, train);
}

fv_status fv_manifest_split(fv_manifest *manifest, int first, const fv_split_settings *settings) {
    if (first >= manifest->count) return FV_OK;
    bool by_column = count_split(manifest, first, FV_SPLIT_NONE) < manifest->count - first;
    drop_unannotated(manifest, first);
    if (!by_column) begin_in_train(manifest, first);
    int train = count_split(manifest, first, FV_SPLIT_TRAIN);
    bool no_test = count_split(manifest, first, FV_SPLIT_TEST) == 0;
    bool no_val = count_split(manifest, first, FV_SPLIT_VAL) == 0;
    double test = settings->test_fraction >= 0 ? settings->test_fraction : by_column ? 0 : STANDARD_FRACTION;
    double val = settings->val_fraction >= 0 ? settings->val_fraction : STANDARD_FRACTION;
    int test_wanted = no_test ? rows_wanted(train, settings->test_count, test) : 0;
    int val_wanted = no_val ? rows_wanted(train, settings->val_count, val) : 0;
    if (train > 0 && settings->test_count > 0 && test_wanted >= train)
        return complain_count(manifest, first, "test_count", test_wanted, "test", train);
    int left = train - test_wanted;
    if (train > 0 && settings->val_count > 0 && val_wanted >= left)
        return complain_count(manifest, first, "val_count", val_wanted, "validation", left);
    if (test_wanted > 0) FV_TRY(move_rows(manifest, first, test_wanted, FV_SPLIT_TEST, settings->seed));
    if (val_wanted > 0) FV_TRY(move_rows(manifest, first, val_wanted, FV_SPLIT_VAL, settings->seed));
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
