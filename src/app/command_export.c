#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "commands.h"
#include "export_formats.h"
#include "export_measure.h"
#include "export_metadata.h"
#include "export_photos.h"
#include "fovea/base/file.h"
#include "fovea/base/log.h"
#include "fovea/exchange/open.h"
#include "fovea/exchange/rounded.h"
#include "json_file.h"
#include "options.h"
#include "run_setup.h"

enum { FORMATS_MAX = 8 };
#define MUCH 0.01 /* of Dice to be lost */

typedef struct export_arguments {
    bool format[FORMATS_MAX]; /* by export_formats */
    bool half, half_storage, bytes, integer_ends, preprocessing, logits, fixed_size, dynamic_size;
    long size;         /* px; 0: the model's */
    long samples;      /* photographs to calibrate on */
    long photos;       /* photographs to measure on */
    const char *split; /* to measure on */
    const char *manifest, *out, *json;
    option_list calibrate;
} export_arguments;

/* An export under way. */
typedef struct export_run {
    const export_arguments *arguments;
    const export_format *format;
    const char *word;
    char model_path[FV_PATH_MAX];
    fv_model *model;
    run_setup setup; /* of a run folder whose photographs are there */
    bool has_setup;
    fv_manifest table;     /* of --manifest */
    fv_manifest *measured; /* photographs to measure on; NULL: none */
    fv_split split;        /* of them */
    export_job job;
    fv_folded folded; /* to the output that is asked for */
    fv_folded logits; /* without a last sigmoid, which fovea appends itself */
    fv_ranges ranges;
    fv_metadata metadata;
    export_figures figures;
} export_run;

/* ---- what the options ask for ---- */

static fv_export_precision precision_of(const export_arguments *a, const export_format *format) {
    return a->bytes                                      ? FV_PRECISION_INT8
           : a->half_storage || (a->half && format->own) ? FV_PRECISION_FLOAT16_STORAGE
           : a->half                                     ? FV_PRECISION_FLOAT16
                                                         : FV_PRECISION_FLOAT32;
}

static fv_status find_format(const export_arguments *a, const export_format **format) {
    *format = NULL;
    for (int i = 0; i < export_format_count; i++) {
        if (a->format[i] && *format)
            return fv_fail(FV_BAD_INPUT, "--%s and --%s: one format at a time", (*format)->option,
                           export_formats[i].option);
        if (a->format[i]) *format = &export_formats[i];
    }
    if (*format) return FV_OK;
    char known[128] = "";
    for (int i = 0; i < export_format_count; i++)
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s--%s", i ? ", " : "",
                 export_formats[i].option);
    return fv_fail(FV_BAD_INPUT, "say in which format: %s; see fovea export --help", known);
}

static fv_status check_combination(const export_arguments *a) {
    if (a->half + a->half_storage + a->bytes > 1)
        return fv_fail(FV_BAD_INPUT, "--fp16, --fp16-storage and --int8: give one of them, or none for float32");
    if (a->fixed_size && a->dynamic_size)
        return fv_fail(FV_BAD_INPUT, "--fixed-size and --dynamic-size: give one of them");
    if (a->calibrate.count > 0 && !a->bytes)
        return fv_fail(FV_BAD_INPUT, "--calibrate finds the ranges of 8-bit values: give --int8 too, or leave it out");
    if (a->integer_ends && !a->bytes)
        return fv_fail(FV_BAD_INPUT, "--int8-io: only a file of 8-bit numbers has such ends; give --int8 too");
    if (!a->out) return fv_fail(FV_BAD_INPUT, "say where the file should go: --out FILE");
    return FV_OK;
}

