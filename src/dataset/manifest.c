/* Records from CSV tables. */
#include "fovea/dataset/manifest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fovea/base/csv.h"
#include "fovea/base/log.h"

#include "columns.h"

static const char *const usual_values[] = {"train training", "val valid validation", "test testing"};
static const char usual_missing[] = "Not Visible;NA;N/A;NaN;None;null";

/* One table being appended. */
typedef struct append {
    fv_manifest *manifest;
    const fv_manifest_source *source;
    fv_csv csv;
    fv_table_columns columns;
    char root[FV_PATH_MAX], set[64];
    int without_photo, with_split; /* rows: skipped; with a value in the split column */
    int unknown_split_row;         /* the first whose value is not known, -1 */
    int missing_words;             /* cells that say "not annotated" in words */
} append;

void fv_manifest_init(fv_manifest *manifest, const fv_model_spec *spec) {
    *manifest = (fv_manifest){.classes = spec->classes};
    memcpy(manifest->class_names, spec->class_names, sizeof manifest->class_names);
}

static void free_record(fv_record *record) {
    free(record->fundus);
    free(record->fov);
    free(record->patient);
    free(record->group);
    for (int c = 0; c < FV_MAX_CLASSES; c++) {
        free(record->mask[c]);
        free(record->second[c]);
    }
}

/* Frees the records behind the first `count`. */
static void cut(fv_manifest *manifest, int count) {
    while (manifest->count > count) free_record(&manifest->records[--manifest->count]);
}

void fv_manifest_free(fv_manifest *manifest) {
    cut(manifest, 0);
    free(manifest->records);
    *manifest = (fv_manifest){0};
}

static void exchange(char **a, char **b) {
    char *path = *a;
    *a = *b;
    *b = path;
}

void fv_manifest_keep_classes(fv_manifest *manifest, const bool *keep) {
    int kept = 0;
    for (int c = 0; c < manifest->classes; c++) {
        if (!keep[c]) continue;
        for (int r = 0; r < manifest->count && kept < c; r++) { /* what is left out goes behind, to be freed there */
            exchange(&manifest->records[r].mask[c], &manifest->records[r].mask[kept]);
            exchange(&manifest->records[r].second[c], &manifest->records[r].second[kept]);
        }
        if (kept < c) memcpy(manifest->class_names[kept], manifest->class_names[c], sizeof manifest->class_names[0]);
        kept++;
    }
    manifest->classes = kept;
}

/* ---- words in lists ---- */

/* Whether `word` is in `list`, whose words are separated by any of `separators`; any case. */
static bool in_list(const char *word, const char *list, const char *separators) {
    size_t length = strlen(word);
    while (*list) {
        list += strspn(list, " ");
        size_t item = strcspn(list, separators), trimmed = item;
        while (trimmed > 0 && list[trimmed - 1] == ' ') trimmed--;
        if (trimmed == length && strncasecmp(list, word, length) == 0) return true;
        list += item + (list[item] != '\0');
    }
    return false;
}

/* A cell, "" when it says "not annotated". */
static const char *cell(append *all, int row, int column) {
    const char *text = fv_csv_cell(&all->csv, row, column);
    const char *missing = all->source->missing_values ? all->source->missing_values : usual_missing;
    text += strspn(text, " ");
    if (*text == '\0' || !in_list(text, missing, ",;")) return text;
    all->missing_words++;
    return "";
}

/* ---- cells ---- */

