#include <errno.h>
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "fovea/base/log.h"
#include "fovea/base/memory.h"
#include "fovea/base/progress.h"
#include "fovea/exchange/open.h"
#include "fovea/image/image_file.h"
#include "fovea/image/fov.h"
#include "fovea/image/mask.h"
#include "fovea/report/vessels.h"
#include "json_file.h"
#include "options.h"
#include "photo_list.h"
#include "pictures.h"
#include "prediction.h"
#include "run_setup.h"

/* What stays the same from photograph to photograph. */
typedef struct session {
    const fv_model_spec *spec;
    fv_predictor *predictor;
    const char *out; /* folder */
    bool with_times;
    stage_times times; /* before the first photograph, then the sum over all */
    vessel_row *rows;  /* of a model with vessels: measures of each photograph done */
    int row_count;
} session;

/* ---- files ---- */

static fv_status out_path(const char *out, const prediction *p, const char *suffix, char path[FV_PATH_MAX]) {
    char name[320];
    snprintf(name, sizeof name, "%s_%s.png", p->stem, suffix);
    if (strcmp(suffix, ".json") == 0) snprintf(name, sizeof name, "%s.json", p->stem);
    return fv_path_join(path, out, name);
}

static fv_status write_masks(const prediction *p, const fv_model_spec *spec, const char *out) {
    char path[FV_PATH_MAX];
    for (int c = 0; c < spec->classes; c++) {
        FV_TRY(out_path(out, p, spec->class_names[c], path));
        FV_TRY(fv_image_write_png(&p->masks[c], path));
    }
    return FV_OK;
}

#define MAX_LINES 16

static int vessel_lines(const fv_vessels *v, char text[MAX_LINES][96], int n) {
    snprintf(text[n++], sizeof text[0], "vessel density\t%.2f %% of field", 100 * v->density_ratio);
    snprintf(text[n++], sizeof text[0], "vessel length\t%.0f px", v->length_px);
    if (!isnan(v->mean_width_px)) snprintf(text[n++], sizeof text[0], "mean width\t%.2f px", v->mean_width_px);
    snprintf(text[n++], sizeof text[0], "branch points\t%lld", (long long)v->branch_points);
    return n;
}

static int panel_lines(const prediction *p, const fv_model_spec *spec, char text[MAX_LINES][96]) {
    int n = 0;
    snprintf(text[n++], sizeof text[0], "%.90s", p->stem);
    text[n++][0] = '\0';
    if (p->has_cdr && !p->cdr.disc_found) snprintf(text[n++], sizeof text[0], "no disc found");
    if (p->has_cdr && p->cdr.disc_found) {
        snprintf(text[n++], sizeof text[0], "vertical CDR\t%.2f", p->cdr.vcdr);
        snprintf(text[n++], sizeof text[0], "horizontal CDR\t%.2f", p->cdr.hcdr);
        snprintf(text[n++], sizeof text[0], "area CDR\t%.2f", p->cdr.area_cdr);
        text[n++][0] = '\0';
        snprintf(text[n++], sizeof text[0], "disc height\t%d px", p->cdr.disc_height_px);
        snprintf(text[n++], sizeof text[0], "disc width\t%d px", p->cdr.disc_width_px);
        snprintf(text[n++], sizeof text[0], "cup height\t%d px", p->cdr.cup_height_px);
        snprintf(text[n++], sizeof text[0], "cup width\t%d px", p->cdr.cup_width_px);
    }
    if (p->has_vessels) n = vessel_lines(&p->vessels, text, n);
    for (int c = 0; c < spec->classes && !p->has_cdr && !p->has_vessels; c++)
        snprintf(text[n++], sizeof text[0], "%.31s\t%.2f %% of photo", spec->class_names[c],
                 100.0 * (double)fv_mask_count(&p->masks[c]) / ((double)p->photo.width * p->photo.height));
    text[n++][0] = '\0';
    snprintf(text[n++], sizeof text[0], "Research software, not a medical device.");
    return n;
}

static fv_status write_overlay(const prediction *p, const fv_report_classes *classes, const char *out) {
    char path[FV_PATH_MAX];
    FV_TRY(out_path(out, p, "overlay", path));
    return fv_report_overlay(path, &p->photo, classes, p->masks, NULL);
}

