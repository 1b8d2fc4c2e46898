/* The data check over all records: each one by itself, then what only shows when they are compared. */
#include "check_parts.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"
#include "fovea/base/progress.h"
#include "fovea/base/threads.h"

/* Grey levels between thumbnails. A photograph halved, shrunk to 256 px or saved at JPEG quality 60 differs by at most
   0.6 and 7 from itself (195 photographs of eight sets); of 892, one pair comes closer than 2.2 and 12, and shows one
   eye. */
#define ALIKE_MEAN 1.5
#define ALIKE_LARGEST 8

const char *const fv_finding_names[] = {"missing_file",
                                        "unreadable",
                                        "size_mismatch",
                                        "empty_mask",
                                        "full_mask",
                                        "cup_outside_disc",
                                        "not_binary",
                                        "same_photo",
                                        "alike_photo",
                                        "patient_leak",
                                        "class_missing",
                                        "small_photo",
                                        NULL};

_Static_assert(sizeof fv_finding_names / sizeof *fv_finding_names == FV_FINDING_KINDS + 1, "a name for every kind");

typedef struct check {
    const fv_manifest *manifest;
    const fv_data_check_settings *settings;
    fv_record_facts *facts;   /* by record */
    int *order;               /* records, sorted by what is being compared */
    fv_finding_list together; /* findings about several records */
    fv_progress progress;
    atomic_llong done;
} check;

void fv_data_report_free(fv_data_report *report) {
    fv_finding_list_free(&(fv_finding_list){.items = report->findings, .count = report->count});
    free(report->sets);
    *report = (fv_data_report){0};
}

static void examine(void *context, int64_t i, int worker) {
    check *all = context;
    fv_record_examine(all->manifest, (int)i, all->settings, &all->facts[i]);
    long long done = atomic_fetch_add(&all->done, 1) + 1;
    if (worker == 0) fv_progress_update(&all->progress, done, NULL);
}

/* ---- the same photograph, the same patient ---- */

/* Both used, and on different sides. */
static bool across_split(const fv_record *a, const fv_record *b) {
    return a->split != b->split && a->split != FV_SPLIT_NONE && b->split != FV_SPLIT_NONE;
}

static void add_pair(check *all, int earlier, int later, bool same) {
    const fv_record *a = &all->manifest->records[earlier], *b = &all->manifest->records[later];
    const char *what = same ? "is the same photograph as" : "looks like the same photograph as";
    bool leak = across_split(a, b);
    fv_finding_kind kind = same ? FV_FINDING_SAME_PHOTO : FV_FINDING_ALIKE_PHOTO;
    if (leak) {
        fv_finding_add(&all->together, kind, same, b->fundus, "%s (%s) %s %s (%s): on both sides of the split",
                       b->fundus, fv_split_names[b->split], what, a->fundus, fv_split_names[a->split]);
    } else {
        fv_finding_add(&all->together, kind, false, b->fundus, "%s %s %s", b->fundus, what, a->fundus);
    }
}

static int compare_facts(const void *left, const void *right, void *context) {
    int a = *(const int *)left, b = *(const int *)right;
    const fv_record_facts *facts = context, *x = &facts[a], *y = &facts[b];
    if (x->readable != y->readable) return y->readable - x->readable;
    if (x->pixels_hash != y->pixels_hash) return x->pixels_hash < y->pixels_hash ? -1 : 1;
    return (a > b) - (a < b);
}

/* Every photograph against the first with the same pixels and, where one of its kind is on the other side, against
 * that. */
static void find_same_photos(check *all) {
    const fv_record *records = all->manifest->records;
    int count = all->manifest->count;
    qsort_r(all->order, (size_t)count, sizeof *all->order, compare_facts, all->facts);
    for (int begin = 0, end; begin < count && all->facts[all->order[begin]].readable; begin = end) {
        const fv_record_facts *first = &all->facts[all->order[begin]];
        for (end = begin + 1; end < count; end++) {
            const fv_record_facts *next = &all->facts[all->order[end]];
            if (!next->readable || next->pixels_hash != first->pixels_hash) break;
            int partner = begin;
            for (int k = begin; k < end; k++) {
                if (!across_split(&records[all->order[k]], &records[all->order[end]])) continue;
                partner = k;
                break;
            }
            add_pair(all, all->order[partner], all->order[end], true);
        }
    }
}

static int compare_means(const void *left, const void *right, void *context) {
    int a = *(const int *)left, b = *(const int *)right;
    const fv_record_facts *facts = context, *x = &facts[a], *y = &facts[b];
    if (x->readable != y->readable) return y->readable - x->readable;
    if (x->thumbnail_mean != y->thumbnail_mean) return x->thumbnail_mean < y->thumbnail_mean ? -1 : 1;
    return (a > b) - (a < b);
}

