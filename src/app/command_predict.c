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
#include "fovea/image/image_file.h"
#include "fovea/report/vessels.h"
#include "json_file.h"
#include "options.h"
#include "photo_list.h"
#include "pictures.h"
#include "prediction.h"
#include "run_setup.h"
#include "vessel_table.h"

/* What stays the same from photograph to photograph. */
typedef struct session {
    fv_analyser *analyser;
    double degrees;  /* that the camera sees, NAN where not given */
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

static fv_status write_masks(const prediction *p, const char *out) {
    char path[FV_PATH_MAX];
    for (int c = 0; c < p->found->spec.classes; c++) {
        FV_TRY(out_path(out, p, p->found->spec.class_names[c], path));
        FV_TRY(fv_image_write_png(&p->found->masks[c], path));
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

static int cdr_lines(const fv_cdr *cdr, char text[MAX_LINES][96], int n) {
    if (!cdr->disc_found) {
        snprintf(text[n++], sizeof text[0], "no disc found");
        return n;
    }
    snprintf(text[n++], sizeof text[0], "vertical CDR\t%.2f", cdr->vcdr);
    snprintf(text[n++], sizeof text[0], "horizontal CDR\t%.2f", cdr->hcdr);
    snprintf(text[n++], sizeof text[0], "area CDR\t%.2f", cdr->area_cdr);
    text[n++][0] = '\0';
    snprintf(text[n++], sizeof text[0], "disc height\t%d px", cdr->disc_height_px);
    snprintf(text[n++], sizeof text[0], "disc width\t%d px", cdr->disc_width_px);
    snprintf(text[n++], sizeof text[0], "cup height\t%d px", cdr->cup_height_px);
    snprintf(text[n++], sizeof text[0], "cup width\t%d px", cdr->cup_width_px);
    return n;
}

static int panel_lines(const prediction *p, char text[MAX_LINES][96]) {
    const fv_analysis *found = p->found;
    int n = 0;
    snprintf(text[n++], sizeof text[0], "%.90s", p->stem);
    text[n++][0] = '\0';
    if (found->has_cdr) n = cdr_lines(&found->cdr, text, n);
    if (found->has_vessels) n = vessel_lines(&found->vessels, text, n);
    for (int c = 0; c < found->spec.classes && !found->has_cdr && !found->has_vessels; c++)
        snprintf(text[n++], sizeof text[0], "%.31s\t%.2f %% of photo", found->spec.class_names[c],
                 100 * fv_analysis_measure(found, found->share_names[c]));
    text[n++][0] = '\0';
    snprintf(text[n++], sizeof text[0], "Research software, not a medical device.");
    return n;
}

static fv_status write_overlay(const prediction *p, const fv_report_classes *classes, const char *out) {
    char path[FV_PATH_MAX];
    FV_TRY(out_path(out, p, "overlay", path));
    return fv_report_overlay(path, &p->photo, classes, p->found->masks, NULL);
}

static fv_status write_panel(const prediction *p, const fv_report_classes *classes, const char *out) {
    const char *lines[MAX_LINES];
    char path[FV_PATH_MAX], text[MAX_LINES][96];
    int count = panel_lines(p, text);
    for (int i = 0; i < count; i++) lines[i] = text[i];
    FV_TRY(out_path(out, p, "panel", path));
    return fv_report_panel(path, &p->photo, classes, p->found->masks, NULL, lines, count);
}

static fv_status write_vessels(const prediction *p, const char *out) {
    char path[FV_PATH_MAX];
    if (!p->found->has_vessels) return FV_OK;
    FV_TRY(out_path(out, p, "measures", path));
    return fv_report_vessels(path, p->stem, &p->photo, &p->found->vessels, &p->found->vessel_map);
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
    fv_report_classes classes = picture_classes(&p->found->spec, names);
    FV_TRY(remove_old_json(p, run->out));
    FV_TRY(write_masks(p, run->out));
    stage_end(&p->times, STAGE_WRITE_MASKS);
    FV_TRY(write_overlay(p, &classes, run->out));
    stage_end(&p->times, STAGE_OVERLAY);
    FV_TRY(write_panel(p, &classes, run->out));
    FV_TRY(write_vessels(p, run->out));
    stage_end(&p->times, STAGE_PANEL);
    FV_TRY(out_path(run->out, p, ".json", json_path));
    return json_write(prediction_json(p, run->with_times), json_path);
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

static fv_status analyse(const session *run, prediction *p) {
    static const stage stages[FV_ANALYSIS_STAGES] = {STAGE_ENHANCE, STAGE_NETWORK, STAGE_MASKS, STAGE_MEASURES};
    FV_TRY(read_photo(p));
    stage_end(&p->times, STAGE_DECODE);
    FV_TRY(fv_fail_about(fv_analyse_image(run->analyser, &p->photo, &p->found), p->path));
    for (int i = 0; i < FV_ANALYSIS_STAGES; i++) p->times.ms[stages[i]] = p->found->ms[i];
    stage_begin(&p->times);
    return FV_OK;
}

static void keep_row(session *run, const prediction *p) {
    vessel_row *row = &run->rows[run->row_count++];
    *row = (vessel_row){.width = p->photo.width, .height = p->photo.height, .vessels = p->found->vessels};
    memcpy(row->stem, p->stem, sizeof row->stem);
}

static void tell(const prediction *p) {
    const fv_analysis *found = p->found;
    if (found->has_cdr && found->cdr.disc_found)
        fv_log_info("%s: vCDR %.2f, disc %d px high", p->path, found->cdr.vcdr, found->cdr.disc_height_px);
    else
        fv_log_info("%s: %s", p->path, found->has_cdr ? "no disc found" : "done");
}

static fv_status predict_photo(session *run, const char *path) {
    prediction p = {.path = path};
    for (int i = 0; i < STAGE_FIRST_OF_PHOTO; i++) p.times.ms[i] = run->times.ms[i];
    fv_path_stem(path, p.stem, sizeof p.stem);
    stage_begin(&p.times);
    fv_status status = analyse(run, &p);
    if (status == FV_OK) status = write_results(run, &p);
    if (status == FV_OK && p.found->has_vessels) keep_row(run, &p);
    if (status == FV_OK) tell(&p);
    for (int i = STAGE_FIRST_OF_PHOTO; i < STAGE_COUNT; i++) run->times.ms[i] += p.times.ms[i];
    fv_image_free(&p.photo);
    fv_analysis_free(p.found);
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
    keep_freed_memory();
    stage_note_start(&run->times);
    stage_begin(&run->times);
    if (fv_image_is_name(word))
        return fv_fail(FV_BAD_INPUT, "%s stands where the model should: fovea predict MODEL PHOTO... --out DIR", word);
    FV_TRY(run_model_path(word, model_path));
    FV_TRY(run_flips(word, &flips));
    FV_TRY(photo_list_make(words, word_count, &list));
    fv_status status = photo_list_check_out(&list, run->out);
    if (status == FV_OK) status = fv_analyser_open(model_path, &run->analyser);
    if (status == FV_OK) status = fv_analyser_set_camera(run->analyser, run->degrees);
    if (status == FV_OK) status = fv_folder_make(run->out);
    if (status == FV_OK) {
        fv_analyser_set_flips(run->analyser, flips);
        fv_analyser_set_memory(run->analyser, (size_t)memory_mib << 20);
        stage_end(&run->times, STAGE_READ_MODEL);
        status = predict_all(run, &list);
    }
    free(run->rows);
    fv_analyser_close(run->analyser);
    photo_list_free(&list);
    return status;
}

fv_status command_predict(int argc, char **argv) {
    session run = {.degrees = NAN};
    bool flips = false, done;
    long memory_mib = 0;
    char **words;
    int word_count;
    const option_spec options[] = {
        {"out", OPTION_TEXT, &run.out, "DIR", "folder for the results (required)", 0, 0},
        {"flips", OPTION_FLAG, &flips, NULL,
         "mean of the four flips: slower, a little better (the standard of a run with eval.flips)", 0, 0},
        {"memory", OPTION_INTEGER, &memory_mib, "MIB",
         "models of vessels: at most this much memory for the network, by smaller windows (default: no limit)", 1,
         1 << 20},
        {"fov-degrees", OPTION_NUMBER, &run.degrees, "D",
         "angle that the camera sees: scales the photograph for a model that knows angles, and vessel measures to um",
         FV_FOV_DEGREES_MIN, FV_FOV_DEGREES_MAX},
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
        "Of a run folder the best weights are used, and flips where it has eval.flips.",
        "  fovea predict runs/od_oc/best.safetensors photo.jpg --out results\n"
        "  fovea predict runs/od_oc photos/ more/eye7.tif --out results --flips",
        options,
        sizeof options / sizeof *options};
    FV_TRY(options_parse(&line, argc, argv, &words, &word_count, &done));
    if (done) return FV_OK;
    if (word_count < 2)
        return fv_fail(FV_BAD_INPUT, "give a model and at least one photograph or folder; see fovea predict --help");
    if (!run.out) return fv_fail(FV_BAD_INPUT, "say where the results should go: --out DIR");
    stop_on_signals();
    return predict(&run, words[0], words + 1, word_count - 1, flips, memory_mib);
}