static fv_status write_panel(const prediction *p, const fv_model_spec *spec, const fv_report_classes *classes,
                             const char *out) {
    const char *lines[MAX_LINES];
    char path[FV_PATH_MAX], text[MAX_LINES][96];
    int count = panel_lines(p, spec, text);
    for (int i = 0; i < count; i++) lines[i] = text[i];
    FV_TRY(out_path(out, p, "panel", path));
    return fv_report_panel(path, &p->photo, classes, p->masks, NULL, lines, count);
}

static fv_status write_vessels(const prediction *p, const char *out) {
    char path[FV_PATH_MAX];
    if (!p->has_vessels) return FV_OK;
    FV_TRY(out_path(out, p, "measures", path));
    return fv_report_vessels(path, p->stem, &p->photo, &p->vessels, &p->vessel_map);
}

/* JSON of an earlier run must not stand beside other masks. */
static fv_status remove_old_json(const prediction *p, const char *out) {
    char path[FV_PATH_MAX];
    FV_TRY(out_path(out, p, ".json", path));
    if (unlink(path) == 0 || errno == ENOENT) return FV_OK;
    return fv_fail(FV_BAD_INPUT, "%s: the old results can't be replaced: %s; give another folder", path,
                   strerror(errno));
}

/* The JSON comes last: where it stands, everything stands. */
static fv_status write_results(const session *run, prediction *p) {
    const char *names[FV_MAX_CLASSES];
    char json_path[FV_PATH_MAX];
    fv_report_classes classes = picture_classes(run->spec, names);
    FV_TRY(remove_old_json(p, run->out));
    FV_TRY(write_masks(p, run->spec, run->out));
    stage_end(&p->times, STAGE_WRITE_MASKS);
    FV_TRY(write_overlay(p, &classes, run->out));
    stage_end(&p->times, STAGE_OVERLAY);
    FV_TRY(write_panel(p, run->spec, &classes, run->out));
    FV_TRY(write_vessels(p, run->out));
    stage_end(&p->times, STAGE_PANEL);
    FV_TRY(out_path(run->out, p, ".json", json_path));
    return json_write(prediction_json(p, run->spec, run->with_times), json_path);
}

/* ---- one photograph, all photographs ---- */

/* A photograph's images are a few dozen megabytes each and follow one another: memory given back to the system in
   between would be cleared page by page again. */
static void keep_freed_memory(void) {
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
}

static fv_status read_photo(prediction *p) {
    FV_TRY(fv_image_read(p->path, 3, &p->photo));
    if (p->photo.width <= FV_REPORT_MAX_SIDE && p->photo.height <= FV_REPORT_MAX_SIDE) return FV_OK;
    return fv_fail(FV_BAD_INPUT,
                   "%s is %d x %d px; no picture can be drawn over a photograph with a side above %d px: make it "
                   "smaller",
                   p->path, p->photo.width, p->photo.height, FV_REPORT_MAX_SIDE);
}

static fv_status find_masks(const session *run, prediction *p) {
    fv_probability_map map;
    fv_work work;
    bool vessels = fv_model_class(run->spec, "vessel") >= 0;
    if (vessels || fv_preprocess_needs_fov(&run->spec->preprocess)) FV_TRY(fv_fov_find(&p->photo, &p->field));
    FV_TRY(fv_preprocess_enhance(&run->spec->preprocess, &p->photo, p->field.data ? &p->field : NULL, &work));
    stage_end(&p->times, STAGE_ENHANCE);
    fv_status status = fv_predict_work(run->predictor, &work, &map);
    fv_work_free(&work);
    stage_end(&p->times, STAGE_NETWORK);
    if (status != FV_OK) return status;
    return fv_predict_masks(run->spec, &map, p->photo.width, p->photo.height, p->masks);
}

