#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "fovea/base/log.h"
#include "fovea/base/memory.h"
#include "fovea/base/progress.h"
#include "fovea/dataset/check.h"
#include "json_file.h"
#include "options.h"
#include "pictures.h"
#include "run_setup.h"

static bool is_config(const char *path) {
    const char *dot = strrchr(path, '.');
    return dot && strcmp(dot, ".ini") == 0;
}

/* ---- data check ---- */

typedef struct check_arguments {
    const char *root, *json;
    option_list columns;
    long mask_threshold, limit; /* mask_threshold -1: not given */
    bool soft_masks;
} check_arguments;

static fv_status report(const check_arguments *a, const fv_manifest *manifest, const fv_data_check_settings *settings) {
    fv_data_report found;
    fv_status status = fv_data_check(manifest, settings, &found);
    if (status != FV_OK && status != FV_FINDINGS) return status;
    bool beside_json = json_to_stdout(a->json);
    if (!beside_json || !fv_log_is_quiet()) fv_data_report_print(&found, (int)a->limit, beside_json ? stderr : stdout);
    char *text = NULL;
    fv_status written = a->json ? fv_data_report_json(&found, &text) : FV_OK;
    if (written == FV_OK && a->json) written = json_write(text, a->json);
    fv_data_report_free(&found);
    return written == FV_OK ? status : written;
}

static fv_status check_config(const check_arguments *a, char *const *words, int word_count) {
    run_setup setup;
    if (a->root || a->columns.count > 0 || a->mask_threshold >= 0 || a->soft_masks)
        return fv_fail(FV_BAD_INPUT,
                       "--root, --column, --mask-threshold and --soft-masks are for a table; %s has keys for them, for "
                       "example data.mask_threshold=100",
                       words[0]);
    FV_TRY(run_setup_make(words[0], words + 1, word_count - 1, &setup));
    fv_data_check_settings settings = {.mask_threshold = setup.settings.loader.mask_threshold,
                                       .soft_masks = setup.settings.loader.soft_masks,
                                       .input_size = setup.settings.model.preprocess.size};
    fv_status status = report(a, &setup.manifest, &settings);
    run_setup_free(&setup);
    return status;
}

static fv_status read_table(const check_arguments *a, const char *path, const fv_model_spec *spec,
                            fv_manifest_source *source, fv_manifest *manifest) {
    *source = (fv_manifest_source){.csv = path, .root = a->root};
    for (int i = 0; i < a->columns.count; i++) FV_TRY(fv_manifest_source_column(source, spec, a->columns.items[i]));
    fv_manifest_init(manifest, spec);
    return fv_manifest_append(manifest, source);
}

/* Leaves the classes that the table has masks of or the user named a column of; all when there are none, so that the
   report says so. */
static void keep_meant_classes(fv_manifest *manifest, const fv_manifest_source *source) {
    bool meant[FV_MAX_CLASSES] = {false}, any = false;
    for (int c = 0; c < manifest->classes; c++) {
        meant[c] = source->column_mask[c] != NULL;
        for (int r = 0; r < manifest->count && !meant[c]; r++) meant[c] = manifest->records[r].mask[c][0] != '\0';
        any = any || meant[c];
    }
    if (any) fv_manifest_keep_classes(manifest, meant);
}

/* A bare table: of the classes that fovea knows the columns of, those that it has. */
static fv_status check_table(const check_arguments *a, const char *path) {
    const fv_model_spec known = {.classes = 3, .class_names = {"disc", "cup", "vessel"}};
    fv_manifest manifest = {0};
    fv_manifest_source source;
    fv_status status = read_table(a, path, &known, &source, &manifest);
    if (status == FV_OK) keep_meant_classes(&manifest, &source);
    fv_data_check_settings settings = {.mask_threshold = a->mask_threshold < 0 ? 127 : (int)a->mask_threshold,
                                       .soft_masks = a->soft_masks};
    if (status == FV_OK) status = report(a, &manifest, &settings);
    fv_manifest_free(&manifest);
    return status;
}