/* A path of the table made complete: prefix mapped, root in front. */
static fv_status complete_path(const append *all, const char *text, char **path) {
    char mapped[FV_PATH_MAX], joined[FV_PATH_MAX] = "";
    const char *from = all->source->prefix_from ? all->source->prefix_from : "";
    const char *to = all->source->prefix_to ? all->source->prefix_to : "";
    while (*text && *from) {
        size_t from_length = strcspn(from, ";"), to_length = strcspn(to, ";");
        if (from_length > 0 && strncmp(text, from, from_length) == 0) {
            int length = snprintf(mapped, sizeof mapped, "%.*s%s", (int)to_length, to, text + from_length);
            if (length >= FV_PATH_MAX) return fv_fail(FV_BAD_INPUT, "%s: the path is too long", text);
            text = mapped;
            break;
        }
        from += from_length + (from[from_length] == ';');
        to += to_length + (to[to_length] == ';');
    }
    if (*text) FV_TRY(fv_path_join(joined, all->root, text));
    *path = strdup(joined);
    return *path ? FV_OK : fv_fail_memory("a path of the manifest", sizeof joined);
}

static fv_status read_cdr(append *all, int row, double *cdr) {
    const char *text = cell(all, row, all->columns.cdr);
    *cdr = NAN;
    if (*text == '\0') return FV_OK;
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !isfinite(value)) {
        return fv_csv_fail(&all->csv, row, all->columns.cdr, "expected a cup-to-disc ratio or an empty cell");
    }
    *cdr = value;
    return FV_OK;
}

static fv_status read_degrees(append *all, int row, double *degrees) {
    const char *text = cell(all, row, all->columns.degrees);
    *degrees = all->source->fov_degrees > 0 ? all->source->fov_degrees : NAN;
    if (*text == '\0') return FV_OK;
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= FV_FOV_DEGREES_MIN && value <= FV_FOV_DEGREES_MAX))
        return fv_csv_fail(&all->csv, row, all->columns.degrees,
                           "expected the angle that the camera sees, %d to %d degrees, or an empty cell",
                           FV_FOV_DEGREES_MIN, FV_FOV_DEGREES_MAX);
    *degrees = value;
    return FV_OK;
}

static void read_split(append *all, int row, fv_record *record) {
    const char *text = cell(all, row, all->columns.split);
    const char *given[] = {all->source->train_values, all->source->val_values, all->source->test_values};
    record->split = FV_SPLIT_NONE;
    if (*text == '\0') return;
    all->with_split++;
    for (int s = FV_SPLIT_TRAIN; s < FV_SPLIT_NONE; s++) {
        if (!in_list(text, given[s] ? given[s] : usual_values[s], " ")) continue;
        record->split = (fv_split)s;
        return;
    }
    if (all->unknown_split_row < 0) all->unknown_split_row = row;
}

static fv_status read_texts(append *all, int row, fv_record *record) {
    FV_TRY(complete_path(all, cell(all, row, all->columns.fundus), &record->fundus));
    FV_TRY(complete_path(all, cell(all, row, all->columns.fov), &record->fov));
    for (int c = 0; c < FV_MAX_CLASSES; c++) {
        int column = c < all->manifest->classes ? all->columns.mask[c] : -1;
        int second = c < all->manifest->classes ? all->columns.second[c] : -1;
        FV_TRY(complete_path(all, cell(all, row, column), &record->mask[c]));
        FV_TRY(complete_path(all, cell(all, row, second), &record->second[c]));
    }
    record->patient = strdup(cell(all, row, all->columns.patient));
    record->group = strdup(cell(all, row, all->columns.group));
    if (!record->patient || !record->group) return fv_fail_memory("the manifest", 0);
    const char *name = cell(all, row, all->columns.name);
    if (*name) {
        snprintf(record->name, sizeof record->name, "%.127s", name);
    } else {
        fv_path_stem(record->fundus, record->name, sizeof record->name);
    }
    snprintf(record->set, sizeof record->set, "%s", all->set);
    return FV_OK;
}

/* ---- rows ---- */

static fv_record *new_record(fv_manifest *manifest) {
    if (manifest->count == manifest->capacity) {
        int capacity = manifest->capacity ? 2 * manifest->capacity : 64;
        fv_record *grown = realloc(manifest->records, (size_t)capacity * sizeof *grown);
        if (!grown) {
            fv_fail_memory("the manifest", (size_t)capacity * sizeof *grown);
            return NULL;
        }
        manifest->records = grown;
        manifest->capacity = capacity;
    }
    fv_record *record = &manifest->records[manifest->count++];
    *record = (fv_record){0};
    return record;
}