/* Inside the field of view; a disc that the model finds is no part of it. */
static fv_status measure_vessels(prediction *p, const fv_image *vessels, const fv_image *disc) {
    const fv_vessel_disc found = {.mask = disc};
    const bool has_disc = disc && fv_mask_count(disc) > 0;
    fv_status status =
        fv_vessels_measure(vessels, &p->field, has_disc ? &found : NULL, FV_SCALE_UNKNOWN, &p->vessels, &p->vessel_map);
    p->has_vessels = status == FV_OK;
    return status;
}

static fv_status analyse(const session *run, prediction *p) {
    FV_TRY(read_photo(p));
    stage_end(&p->times, STAGE_DECODE);
    FV_TRY(fv_fail_about(find_masks(run, p), p->path));
    stage_end(&p->times, STAGE_MASKS);
    int disc = fv_model_class(run->spec, "disc"), cup = fv_model_class(run->spec, "cup");
    p->has_cdr = disc >= 0 && cup >= 0;
    if (p->has_cdr) FV_TRY(fv_fail_about(fv_cdr_measure(&p->masks[disc], &p->masks[cup], &p->cdr), p->path));
    int vessel = fv_model_class(run->spec, "vessel");
    const fv_image *found_disc = disc >= 0 ? &p->masks[disc] : NULL;
    if (vessel >= 0) FV_TRY(fv_fail_about(measure_vessels(p, &p->masks[vessel], found_disc), p->path));
    stage_end(&p->times, STAGE_MEASURES);
    return FV_OK;
}

static void keep_row(session *run, const prediction *p) {
    vessel_row *row = &run->rows[run->row_count++];
    *row = (vessel_row){.width = p->photo.width, .height = p->photo.height, .vessels = p->vessels};
    memcpy(row->stem, p->stem, sizeof row->stem);
}

static fv_status predict_photo(session *run, const char *path) {
    prediction p = {.path = path};
    for (int i = 0; i < STAGE_FIRST_OF_PHOTO; i++) p.times.ms[i] = run->times.ms[i];
    fv_path_stem(path, p.stem, sizeof p.stem);
    stage_begin(&p.times);
    fv_status status = analyse(run, &p);
    if (status == FV_OK) status = write_results(run, &p);
    if (status == FV_OK && p.has_vessels) keep_row(run, &p);
    if (status == FV_OK && p.has_cdr && p.cdr.disc_found)
        fv_log_info("%s: vCDR %.2f, disc %d px high", path, p.cdr.vcdr, p.cdr.disc_height_px);
    else if (status == FV_OK)
        fv_log_info("%s: %s", path, p.has_cdr ? "no disc found" : "done");
    for (int i = STAGE_FIRST_OF_PHOTO; i < STAGE_COUNT; i++) run->times.ms[i] += p.times.ms[i];
    fv_image_free(&p.photo);
    fv_image_free(&p.field);
    fv_masks_free(p.masks, FV_MAX_CLASSES);
    fv_vessel_map_free(&p.vessel_map);
    return status;
}

/* What is said at the end, after `done` of the photographs. */
static fv_status conclude(const photo_list *list, int done, int failed, fv_status worst, const char *out) {
    bool stopped = done < list->count;
    if (stopped && worst != FV_NO_RESOURCE) { /* by a signal */
        fprintf(stderr, "stopped after %d of %d photographs; ", done, list->count);
        if (failed)
            fprintf(stderr, "%d of them failed, see the warnings above; the results of the others are complete\n",
                    failed);
        else
            fprintf(stderr, "their results are complete\n");
        return FV_INTERRUPTED;
    }
    if (stopped)
        return fv_fail(worst,
                       "stopped after %d of %d photographs, %d of them failed, see the warnings above; the results of "
                       "the others are in %s",
                       done, list->count, failed, out);
    if (failed && list->count > 1)
        return fv_fail(worst,
                       "%d of %d photographs failed, see the warnings above; the results of the others are in %s",
                       failed, list->count, out);
    return worst;
}

/* The table of all photographs. */
static fv_status write_table(const session *run) {
    char path[FV_PATH_MAX];
    if (run->row_count == 0) return FV_OK;
    FV_TRY(fv_path_join(path, run->out, "measures.csv"));
    return vessel_table_write(path, run->rows, run->row_count);
}