static fv_status check_size_options(const export_run *run) {
    const export_arguments *a = run->arguments;
    const fv_preprocess *p = &run->model->spec.preprocess;
    const char *option = a->size ? "size" : a->dynamic_size ? "dynamic-size" : a->fixed_size ? "fixed-size" : NULL;
    if (option && run->format->own)
        return fv_fail(FV_BAD_INPUT, "--%s does not go with --%s: a model file is for every size", option,
                       run->format->option);
    if (a->dynamic_size && (a->size || !run->format->free_size))
        return fv_fail(FV_BAD_INPUT, "--dynamic-size does not go with %s", a->size ? "--size" : "this format");
    if (a->preprocessing && !p->windows && (a->dynamic_size || (a->size && a->size != p->size)))
        return fv_fail(FV_BAD_INPUT, "--%s: with --with-preprocessing the network's own %d px stand", option, p->size);
    return FV_OK;
}

/* Height and width of the file's input, 0 where they are free; *side is the size that the layers are made for. A size
   that is asked for becomes the model's own, so that what is written about the file and measured is of that size. */
static fv_status choose_size(export_run *run, int *side) {
    const export_arguments *a = run->arguments;
    fv_preprocess *p = &run->model->spec.preprocess;
    int step = fv_model_step(&run->model->spec);
    FV_TRY(check_size_options(run));
    bool free_size = run->format->free_size && !a->fixed_size && (a->dynamic_size || p->windows) && a->size == 0;
    *side = a->size ? (int)a->size : p->windows && p->tile ? p->tile : p->size;
    if (*side % step != 0)
        return fv_fail(FV_BAD_INPUT, "--size %d does not fit: it must be a multiple of %d, for example %d", *side, step,
                       (*side + step - 1) / step * step);
    run->job.shape.height = run->job.shape.width = free_size ? 0 : *side;
    if (!free_size) *(p->windows ? &p->tile : &p->size) = *side;
    return FV_OK;
}

static bool is_same_file(const char *a, const char *b) {
    struct stat of_a, of_b;
    return stat(a, &of_a) == 0 && stat(b, &of_b) == 0 && of_a.st_dev == of_b.st_dev && of_a.st_ino == of_b.st_ino;
}

/* Found out before the work, not after. */
static fv_status check_out(const char *path, const char *model_path) {
    fv_file file;
    if (is_same_file(path, model_path))
        return fv_fail(FV_BAD_INPUT, "--out %s is the model that is exported: name another file", path);
    FV_TRY(fv_file_begin(&file, path));
    fv_file_abandon(&file);
    return FV_OK;
}

/* ---- steps ---- */

/* An export is of the weights: what predicting a file in 8 bits costs is none of its losses. */
static fv_status open_model(export_run *run) {
    FV_TRY(run_model_path(run->word, run->model_path));
    FV_TRY(fv_model_open(run->model_path, &run->model));
    free(run->model->ranges);
    run->model->ranges = NULL;
    return FV_OK;
}

/* A run's photographs may have gone; what needs them then says so. */
static fv_status read_setup(export_run *run) {
    char config[FV_PATH_MAX];
    if (!fv_folder_exists(run->word)) return FV_OK;
    FV_TRY(fv_path_join(config, run->word, "config.ini"));
    if (!fv_file_exists(config)) return FV_OK;
    run->has_setup = run_setup_make(config, NULL, 0, &run->setup) == FV_OK;
    if (!run->has_setup) fv_log_warning("the run's photographs can't be read: %s", fv_error());
    return FV_OK;
}

static int mask_threshold(const export_run *run, const fv_manifest *manifest) {
    return manifest == &run->setup.manifest ? run->setup.settings.loader.mask_threshold : EXPORT_MASK_THRESHOLD;
}

static fv_status calibration_inputs(const export_run *run, export_inputs *inputs) {
    const export_arguments *a = run->arguments;
    if (a->calibrate.count > 0)
        return export_inputs_of_words(&run->model->spec, &a->calibrate, (int)a->samples, inputs);
    if (run->has_setup)
        return export_inputs_of_manifest(&run->model->spec, &run->setup.manifest, FV_SPLIT_TRAIN,
                                         mask_threshold(run, &run->setup.manifest), (int)a->samples, inputs);
    return fv_fail(FV_BAD_INPUT,
                   "--int8 needs photographs to find the ranges of the network's values on, and %s names none that can "
                   "be read: name some, best those it was trained on, with --calibrate TABLE.csv|PHOTO|FOLDER",
                   run->word);
}