static bool alike(const fv_record_facts *a, const fv_record_facts *b) {
    enum { CELLS = FV_THUMBNAIL_SIDE * FV_THUMBNAIL_SIDE };
    int sum = 0;
    for (int i = 0; i < CELLS; i++) {
        int difference = abs(a->thumbnail[i] - b->thumbnail[i]);
        sum += difference;
        if (difference > ALIKE_LARGEST || sum > ALIKE_MEAN * CELLS) return false;
    }
    return a->pixels_hash != b->pixels_hash;
}

/* The mean of differences is at least the difference of means: only neighbours in order of mean need a look. */
static void find_alike_photos(check *all) {
    int count = all->manifest->count;
    qsort_r(all->order, (size_t)count, sizeof *all->order, compare_means, all->facts);
    for (int i = 0; i < count && all->facts[all->order[i]].readable; i++) {
        const fv_record_facts *facts = &all->facts[all->order[i]];
        for (int k = i - 1; k >= 0; k--) {
            const fv_record_facts *before = &all->facts[all->order[k]];
            if (facts->thumbnail_mean - before->thumbnail_mean > ALIKE_MEAN) break;
            if (!alike(before, facts)) continue;
            int a = all->order[k], b = all->order[i];
            add_pair(all, a < b ? a : b, a < b ? b : a, false);
            break;
        }
    }
}

static int compare_patients(const void *left, const void *right, void *context) {
    int i = *(const int *)left, k = *(const int *)right;
    const fv_manifest *manifest = context;
    const fv_record *a = &manifest->records[i], *b = &manifest->records[k];
    int order = strcmp(a->set, b->set);
    if (order == 0) order = strcmp(a->patient, b->patient);
    return order ? order : (i > k) - (i < k);
}

static void find_patient_leaks(check *all) {
    const fv_record *records = all->manifest->records;
    int count = all->manifest->count;
    qsort_r(all->order, (size_t)count, sizeof *all->order, compare_patients, (void *)all->manifest);
    for (int begin = 0, end; begin < count; begin = end) {
        const fv_record *first = &records[all->order[begin]], *other = NULL;
        for (end = begin + 1; end < count; end++) {
            const fv_record *next = &records[all->order[end]];
            if (strcmp(next->set, first->set) != 0 || strcmp(next->patient, first->patient) != 0) break;
            if (first->split == FV_SPLIT_NONE) first = next;
            if (!other && across_split(first, next)) other = next;
        }
        if (!other || !first->patient[0]) continue;
        fv_finding_add(&all->together, FV_FINDING_PATIENT_LEAK, true, other->fundus,
                       "patient %s of set %s is on both sides of the split: %s (%s) and %s (%s)", first->patient,
                       first->set, first->fundus, fv_split_names[first->split], other->fundus,
                       fv_split_names[other->split]);
    }
}

/* ---- counts ---- */

static fv_set_summary *summary_of(fv_data_report *report, const char *set) {
    for (int i = 0; i < report->set_count; i++) {
        if (strcmp(report->sets[i].set, set) == 0) return &report->sets[i];
    }
    fv_set_summary *grown = realloc(report->sets, (size_t)(report->set_count + 1) * sizeof *grown);
    if (!grown) return NULL;
    report->sets = grown;
    grown += report->set_count++;
    *grown = (fv_set_summary){0};
    memcpy(grown->set, set, sizeof grown->set);
    return grown;
}

static int compare_sizes(const void *left, const void *right, void *context) {
    const fv_record_facts *facts = context, *a = &facts[*(const int *)left], *b = &facts[*(const int *)right];
    int64_t x = (int64_t)a->width * a->height, y = (int64_t)b->width * b->height;
    return x != y ? (x > y) - (x < y) : (a->width > b->width) - (a->width < b->width);
}

static void summarise_sizes(check *all, fv_set_summary *summary) {
    int count = 0;
    for (int i = 0; i < all->manifest->count; i++) {
        bool member = all->facts[i].readable && strcmp(all->manifest->records[i].set, summary->set) == 0;
        if (member) all->order[count++] = i;
    }
    summary->readable = count;
    if (count == 0) return;
    qsort_r(all->order, (size_t)count, sizeof *all->order, compare_sizes, all->facts);
    const fv_record_facts *smallest = &all->facts[all->order[0]], *median = &all->facts[all->order[count / 2]];
    const fv_record_facts *largest = &all->facts[all->order[count - 1]];
    summary->smallest_px[0] = smallest->width, summary->smallest_px[1] = smallest->height;
    summary->median_px[0] = median->width, summary->median_px[1] = median->height;
    summary->largest_px[0] = largest->width, summary->largest_px[1] = largest->height;
}

