/* What a run's network sees and says, for another runtime to be compared with. usage: export_dump RUN SPLIT COUNT
   FOLDER

   Of at most COUNT photographs of the split (train, val, test) writes FOLDER/<name>.safetensors with
     levels       {1, h, w, 3} the network's input as 0..255: the enhanced work image (whole photographs: at work size)
     input        {1, h, w, 3} prepared as in prediction, models of windows in one piece that holds the work image
     probability  {1, h, w, classes} what fovea makes of it
     truth        {1, h, w, classes} 0 or 1
     region       {1, h, w, 1} 1 where pixels count: the field of view where the model looks at it, else all
   and into its metadata the classes' names and thresholds, separated by spaces. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/nn/layers.h"
#include "fovea/train/train.h"

typedef struct dump {
    fv_config *config;
    fv_train_settings settings;
    fv_manifest manifest;
    fv_model *model;
    fv_validation validation;
    const char *folder;
} dump;

static fv_status read_run(const char *run, const char *split, int count, dump *d) {
    char path[FV_PATH_MAX];
    FV_TRY(fv_path_join(path, run, "config.ini"));
    FV_TRY(fv_config_read(path, &d->config));
    FV_TRY(fv_train_settings_from_config(d->config, &d->settings));
    FV_TRY(fv_manifest_from_config(d->config, &d->settings.model, &d->manifest));
    FV_TRY(fv_path_join(path, run, "best.safetensors"));
    FV_TRY(fv_model_load(path, &d->model));
    int taken = 0;
    for (int i = 0; i < d->manifest.count; i++) { /* validation is what the library reads with its truth */
        fv_record *record = &d->manifest.records[i];
        bool wanted = record->split != FV_SPLIT_NONE && strcmp(fv_split_names[record->split], split) == 0;
        record->split = wanted && taken++ < count ? FV_SPLIT_VAL : FV_SPLIT_NONE;
    }
    return fv_validation_make(&d->settings, &d->manifest, &d->validation);
}

/* The network in one piece. */
static fv_status predict(dump *d, const float *input, fv_shape shape, float *probability) {
    fv_graph graph;
    fv_plan *plan = NULL;
    fv_graph_init(&graph, &d->model->params);
    fv_value x = fv_graph_input(&graph, "input", shape, false);
    fv_value y = fv_sigmoid(&graph, "probabilities", fv_model_build(d->model, &graph, x, NULL));
    fv_status status = fv_plan_make(&graph, FV_PLAN_INFER, &y, 1, FV_NO_VALUE, &plan);
    if (status == FV_OK) {
        memcpy(fv_plan_data(plan, x), input, fv_shape_count(shape) * sizeof *input);
        fv_plan_forward(plan, false, 0, 0);
        memcpy(probability, fv_plan_data(plan, y), fv_shape_count(fv_graph_shape(&graph, y)) * sizeof *probability);
    }
    fv_plan_free(plan);
    fv_graph_free(&graph);
    return status;
}

static int round_up(int value, int step) {
    return (value + step - 1) / step * step;
}

static fv_status add(fv_safetensors_writer *writer, const char *name, int h, int w, int c, const float *values) {
    const int64_t shape[4] = {1, h, w, c};
    return fv_safetensors_add(writer, name, "F32", 4, shape, values);
}

/* The buffers of one photograph, at h x w px. */
typedef struct maps {
    int h, w;
    float *levels, *input, *probability, *truth, *region;
} maps;

static void fill_levels(const fv_image *work, int width, float *levels) {
    for (int y = 0; y < work->height; y++)
        for (int i = 0; i < 3 * work->width; i++)
            levels[(size_t)y * 3 * (size_t)width + (size_t)i] =
                work->data[(size_t)y * 3 * (size_t)work->width + (size_t)i];
}

static void fill_truth(const dump *d, const fv_validation_sample *s, int map_h, int map_w, maps *m) {
    size_t classes = (size_t)d->model->spec.classes;
    const fv_image *fov = &s->sample.work.fov;
    for (int y = 0; y < map_h; y++)
        for (int x = 0; x < map_w; x++) {
            size_t to = (size_t)y * (size_t)m->w + (size_t)x, from = (size_t)y * (size_t)map_w + (size_t)x;
            for (size_t c = 0; c < classes; c++) m->truth[to * classes + c] = s->target[from * classes + c];
            m->region[to] = !fov->data || fov->width != map_w || fov->data[from] != 0;
        }
}

