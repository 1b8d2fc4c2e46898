/* The sets that an INI file names. */
#include "fovea/dataset/manifest.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/log.h"

#define DATA_SECTION "data"
#define SET_PREFIX "set."
#define STANDARD_DATA_FOLDER "../shared/data" /* of ${FOVEA_DATA} when the variable is not set */

enum { PREFIX_TEXT = 2048, SPLIT_AUTO = 3 };

/* A source with the room for what its pointers point to. */
typedef struct set_settings {
    fv_manifest_source source;
    fv_split_settings split;
    int forced_split; /* fv_split, or SPLIT_AUTO */
    char csv[FV_PATH_MAX], root[FV_PATH_MAX];
    char prefix_from[PREFIX_TEXT], prefix_to[PREFIX_TEXT];
} set_settings;

/* ---- values ---- */

/* Where a key of a set is given: its own section, otherwise [data] if that has it. */
static const char *place_of(const fv_config *config, const char *section, const char *key) {
    return !fv_config_has(config, section, key) && fv_config_has(config, DATA_SECTION, key) ? DATA_SECTION : section;
}

static const char *ask_text(fv_config *config, const char *section, const char *key) {
    return fv_config_text(config, place_of(config, section, key), key, NULL);
}

/* A share 0..1, or -1 when the key is not given. */
static double ask_fraction(fv_config *config, const char *section, const char *key) {
    const char *place = place_of(config, section, key);
    if (!fv_config_text(config, place, key, NULL)) return -1;
    return fv_config_number(config, place, key, 0, 0, 0.9);
}

/* A number of rows, or -1 when the key is not given. */
static int ask_count(fv_config *config, const char *section, const char *key) {
    const char *place = place_of(config, section, key);
    if (!fv_config_text(config, place, key, NULL)) return -1;
    return (int)fv_config_integer(config, place, key, 0, 0, 1000000);
}

/* The angle of the set's camera, 0 when the key is not given. */
static double ask_degrees(fv_config *config, const char *section) {
    const char *place = place_of(config, section, "fov_degrees");
    if (!fv_config_text(config, place, "fov_degrees", NULL)) return 0;
    return fv_config_number(config, place, "fov_degrees", 0, FV_FOV_DEGREES_MIN, FV_FOV_DEGREES_MAX);
}

static const char *variable(const char *name) {
    const char *value = getenv(name);
    if (value && *value) return value;
    return strcmp(name, "FOVEA_DATA") == 0 ? STANDARD_DATA_FOLDER : NULL;
}

/* Copies a path, ${NAME} replaced by the environment's variable. */
static fv_status expand(fv_config *config, const char *section, const char *key, const char *path,
                        char out[FV_PATH_MAX]) {
    size_t length = 0;
    while (*path && length < FV_PATH_MAX) {
        char name[64];
        int consumed = 0;
        if (sscanf(path, "${%63[A-Za-z0-9_]}%n", name, &consumed) != 1 || consumed == 0) {
            out[length++] = *path++;
            continue;
        }
        const char *value = variable(name);
        if (!value) return fv_config_complain(config, section, key, "the environment variable %s is not set", name);
        length += (size_t)snprintf(out + length, FV_PATH_MAX - length, "%s", value);
        path += consumed;
    }
    if (length >= FV_PATH_MAX) return fv_config_complain(config, section, key, "the path is too long");
    out[length] = '\0';
    return FV_OK;
}

/* ---- prefix_map = from -> to, from -> to ---- */

static bool append_trimmed(char *list, const char *begin, const char *end) {
    while (begin < end && isspace((unsigned char)*begin)) begin++;
    while (end > begin && isspace((unsigned char)end[-1])) end--;
    size_t used = strlen(list), length = (size_t)(end - begin);
    if (used + length + 2 > PREFIX_TEXT) return false;
    memcpy(list + used, begin, length);
    list[used + length] = ';';
    list[used + length + 1] = '\0';
    return true;
}

static fv_status read_prefix_map(fv_config *config, const char *section, set_settings *set) {
    const char *place = place_of(config, section, "prefix_map");
    const char *map = fv_config_text(config, place, "prefix_map", NULL);
    for (const char *pair = map; pair && *pair;) {
        const char *end = pair + strcspn(pair, ",;"), *arrow = strstr(pair, "->");
        if (!arrow || arrow >= end) {
            return fv_config_complain(config, place, "prefix_map",
                                      "expected \"from -> to\", several separated by commas");
        }
        bool fits = append_trimmed(set->prefix_from, pair, arrow) && append_trimmed(set->prefix_to, arrow + 2, end);
        if (!fits) return fv_config_complain(config, place, "prefix_map", "longer than %d bytes", PREFIX_TEXT);
        pair = *end ? end + 1 : end;
    }
    set->source.prefix_from = set->prefix_from;
    set->source.prefix_to = set->prefix_to;
    return FV_OK;
}

/* ---- a section ---- */

static void read_columns(fv_config *config, const char *section, const fv_model_spec *spec,
                         fv_manifest_source *source) {
    source->column_name = ask_text(config, section, "column_name");
    source->column_fundus = ask_text(config, section, "column_fundus");
    source->column_fov = ask_text(config, section, "column_fov");
    source->column_split = ask_text(config, section, "column_split");
    source->column_patient = ask_text(config, section, "column_patient");
    source->column_cdr = ask_text(config, section, "column_cdr");
    for (int c = 0; c < spec->classes; c++) {
        char key[64];
        snprintf(key, sizeof key, "column_%s", spec->class_names[c]);
        source->column_mask[c] = ask_text(config, section, key);
        snprintf(key, sizeof key, "column_%s_second", spec->class_names[c]);
        source->column_second[c] = ask_text(config, section, key);
    }
    source->column_degrees = ask_text(config, section, "column_degrees");
    source->fov_degrees = ask_degrees(config, section);
    source->column_group = ask_text(config, section, "balance");
    source->train_values = ask_text(config, section, "train_values");
    source->val_values = ask_text(config, section, "val_values");
    source->test_values = ask_text(config, section, "test_values");
    source->missing_values = ask_text(config, section, "missing_values");
}