static fv_status data_check(int argc, char **argv) {
    check_arguments a = {.mask_threshold = -1, .limit = 10};
    bool done;
    char **words;
    int word_count;
    const option_spec options[] = {
        {"root", OPTION_TEXT, &a.root, "DIR", "folder of the table's relative paths (default: the table's)", 0, 0},
        {"column", OPTION_LIST, &a.columns, "A=B", "the column for fundus, od, oc, bv, fov, split ... is called B", 0,
         0},
        {"mask-threshold", OPTION_INTEGER, &a.mask_threshold, "N",
         "mask pixels above N belong to the class (default 127)", 0, 254},
        {"soft-masks", OPTION_FLAG, &a.soft_masks, NULL, "masks of many grey levels are meant so", 0, 0},
        {"limit", OPTION_INTEGER, &a.limit, "N", "findings shown of each kind (default 10, 0 all)", 0, 1000000},
        {"json", OPTION_TEXT, &a.json, "FILE", "the whole report as JSON; - for standard output", 0, 0},
    };
    const command_line line = {
        "data check",
        "CONFIG.ini [section.key=value ...] | TABLE.csv [options]",
        "Reads every photograph and mask and tells what is wrong before hours are spent on it: missing or damaged "
        "files, masks of\n"
        "another size, empty masks, cups outside discs, the same photograph on both sides of a split. Exit code 1 when "
        "something\n"
        "would spoil training.",
        "  fovea data check configs/od_oc_drishti.ini\n"
        "  fovea data check \"metadata - standardized.csv\" --root /data/smdg --json report.json",
        options,
        sizeof options / sizeof *options};
    FV_TRY(options_parse(&line, argc, argv, &words, &word_count, &done));
    if (done) return FV_OK;
    if (word_count < 1) return fv_fail(FV_BAD_INPUT, "give a configuration or a table; see fovea data check --help");
    if (is_config(words[0])) return check_config(&a, words, word_count);
    if (word_count > 1) return fv_fail(FV_BAD_INPUT, "fovea data check takes one table, not also \"%s\"", words[1]);
    return check_table(&a, words[0]);
}

/* ---- data augment ---- */

static fv_status sample_tile(const run_setup *setup, const fv_batch *batch, int i, fv_image *tile) {
    const fv_model_spec *spec = &setup->settings.model;
    const char *names[FV_MAX_CLASSES];
    fv_report_classes classes = picture_classes(spec, names);
    int size = spec->preprocess.size;
    size_t pixels = (size_t)size * (size_t)size;
    fv_image photo = {0}, masks[FV_MAX_CLASSES] = {0};
    fv_status status = fv_image_make(size, size, 3, &photo);
    if (status == FV_OK)
        fv_preprocess_denormalise(spec->preprocess.normalise, batch->input + (size_t)i * pixels * 3, pixels,
                                  photo.data);
    for (int c = 0; c < spec->classes && status == FV_OK; c++) {
        status = fv_image_make(size, size, 1, &masks[c]);
        for (size_t p = 0; p < pixels && status == FV_OK; p++)
            masks[c].data[p] =
                batch->target[((size_t)i * pixels + p) * (size_t)spec->classes + (size_t)c] >= 0.5f ? 255 : 0;
    }
    if (status == FV_OK) status = fv_report_overlay_image(&photo, &classes, masks, NULL, tile);
    fv_image_free(&photo);
    fv_masks_free(masks, spec->classes);
    return status;
}

static fv_status sheet_tiles(const run_setup *setup, fv_loader *loader, fv_image *tiles, char (*captions)[64],
                             int count, fv_progress *progress) {
    for (int i = 0; i < count; i++) {
        const fv_batch *batch;
        int size = setup->settings.loader.batch, per_epoch = fv_loader_batches(loader);
        FV_TRY(fv_loader_get(loader, i / size / per_epoch, i / size % per_epoch, &batch));
        FV_TRY(sample_tile(setup, batch, i % size, &tiles[i]));
        snprintf(captions[i], sizeof captions[i], "%.63s", setup->manifest.records[batch->records[i % size]].name);
        fv_progress_update(progress, i + 1, NULL);
    }
    return FV_OK;
}