static fv_status write_maps(const dump *d, const maps *m, int level_h, int level_w, const char *name) {
    const fv_model_spec *spec = &d->model->spec;
    char path[FV_PATH_MAX], file[160], names[512] = "", thresholds[512] = "";
    fv_safetensors_writer *writer;
    for (int c = 0; c < spec->classes; c++) {
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s ", spec->class_names[c]);
        snprintf(thresholds + strlen(thresholds), sizeof thresholds - strlen(thresholds), "%.6g ", spec->thresholds[c]);
    }
    snprintf(file, sizeof file, "%s.safetensors", name);
    FV_TRY(fv_path_join(path, d->folder, file));
    FV_TRY(fv_safetensors_writer_make(&writer));
    fv_status status = add(writer, "levels", level_h, level_w, 3, m->levels);
    if (status == FV_OK) status = add(writer, "input", m->h, m->w, 3, m->input);
    if (status == FV_OK) status = add(writer, "probability", m->h, m->w, spec->classes, m->probability);
    if (status == FV_OK) status = add(writer, "truth", m->h, m->w, spec->classes, m->truth);
    if (status == FV_OK) status = add(writer, "region", m->h, m->w, 1, m->region);
    if (status == FV_OK) status = fv_safetensors_add_metadata(writer, "classes", names);
    if (status == FV_OK) status = fv_safetensors_add_metadata(writer, "thresholds", thresholds);
    if (status == FV_OK) return fv_safetensors_write(writer, path);
    fv_safetensors_writer_free(writer);
    return status;
}

static fv_status dump_sample(dump *d, const fv_validation_sample *s, maps *m) {
    const fv_preprocess *p = &d->model->spec.preprocess;
    const fv_image *work = &s->sample.work.image;
    int level_w = p->windows ? m->w : work->width, level_h = p->windows ? m->h : work->height;
    size_t pixels = (size_t)m->h * (size_t)m->w, classes = (size_t)d->model->spec.classes;
    m->levels = calloc((size_t)level_h * (size_t)level_w, 3 * sizeof(float));
    m->input = calloc(pixels, 3 * sizeof(float));
    m->probability = calloc(pixels, classes * sizeof(float));
    m->truth = calloc(pixels, classes * sizeof(float));
    m->region = calloc(pixels, sizeof(float));
    if (!m->levels || !m->input || !m->probability || !m->truth || !m->region) return fv_fail_memory("a dump", pixels);
    fill_levels(work, level_w, m->levels);
    if (p->windows)
        fv_preprocess_window(p, work, (fv_place){0, 0, m->w, m->h}, m->input);
    else
        fv_preprocess_sample(p, work, m->input);
    fill_truth(d, s, p->windows ? work->height : m->h, p->windows ? work->width : m->w, m);
    FV_TRY(predict(d, m->input, (fv_shape){1, m->h, m->w, 3}, m->probability));
    return write_maps(d, m, level_h, level_w, d->manifest.records[s->record].name);
}

static fv_status dump_all(dump *d) {
    const fv_preprocess *p = &d->model->spec.preprocess;
    int step = fv_model_step(&d->model->spec);
    fv_status status = FV_OK;
    for (int i = 0; i < d->validation.count && status == FV_OK; i++) {
        const fv_validation_sample *s = &d->validation.samples[i];
        maps m = {.h = p->windows ? round_up(s->sample.work.image.height, step) : p->size,
                  .w = p->windows ? round_up(s->sample.work.image.width, step) : p->size};
        status = dump_sample(d, s, &m);
        free(m.levels);
        free(m.input);
        free(m.probability);
        free(m.truth);
        free(m.region);
    }
    return status;
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "usage: export_dump RUN train|val|test COUNT FOLDER\n");
        return FV_BAD_INPUT;
    }
    dump d = {.folder = argv[4]};
    fv_status status = fv_folder_make(d.folder);
    if (status == FV_OK) status = read_run(argv[1], argv[2], atoi(argv[3]), &d);
    if (status == FV_OK) status = dump_all(&d);
    if (status != FV_OK) fprintf(stderr, "export_dump: %s\n", fv_error());
    fv_validation_free(&d.validation);
    fv_manifest_free(&d.manifest);
    fv_config_free(d.config);
    fv_model_free(d.model);
    return status;
}