static void read_split(fv_config *config, const char *section, set_settings *set) {
    static const char *const choices[] = {"train", "val", "test", "auto", NULL};
    long run_seed = fv_config_integer(config, "run", "seed", 1, 0, 1L << 53);
    set->split.val_fraction = ask_fraction(config, section, "val_fraction");
    set->split.test_fraction = ask_fraction(config, section, "test_fraction");
    set->split.val_count = ask_count(config, section, "val_count");
    set->split.test_count = ask_count(config, section, "test_count");
    const char *place = place_of(config, section, "split_seed");
    set->split.seed = (uint64_t)fv_config_integer(config, place, "split_seed", run_seed, 0, 1L << 53);
    set->forced_split = fv_config_choice(config, section, "split", SPLIT_AUTO, choices);
}

static fv_status read_set(fv_config *config, const char *section, const fv_model_spec *spec, set_settings *set) {
    memset(set, 0, sizeof *set);
    const char *csv = fv_config_text(config, section, "manifest", NULL);
    const char *root = fv_config_text(config, section, "root", NULL);
    if (!csv || !*csv) {
        return fv_fail(FV_BAD_INPUT,
                       "section [%s] names no data: give the CSV with the list of photographs as manifest = ...",
                       section);
    }
    FV_TRY(expand(config, section, "manifest", csv, set->csv));
    if (!fv_file_exists(set->csv)) {
        const char *hint = strstr(csv, "${FOVEA_DATA}") ? "; the environment variable FOVEA_DATA names the folder" : "";
        return fv_config_complain(config, section, "manifest", "there is no file %s%s", set->csv, hint);
    }
    FV_TRY(expand(config, section, "root", root ? root : "", set->root));
    FV_TRY(read_prefix_map(config, section, set));
    read_columns(config, section, spec, &set->source);
    read_split(config, section, set);
    set->source.csv = set->csv;
    set->source.root = set->root;
    if (strncmp(section, SET_PREFIX, strlen(SET_PREFIX)) == 0) set->source.set = section + strlen(SET_PREFIX);
    return FV_OK;
}

/* ---- all ---- */

static void force_split(fv_manifest *manifest, int first, fv_split split) {
    for (int i = first; i < manifest->count; i++) manifest->records[i].split = split;
}

static void log_set(const fv_manifest *manifest, int first) {
    int splits[FV_SPLIT_NONE + 1] = {0};
    for (int i = first; i < manifest->count; i++) splits[manifest->records[i].split]++;
    char masks[FV_MAX_CLASSES * 48] = "";
    for (int c = 0; c < manifest->classes; c++) {
        int annotated = 0;
        for (int i = first; i < manifest->count; i++) annotated += manifest->records[i].mask[c][0] != '\0';
        size_t used = strlen(masks);
        snprintf(masks + used, sizeof masks - used, "%s%s %d", c ? ", " : "", manifest->class_names[c], annotated);
    }
    fv_log_info("%s: %d photographs: %d train, %d val, %d test, %d unused; masks: %s",
                first < manifest->count ? manifest->records[first].set : "", manifest->count - first,
                splits[FV_SPLIT_TRAIN], splits[FV_SPLIT_VAL], splits[FV_SPLIT_TEST], splits[FV_SPLIT_NONE], masks);
}

static fv_status add_set(fv_config *config, const char *section, const fv_model_spec *spec, fv_manifest *manifest) {
    set_settings *set = malloc(sizeof *set);
    if (!set) return fv_fail_memory("the settings of a data set", sizeof *set);
    int first = manifest->count;
    fv_status status = read_set(config, section, spec, set);
    if (status == FV_OK) status = fv_manifest_append(manifest, &set->source);
    if (status == FV_OK && set->forced_split != SPLIT_AUTO) {
        force_split(manifest, first, (fv_split)set->forced_split);
        set->split.val_fraction = set->split.test_fraction = 0;
        set->split.val_count = set->split.test_count = 0;
    }
    if (status == FV_OK) status = fv_manifest_split(manifest, first, &set->split);
    if (status == FV_OK) log_set(manifest, first);
    free(set);
    return status;
}

fv_status fv_manifest_from_config(fv_config *config, const fv_model_spec *spec, fv_manifest *manifest) {
    fv_manifest_init(manifest, spec);
    const char *section = fv_config_section(config, SET_PREFIX, 0);
    if (section && fv_config_has(config, DATA_SECTION, "manifest")) {
        return fv_config_complain(config, DATA_SECTION, "manifest",
                                  "there are [%sNAME] sections too: move this set into one of its own", SET_PREFIX);
    }
    fv_status status = FV_OK;
    if (!section) status = add_set(config, DATA_SECTION, spec, manifest);
    for (int i = 1; section && status == FV_OK; section = fv_config_section(config, SET_PREFIX, i++)) {
        status = add_set(config, section, spec, manifest);
    }
    if (status != FV_OK) fv_manifest_free(manifest);
    return status;
}