static fv_status append_row(append *all, int row) {
    if (*cell(all, row, all->columns.fundus) == '\0') {
        all->without_photo++;
        return FV_OK;
    }
    fv_record *record = new_record(all->manifest);
    if (!record) return FV_NO_RESOURCE;
    FV_TRY(read_texts(all, row, record));
    read_split(all, row, record);
    FV_TRY(read_degrees(all, row, &record->fov_degrees));
    return read_cdr(all, row, &record->cdr_expert);
}

/* What the rows showed together. */
static fv_status conclude(const append *all, int first) {
    const fv_manifest *manifest = all->manifest;
    int known = 0;
    for (int i = first; i < manifest->count; i++) known += manifest->records[i].split != FV_SPLIT_NONE;
    if (all->with_split > 0 && known == 0) {
        return fv_csv_fail(&all->csv, all->unknown_split_row, all->columns.split,
                           "no row has a known value; say which ones mean what with train_values, val_values and "
                           "test_values, or leave the column out with an empty column_split");
    }
    if (all->with_split > known) {
        fv_log_warning("%s: rows with an unknown value in column %s are left out: %d, the first is \"%s\" in line %d",
                       all->source->csv, all->csv.header[all->columns.split], all->with_split - known,
                       fv_csv_cell(&all->csv, all->unknown_split_row, all->columns.split),
                       all->csv.lines[all->unknown_split_row]);
    }
    if (all->without_photo > 0) {
        fv_log_info("%s: rows without a photograph, skipped: %d", all->source->csv, all->without_photo);
    }
    if (all->missing_words > 0) {
        fv_log_info("%s: cells that say in words that there is no value: %d", all->source->csv, all->missing_words);
    }
    if (manifest->count == first) {
        return fv_fail(FV_BAD_INPUT, "%s: no row names a photograph in column %s", all->source->csv,
                       all->csv.header[all->columns.fundus]);
    }
    return FV_OK;
}

/* Root and set default to the CSV's folder and that folder's name. */
static fv_status find_root(append *all) {
    const fv_manifest_source *source = all->source;
    const char *slash = strrchr(source->csv, '/');
    char folder[FV_PATH_MAX];
    int length = slash ? (int)(slash - source->csv) : 0;
    if (length >= FV_PATH_MAX) return fv_fail(FV_BAD_INPUT, "%s: the path is too long", source->csv);
    snprintf(folder, sizeof folder, "%.*s", slash == source->csv ? 1 : length, source->csv);
    bool given = source->root && *source->root;
    int written = snprintf(all->root, sizeof all->root, "%s", given ? source->root : slash ? folder : "");
    if (written >= FV_PATH_MAX) return fv_fail(FV_BAD_INPUT, "%s: the path is too long", source->root);
    const char *name = strrchr(folder, '/');
    name = !slash ? "data" : name ? name + 1 : folder;
    snprintf(all->set, sizeof all->set, "%.63s", source->set ? source->set : *name ? name : "data");
    return FV_OK;
}

fv_status fv_manifest_append(fv_manifest *manifest, const fv_manifest_source *source) {
    append *all = calloc(1, sizeof *all);
    if (!all) return fv_fail_memory("a manifest", sizeof *all);
    *all = (append){.manifest = manifest, .source = source, .unknown_split_row = -1};
    int first = manifest->count;
    fv_status status = find_root(all);
    if (status == FV_OK) status = fv_csv_read(source->csv, FV_CSV_LIMITS, &all->csv);
    if (status == FV_OK) status = fv_columns_find(&all->csv, source, manifest, &all->columns);
    for (int row = 0; status == FV_OK && row < all->csv.rows; row++) status = append_row(all, row);
    if (status == FV_OK) status = conclude(all, first);
    if (status != FV_OK) cut(manifest, first);
    fv_csv_free(&all->csv);
    free(all);
    return status;
}