static fv_status calibrate(export_run *run) {
    export_inputs inputs = {0};
    if (run->job.shape.precision != FV_PRECISION_INT8) return FV_OK;
    FV_TRY(calibration_inputs(run, &inputs));
    fv_log_info("ranges of the layers' values on %d photographs", inputs.photographs);
    fv_status status = fv_ranges_measure(&run->folded, &inputs.calibration, &run->ranges);
    run->job.ranges = &run->ranges;
    export_inputs_free(&inputs);
    return status;
}

/* The split that is asked for; else of a table all, of a run's photographs those of validation, or what there is. */
static fv_status choose_split(export_run *run) {
    static const fv_split of_run[] = {FV_SPLIT_VAL, FV_SPLIT_TEST, FV_SPLIT_TRAIN};
    const export_arguments *a = run->arguments;
    for (int i = 0; !a->split && !a->manifest && i < 3; i++) {
        run->split = of_run[i];
        if (fv_evaluate_check(&run->model->spec, run->measured, run->split) == FV_OK) return FV_OK;
    }
    if (!a->split) run->split = FV_SPLIT_NONE;
    return fv_evaluate_check(&run->model->spec, run->measured, run->split);
}

static fv_status find_split(const char *name, fv_split *split) {
    for (int i = 0; fv_split_names[i]; i++) {
        *split = (fv_split)i;
        if (strcmp(fv_split_names[i], name) == 0) return FV_OK;
    }
    return fv_fail(FV_BAD_INPUT, "--split %s: expected train, val or test", name);
}

/* What to measure on. */
static fv_status choose_photos(export_run *run) {
    const export_arguments *a = run->arguments;
    if (a->split) FV_TRY(find_split(a->split, &run->split));
    if (a->manifest) {
        fv_manifest_init(&run->table, &run->model->spec);
        FV_TRY(fv_manifest_append(&run->table, &(fv_manifest_source){.csv = a->manifest}));
    }
    if (a->photos == 0) return FV_OK;
    run->measured = a->manifest ? &run->table : run->has_setup ? &run->setup.manifest : NULL;
    return run->measured ? choose_split(run) : FV_OK;
}

/* The file that is asked for, checked before the work. */
static fv_status prepare(export_run *run) {
    const export_arguments *a = run->arguments;
    int side = 0;
    run->job.shape = (fv_export_shape){.layout = run->format->layout,
                                       .preprocessing = a->preprocessing,
                                       .integer_ends = a->integer_ends,
                                       .logits = a->logits,
                                       .precision = precision_of(a, run->format)};
    if (a->integer_ends && !run->format->integer_ends)
        return fv_fail(FV_BAD_INPUT, "--int8-io does not go with --%s", run->format->option);
    FV_TRY(choose_size(run, &side));
    FV_TRY(fv_folded_make(run->model, side, side, a->logits, &run->folded));
    run->job.spec = &run->model->spec;
    run->job.folded = &run->folded;
    run->job.model_path = run->model_path;
    run->job.path = a->out;
    return run->format->check ? run->format->check(&run->job) : FV_OK;
}

static fv_status write(export_run *run) {
    FV_TRY(export_metadata(&run->model->spec, &run->job.shape, run->model_path, run->word, &run->metadata));
    run->job.metadata = &run->metadata;
    return run->format->write(&run->job);
}

/* ---- measuring ---- */

/* The model that predicts as the written file does. */
static fv_status exported_model(export_run *run, fv_model **exported) {
    if (run->format->own) return fv_model_load(run->arguments->out, exported);
    FV_TRY(fv_folded_make(run->model, run->folded.input.h, run->folded.input.w, true, &run->logits));
    return fv_rounded_make(&run->model->spec, &run->logits, run->job.shape.precision, run->job.ranges, exported);
}