static fv_status predict_all(session *run, const photo_list *list) {
    fv_progress progress;
    fv_status worst = FV_OK;
    int failed = 0, done = 0;
    run->rows = fv_allocate((size_t)list->count, sizeof *run->rows, "the measures of all photographs");
    if (run->rows == NULL) return FV_NO_RESOURCE;
    fv_progress_start(&progress, "predicting", list->count);
    for (; done < list->count && !stop_requested() && worst != FV_NO_RESOURCE; done++) {
        fv_status status = predict_photo(run, list->paths[done]);
        if (status != FV_OK && list->count > 1) fv_log_warning("%s", fv_error());
        failed += status != FV_OK;
        if (status > worst) worst = status;
        fv_progress_update(&progress, done + 1, NULL);
    }
    fv_progress_end(&progress);
    FV_TRY(write_table(run));
    if (run->with_times && done > 0) stage_print(&run->times, done);
    return conclude(list, done, failed, worst, run->out);
}

static fv_status predict(session *run, const char *word, char *const *words, int word_count, bool flips,
                         long memory_mib) {
    char model_path[FV_PATH_MAX];
    photo_list list;
    fv_model *model = NULL;
    keep_freed_memory();
    stage_note_start(&run->times);
    stage_begin(&run->times);
    if (fv_image_is_name(word))
        return fv_fail(FV_BAD_INPUT, "%s stands where the model should: fovea predict MODEL PHOTO... --out DIR", word);
    FV_TRY(run_model_path(word, model_path));
    FV_TRY(photo_list_make(words, word_count, &list));
    fv_status status = photo_list_check_out(&list, run->out);
    if (status == FV_OK) status = fv_model_open(model_path, &model);
    if (status == FV_OK) status = fv_predictor_make(model, &run->predictor);
    if (status == FV_OK) status = fv_folder_make(run->out);
    if (status == FV_OK) {
        run->spec = &model->spec;
        fv_predictor_set_flips(run->predictor, flips);
        fv_predictor_set_memory(run->predictor, (size_t)memory_mib << 20);
        stage_end(&run->times, STAGE_READ_MODEL);
        status = predict_all(run, &list);
    }
    free(run->rows);
    fv_predictor_free(run->predictor);
    fv_model_free(model);
    photo_list_free(&list);
    return status;
}

fv_status command_predict(int argc, char **argv) {
    session run = {0};
    bool flips = false, done;
    long memory_mib = 0;
    char **words;
    int word_count;
    const option_spec options[] = {
        {"out", OPTION_TEXT, &run.out, "DIR", "folder for the results (required)", 0, 0},
        {"flips", OPTION_FLAG, &flips, NULL, "mean of the four flips: slower, a little better", 0, 0},
        {"memory", OPTION_INTEGER, &memory_mib, "MIB",
         "models of vessels: at most this much memory for the network, by smaller windows (default: no limit)", 1,
         1 << 20},
        {"times", OPTION_FLAG, &run.with_times, NULL, "time by stage, as a table and in the JSON", 0, 0},
    };
    const command_line line = {
        "predict",
        "MODEL|RUN PHOTO|FOLDER... --out DIR [options]",
        "Writes for each photograph, at its own size, <name>_disc.png, <name>_cup.png (a mask for each class of the "
        "model),\n"
        "<name>_overlay.png, <name>_panel.png and <name>.json with vertical, horizontal and area cup-to-disc ratio.\n"
        "For a model of vessels also <name>_measures.png, density, length, width and branchings in the JSON, and "
        "measures.csv of all photographs.\n"
        "Of a run folder the best weights are used.",
        "  fovea predict runs/od_oc/best.safetensors photo.jpg --out results\n"
        "  fovea predict runs/od_oc photos/ more/eye7.tif --out results --flips",
        options,
        4};
    FV_TRY(options_parse(&line, argc, argv, &words, &word_count, &done));
    if (done) return FV_OK;
    if (word_count < 2)
        return fv_fail(FV_BAD_INPUT, "give a model and at least one photograph or folder; see fovea predict --help");
    if (!run.out) return fv_fail(FV_BAD_INPUT, "say where the results should go: --out DIR");
    stop_on_signals();
    return predict(&run, words[0], words + 1, word_count - 1, flips, memory_mib);
}