static fv_status summarise(check *all, fv_data_report *report) {
    const fv_manifest *manifest = all->manifest;
    report->photos = manifest->count;
    report->classes = manifest->classes;
    memcpy(report->class_names, manifest->class_names, sizeof report->class_names);
    for (int i = 0; i < manifest->count; i++) {
        const fv_record *record = &manifest->records[i];
        fv_set_summary *summary = summary_of(report, record->set);
        if (!summary) return fv_fail_memory("the table of sets", sizeof *summary);
        summary->photos[record->split]++;
        for (int c = 0; c < manifest->classes; c++) summary->annotated[record->split][c] += record->mask[c][0] != '\0';
    }
    for (int s = 0; s < report->set_count; s++) summarise_sizes(all, &report->sets[s]);
    return FV_OK;
}

static int annotated_in(const fv_data_report *report, fv_split split, int c) {
    int count = 0;
    for (int s = 0; s < report->set_count; s++) count += report->sets[s].annotated[split][c];
    return count;
}

/* After summarise(). Splits are looked at only when there are some. */
static void find_missing_classes(check *all, const fv_data_report *report) {
    int used = 0;
    for (int i = 0; i < all->manifest->count; i++) used += all->manifest->records[i].split != FV_SPLIT_NONE;
    for (int c = 0; c < report->classes; c++) {
        int total = 0;
        for (int k = 0; k <= FV_SPLIT_NONE; k++) total += annotated_in(report, (fv_split)k, c);
        if (total == 0) {
            fv_finding_add(&all->together, FV_FINDING_CLASS_MISSING, true, "",
                           "class %s has no mask at all: name its column with column_%s", report->class_names[c],
                           report->class_names[c]);
            continue;
        }
        for (int k = FV_SPLIT_TRAIN; k < FV_SPLIT_NONE && used > 0; k++) {
            if (annotated_in(report, (fv_split)k, c) > 0) continue;
            fv_finding_add(&all->together, FV_FINDING_CLASS_MISSING, k == FV_SPLIT_TRAIN, "",
                           "class %s has no mask in %s (%d elsewhere)", report->class_names[c], fv_split_names[k],
                           total);
        }
    }
}

/* Moves the findings of a list to the report. */
static fv_status collect(fv_data_report *report, fv_finding_list *list) {
    if (list->out_of_memory) return fv_fail_memory("the findings of the data check", sizeof *list->items);
    if (report->count + list->count > report->capacity) {
        int capacity = 2 * (report->count + list->count);
        fv_finding *grown = realloc(report->findings, (size_t)capacity * sizeof *grown);
        if (!grown) return fv_fail_memory("the findings of the data check", (size_t)capacity * sizeof *grown);
        report->findings = grown;
        report->capacity = capacity;
    }
    for (int i = 0; i < list->count; i++) {
        report->counts[list->items[i].kind]++;
        report->spoiling += list->items[i].spoils;
        report->findings[report->count++] = list->items[i];
    }
    list->count = 0;
    return FV_OK;
}

static fv_status compare_and_collect(check *all, fv_data_report *report) {
    find_same_photos(all);
    find_alike_photos(all);
    find_patient_leaks(all);
    FV_TRY(summarise(all, report));
    find_missing_classes(all, report);
    for (int i = 0; i < all->manifest->count; i++) FV_TRY(collect(report, &all->facts[i].findings));
    return collect(report, &all->together);
}

static void free_check(check *all) {
    for (int i = 0; all->facts && i < all->manifest->count; i++) fv_finding_list_free(&all->facts[i].findings);
    fv_finding_list_free(&all->together);
    free(all->facts);
    free(all->order);
}

fv_status fv_data_check(const fv_manifest *manifest, const fv_data_check_settings *settings, fv_data_report *report) {
    *report = (fv_data_report){0};
    if (manifest->count < 1)
        return fv_fail(FV_BAD_INPUT, "the manifest lists no photograph: there is nothing to check");
    check all = {.manifest = manifest, .settings = settings};
    size_t count = (size_t)manifest->count;
    all.facts = fv_allocate(count, sizeof *all.facts, "the data check");
    all.order = all.facts ? fv_allocate(count, sizeof *all.order, "the data check") : NULL;
    if (!all.order) {
        free(all.facts);
        return FV_NO_RESOURCE;
    }
    for (int i = 0; i < manifest->count; i++) all.order[i] = i;
    fv_progress_start(&all.progress, "checking", manifest->count);
    fv_parallel_for(manifest->count, examine, &all);
    fv_progress_end(&all.progress);
    fv_status status = compare_and_collect(&all, report);
    free_check(&all);
    if (status != FV_OK) {
        fv_data_report_free(report);
    } else if (report->spoiling > 0) {
        status = fv_fail(FV_FINDINGS, "%d of %d findings would spoil training", report->spoiling, report->count);
    }
    return status;
}