static fv_status measure(export_run *run) {
    const fv_evaluate_settings settings = {.mask_threshold = mask_threshold(run, run->measured), .seed = 1};
    fv_model *exported;
    if (!run->measured) return FV_OK;
    export_limit_records(run->measured, &run->split, (int)run->arguments->photos);
    FV_TRY(exported_model(run, &exported));
    fv_status status = export_measure(run->model, exported, run->measured, run->split, &settings, &run->figures);
    fv_model_free(exported);
    return status;
}

/* ---- telling ---- */

static double file_bytes(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 ? (double)status.st_size : NAN;
}

static void print_figures(const export_run *run) {
    const export_figures *f = &run->figures;
    const fv_model_spec *spec = &run->model->spec;
    double bytes = file_bytes(run->arguments->out), model_bytes = file_bytes(run->model_path);
    printf("%s: %s, %s\n", run->arguments->out, run->format->option, fv_precision_names[run->job.shape.precision]);
    printf("  size        %.2f MiB, %.2f of the model file's %.2f MiB\n", bytes / (1 << 20), bytes / model_bytes,
           model_bytes / (1 << 20));
    if (f->compared == 0) {
        bool wanted = run->arguments->photos > 0;
        printf("  not measured%s\n", wanted ? ": name photographs with masks by --manifest TABLE.csv" : "");
        return;
    }
    printf("  difference  %.2g at most in a pixel's probability, on %d photographs%s\n", f->difference, f->compared,
           run->format->own ? "" : " (the file's numbers simulated in fovea)");
    bool much = false;
    for (int c = 0; c < spec->classes; c++) {
        if (!isfinite(f->before[c])) continue;
        printf("  Dice        %s %.4f before, %.4f after: %+.4f on %d photographs\n", spec->class_names[c],
               f->before[c], f->after[c], f->after[c] - f->before[c], f->measured);
        much |= f->before[c] - f->after[c] > MUCH;
    }
    if (much) printf("  that is much: take more bits, or calibrate on more photographs (--samples, --calibrate)\n");
}

static char *figures_json(const export_run *run) {
    const export_figures *f = &run->figures;
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "file", run->arguments->out);
    cJSON_AddStringToObject(root, "format", run->format->option);
    cJSON_AddStringToObject(root, "precision", fv_precision_names[run->job.shape.precision]);
    cJSON_AddNumberToObject(root, "bytes", file_bytes(run->arguments->out));
    cJSON_AddNumberToObject(root, "model_bytes", file_bytes(run->model_path));
    cJSON_AddNumberToObject(root, "compared", f->compared);
    cJSON_AddNumberToObject(root, "difference", f->compared ? f->difference : NAN);
    cJSON_AddNumberToObject(root, "measured", f->measured);
    cJSON *dice = cJSON_AddObjectToObject(root, "dice");
    for (int c = 0; c < run->model->spec.classes && f->measured > 0; c++) {
        cJSON *item = cJSON_AddObjectToObject(dice, run->model->spec.class_names[c]);
        cJSON_AddNumberToObject(item, "before", f->before[c]);
        cJSON_AddNumberToObject(item, "after", f->after[c]);
    }
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    return text;
}

static fv_status tell(const export_run *run) {
    const char *json = run->arguments->json;
    if (!json_to_stdout(json)) print_figures(run);
    return json ? json_write(figures_json(run), json) : FV_OK;
}

/* ---- the command ---- */

static fv_status export_model(export_run *run) {
    FV_TRY(find_format(run->arguments, &run->format));
    FV_TRY(open_model(run));
    FV_TRY(check_out(run->arguments->out, run->model_path));
    FV_TRY(read_setup(run));
    FV_TRY(choose_photos(run));
    FV_TRY(prepare(run));
    FV_TRY(calibrate(run));
    FV_TRY(write(run));
    FV_TRY(measure(run));
    return tell(run);
}

static void run_free(export_run *run) {
    fv_folded_free(&run->folded);
    fv_folded_free(&run->logits);
    fv_ranges_free(&run->ranges);
    fv_metadata_free(&run->metadata);
    fv_manifest_free(&run->table);
    if (run->has_setup) run_setup_free(&run->setup);
    fv_model_free(run->model);
}