static fv_status augment_sheet(const run_setup *setup, const char *out, int count) {
    int *records = NULL, record_count = 0;
    fv_loader *loader = NULL;
    fv_image *tiles = fv_allocate((size_t)count, sizeof *tiles, "a contact sheet");
    char(*captions)[64] = fv_allocate((size_t)count, sizeof *captions, "a contact sheet");
    const char **texts = fv_allocate((size_t)count, sizeof *texts, "a contact sheet");
    fv_status status = tiles && captions && texts ? FV_OK : FV_NO_RESOURCE;
    if (status == FV_OK) status = fv_manifest_select(&setup->manifest, FV_SPLIT_TRAIN, &records, &record_count);
    if (status == FV_OK)
        status = fv_loader_make(&setup->manifest, records, record_count, &setup->settings.loader, &loader);
    fv_progress progress;
    fv_progress_start(&progress, "augmenting", count);
    if (status == FV_OK) status = sheet_tiles(setup, loader, tiles, captions, count, &progress);
    fv_progress_end(&progress);
    for (int i = 0; i < count && status == FV_OK; i++) texts[i] = captions[i];
    if (status == FV_OK) status = fv_report_sheet(out, tiles, count, 6, texts);
    fv_loader_free(loader);
    if (tiles) fv_masks_free(tiles, count);
    free(tiles);
    free(captions);
    free(texts);
    free(records);
    return status;
}

static fv_status data_augment(int argc, char **argv) {
    const char *out = NULL;
    long count = 24;
    bool done;
    char **words;
    int word_count;
    const option_spec options[] = {
        {"out", OPTION_TEXT, &out, "FILE.png", "the contact sheet (required)", 0, 0},
        {"count", OPTION_INTEGER, &count, "N", "samples on it (default 24)", 1, 240},
    };
    const command_line line = {
        "data augment",
        "CONFIG.ini [section.key=value ...] --out FILE.png [options]",
        "Draws a contact sheet of augmented training samples, enhanced and with their masks, as the network sees them.",
        "  fovea data augment configs/od_oc.ini --out sheet.png\n"
        "  fovea data augment configs/od_oc_drishti.ini augment.rotate_degrees=90 --out sheet.png --count 48",
        options,
        2};
    FV_TRY(options_parse(&line, argc, argv, &words, &word_count, &done));
    if (done) return FV_OK;
    if (word_count < 1 || !out)
        return fv_fail(FV_BAD_INPUT, "give a configuration and --out FILE.png; see fovea data augment --help");
    run_setup setup;
    FV_TRY(run_setup_make(words[0], words + 1, word_count - 1, &setup));
    fv_status status = augment_sheet(&setup, out, (int)count);
    run_setup_free(&setup);
    return status;
}

const command data_verbs[] = {
    {"check", data_check, "what is wrong with a data set"},
    {"augment", data_augment, "contact sheet of augmented samples"},
    {NULL, NULL, NULL},
};

fv_status command_data(int argc, char **argv) {
    const char *word = argc > 1 ? argv[1] : "";
    for (const command *verb = data_verbs; verb->name; verb++)
        if (strcmp(word, verb->name) == 0) return verb->run(argc - 1, argv + 1);
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        for (const command *verb = data_verbs; verb->name; verb++)
            printf("fovea data %-8s %s; see fovea data %s --help\n", verb->name, verb->summary, verb->name);
        return FV_OK;
    }
    if (!*word) return fv_fail(FV_BAD_INPUT, "say what to do: fovea data check or fovea data augment");
    return fv_fail(FV_BAD_INPUT, "fovea data knows check and augment, not \"%s\"; see fovea data --help", word);
}