fv_status command_export(int argc, char **argv) {
    export_arguments a = {.samples = 16, .photos = 20};
    bool done;
    char **words;
    int word_count;
    option_spec options[FORMATS_MAX + 16];
    int count = 0;
    for (; count < export_format_count; count++)
        options[count] = (option_spec){
            export_formats[count].option, OPTION_FLAG, &a.format[count], NULL, export_formats[count].help, 0, 0};
    const option_spec others[] = {
        {"out", OPTION_TEXT, &a.out, "FILE", "the file to write (required)", 0, 0},
        {"fp16", OPTION_FLAG, &a.half, NULL, "half precision: weights and arithmetic", 0, 0},
        {"fp16-storage", OPTION_FLAG, &a.half_storage, NULL, "half precision weights, float32 arithmetic", 0, 0},
        {"int8", OPTION_FLAG, &a.bytes, NULL, "8-bit weights and arithmetic, calibrated on photographs", 0, 0},
        {"int8-io", OPTION_FLAG, &a.integer_ends, NULL, "--tflite --int8: input and output are int8 too", 0, 0},
        {"calibrate", OPTION_LIST, &a.calibrate, "WORD",
         "--int8: a table (CSV), photograph or folder to calibrate on, also several times (default: the run's training "
         "photographs)",
         0, 0},
        {"samples", OPTION_INTEGER, &a.samples, "N", "--int8: calibrate on at most N of them (default 16)", 1, 1000},
        {"with-preprocessing", OPTION_FLAG, &a.preprocessing, NULL,
         "input levels 0..255: resizing (whole photographs) and normalisation inside the network", 0, 0},
        {"logits", OPTION_FLAG, &a.logits, NULL, "leave the last sigmoid out", 0, 0},
        {"size", OPTION_INTEGER, &a.size, "PX", "a fixed input of PX x PX px (default: the model's own size)", 32,
         4096},
        {"dynamic-size", OPTION_FLAG, &a.dynamic_size, NULL,
         "any height and width that the network takes (the default for models of windows)", 0, 0},
        {"fixed-size", OPTION_FLAG, &a.fixed_size, NULL, "the model's own size (the default for whole photographs)", 0,
         0},
        {"manifest", OPTION_TEXT, &a.manifest, "CSV", "measure on the photographs of this table instead of the run's",
         0, 0},
        {"split", OPTION_TEXT, &a.split, "NAME", "measure on train, val or test (default: the run's val)", 0, 0},
        {"photos", OPTION_INTEGER, &a.photos, "N", "measure on at most N photographs (default 20; 0: don't measure)", 0,
         1000000},
        {"json", OPTION_TEXT, &a.json, "FILE", "figures as JSON; - for standard output", 0, 0},
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) options[count++] = others[i];
    const command_line line = {
        "export",
        "RUN|MODEL --onnx|--tflite|--fovea [--fp16|--fp16-storage|--int8] --out FILE [options]",
        "Writes the network for other runtimes, with preprocessing, thresholds and class names in the file's metadata, "
        "and prints its\n"
        "size, the largest difference to fovea and Dice before and after. Of a run folder the best weights are used.",
        "  fovea export runs/od_oc --onnx --out od_oc.onnx\n"
        "  fovea export runs/od_oc --onnx --fp16 --with-preprocessing --out od_oc_fp16.onnx\n"
        "  fovea export runs/od_oc --fovea --fp16 --out small.safetensors\n"
        "  fovea export vessels.safetensors --onnx --int8 --calibrate photos/ --manifest test/index.csv --out v8.onnx",
        options,
        count};
    FV_TRY(options_parse(&line, argc, argv, &words, &word_count, &done));
    if (done) return FV_OK;
    if (word_count != 1) return fv_fail(FV_BAD_INPUT, "give one run folder or model file; see fovea export --help");
    FV_TRY(check_combination(&a));
    export_run run = {.arguments = &a, .word = words[0]};
    fv_status status = export_model(&run);
    run_free(&run);
    return status;
}
