#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/threads.h"
#include "fovea/kernel/skeleton.h"
#include "fovea/train/train.h"

static const char *const monitor_names[] = {"dice", "loss", NULL};

static fv_status complain_empty(fv_config *config, const char *section, const char *key) {
    return fv_config_complain(config, section, key, "is empty; give a name or leave the key out");
}

static fv_status copy_path(fv_config *config, const char *section, const char *key, const char *standard,
                           char out[FV_PATH_MAX]) {
    const char *text = fv_config_text(config, section, key, standard);
    if (strlen(text) >= FV_PATH_MAX) return fv_config_complain(config, section, key, "the path is too long");
    strcpy(out, text);
    return FV_OK;
}

/* "disc cup" -> class names, each with a threshold of its own. */
static void classes_from_config(fv_config *config, fv_model_spec *spec) {
    const char *text = fv_config_text(config, "model", "classes", "disc cup");
    char words[512];
    snprintf(words, sizeof words, "%s", text);
    char *rest = NULL;
    for (char *word = strtok_r(words, " ,", &rest); word; word = strtok_r(NULL, " ,", &rest)) {
        if (spec->classes == FV_MAX_CLASSES || strlen(word) >= sizeof spec->class_names[0]) {
            fv_config_complain(config, "model", "classes", "at most %d names of at most 31 letters", FV_MAX_CLASSES);
            return;
        }
        strcpy(spec->class_names[spec->classes++], word);
    }
    if (spec->classes == 0)
        fv_config_complain(config, "model", "classes", "give at least one name, for example disc cup");
    else if (fv_model_classes_check(spec) != FV_OK)
        fv_config_complain(config, "model", "classes", "%s", fv_error());
    double threshold = fv_config_number(config, "model", "threshold", 0.5, 0.01, 0.99);
    for (int c = 0; c < spec->classes; c++) spec->thresholds[c] = threshold;
}

static void enhance_from_config(fv_config *config, fv_enhance *enhance) {
    *enhance = fv_enhance_standard();
    const char *steps = fv_config_text(config, "preprocess", "enhance", "lab_clahe");
    if (fv_enhance_parse(steps, enhance) != FV_OK)
        fv_config_complain(config, "preprocess", "enhance", "%s", fv_error());
    enhance->clahe_clip = fv_config_number(config, "preprocess", "clahe_clip", enhance->clahe_clip, 0.01, 1000);
    enhance->clahe_tiles = (int)fv_config_integer(config, "preprocess", "clahe_tiles", enhance->clahe_tiles, 1, 64);
    enhance->unsharp_amount = fv_config_number(config, "preprocess", "unsharp_amount", enhance->unsharp_amount, 0, 10);
    enhance->unsharp_sigma = fv_config_number(config, "preprocess", "unsharp_sigma", enhance->unsharp_sigma, 0.1, 20);
    enhance->local_sigma = fv_config_number(config, "preprocess", "local_sigma", enhance->local_sigma, 1, 500);
}

/* Vessels need pixels and get windows at the field's scale, disc and cup need the whole. */
static void preprocess_from_config(fv_config *config, const fv_model_spec *spec, fv_preprocess *pre) {
    bool vessels = fv_model_class(spec, "vessel") >= 0;
    pre->size = (int)fv_config_integer(config, "preprocess", "size", 256, 32, 4096);
    pre->work_size =
        (int)fv_config_integer(config, "preprocess", "work_size", 2 * pre->size, 32, FV_PREPROCESS_MAX_SIZE);
    pre->fit =
        (fv_fit)fv_config_choice(config, "preprocess", "fit", vessels ? FV_FIT_FOV : FV_FIT_LETTERBOX, fv_fit_names);
    pre->fov_diameter = (int)fv_config_integer(config, "preprocess", "fov_diameter", 640, 32, FV_PREPROCESS_MAX_SIZE);
    bool cut = pre->fit == FV_FIT_FOV || pre->fit == FV_FIT_NATIVE;
    pre->windows = fv_config_flag(config, "preprocess", "windows", cut);
    pre->tile = (int)fv_config_integer(config, "preprocess", "tile", 512, 0, 4096);
    enhance_from_config(config, &pre->enhance);
    int standard = spec->convention == FV_CONVENTION_KERAS ? FV_NORMALISE_SIGNED : FV_NORMALISE_IMAGENET;
    pre->normalise = (fv_normalise)fv_config_choice(config, "preprocess", "normalise", standard, fv_normalise_names);
}

/* FOVEA_WEIGHTS names a folder or a file; the key in the INI goes before it. "none" means random weights. */
static fv_status encoder_weights_from_config(fv_config *config, fv_train_settings *s) {
    bool encoder = fv_network_has_encoder(s->model.network);
    const char *folder = encoder ? getenv("FOVEA_WEIGHTS") : NULL;
    char standard[FV_PATH_MAX] = "none";
    if (folder && *folder && fv_folder_exists(folder)) {
        const char *name = s->model.convention == FV_CONVENTION_KERAS ? "mobilenetv2_1.0_keras.safetensors"
                                                                      : "mobilenetv2_1.0_torchvision.safetensors";
        FV_TRY(fv_path_join(standard, folder, name));
    } else if (folder && *folder) {
        snprintf(standard, sizeof standard, "%s", folder);
    }
    FV_TRY(copy_path(config, "model", "encoder_weights", standard, s->encoder_weights));
    if (strcmp(s->encoder_weights, "none") == 0) s->encoder_weights[0] = '\0';
    if (s->encoder_weights[0] && !encoder)
        return fv_config_complain(config, "model", "encoder_weights",
                                  "%s has no MobileNetV2 encoder; leave the key out, or give none", s->model.network);
    if (s->encoder_weights[0] && !fv_file_exists(s->encoder_weights))
        return fv_config_complain(
            config, "model", "encoder_weights",
            "no such file; give a file of MobileNetV2 weights (docs/import.md), or none for random weights");
    return FV_OK;
}

static fv_status model_from_config(fv_config *config, fv_train_settings *s) {
    fv_model_spec *spec = &s->model;
    int network = fv_config_choice(config, "model", "network", 0, fv_network_names);
    snprintf(spec->network, sizeof spec->network, "%s", fv_network_names[network]);
    spec->width = fv_config_number(config, "model", "width", 1.0, 0.1, 4);
    spec->base = (int)fv_config_integer(config, "model", "base", 0, 0, FV_BASE_MAX);
    if (fv_model_filters_check(spec) != FV_OK) {
        bool width = spec->width != 1 && !fv_network_has_encoder(spec->network);
        fv_config_complain(config, "model", width ? "width" : "base", "%s", fv_error());
    }
    spec->depth = (int)fv_config_integer(config, "model", "depth", 0, 0, FV_DEPTH_MAX);
    spec->norm = (fv_norm_kind)fv_config_choice(config, "model", "norm", FV_NORM_BATCH, fv_norm_names);
    if (fv_model_levels_check(spec) != FV_OK)
        fv_config_complain(config, "model", spec->depth ? "depth" : "norm", "%s", fv_error());
    spec->convention =
        (fv_convention)fv_config_choice(config, "model", "convention", FV_CONVENTION_KERAS, fv_convention_names);
    classes_from_config(config, spec);
    preprocess_from_config(config, spec, &spec->preprocess);
    return encoder_weights_from_config(config, s);
}

static void loader_from_config(fv_config *config, fv_train_settings *s) {
    fv_loader_settings *loader = &s->loader;
    loader->preprocess = s->model.preprocess;
    loader->grid = (int)fv_config_integer(config, "data", "grid", 0, 0, 64);
    int standard = loader->preprocess.windows ? 4 : 1;
    loader->windows_per_photo = (int)fv_config_integer(config, "data", "windows_per_photo", standard, 1, 10000);
    if (loader->grid) loader->windows_per_photo = loader->grid * loader->grid;
    if (!loader->preprocess.windows) loader->windows_per_photo = 1;
    loader->foreground = fv_config_number(config, "data", "foreground", 0.5, 0, 1);
    fv_augment_from_config(config, &loader->augment);
    loader->mask_threshold = (int)fv_config_integer(config, "data", "mask_threshold", 127, 0, 254);
    loader->soft_masks = fv_config_flag(config, "data", "soft_masks", false);
    loader->batch = (int)fv_config_integer(config, "train", "batch", 8, 1, 1024);
    loader->workers = (int)fv_config_integer(config, "data", "workers", 1, 1, 64);
    loader->cache_bytes = (size_t)fv_config_bytes(config, "data", "cache", 2LL << 30);
    loader->seed = s->seed;
}

static void optimizer_from_config(fv_config *config, fv_optimizer_settings *o) {
    o->kind = (fv_optimizer_kind)fv_config_choice(config, "optimizer", "kind", FV_ADAM, fv_optimizer_names);
    o->rate = fv_config_number(config, "optimizer", "rate", 1e-3, 0, 10);
    o->encoder_rate = fv_config_number(config, "optimizer", "encoder_rate", o->rate, 0, 10);
    o->beta1 = fv_config_number(config, "optimizer", "beta1", 0.9, 0, 0.999999);
    o->beta2 = fv_config_number(config, "optimizer", "beta2", 0.999, 0, 0.999999);
    o->epsilon = fv_config_number(config, "optimizer", "epsilon", 1e-8, 1e-16, 1);
    o->weight_decay = fv_config_number(config, "optimizer", "weight_decay", 0, 0, 1);
    o->l2 = fv_config_number(config, "optimizer", "l2", 0, 0, 1);
    const char *layers = fv_config_text(config, "optimizer", "l2_layers", "all");
    if (strlen(layers) >= sizeof o->l2_layers)
        fv_config_complain(config, "optimizer", "l2_layers", "expected at most %zu letters", sizeof o->l2_layers - 1);
    else
        strcpy(o->l2_layers, layers);
    if (o->l2 > 0 && strspn(layers, " ,") == strlen(layers)) complain_empty(config, "optimizer", "l2_layers");
    o->clip_norm = fv_config_number(config, "optimizer", "clip_norm", 0, 0, 1e9);
    o->average_decay = fv_config_number(config, "optimizer", "average_decay", 0, 0, 0.999999);
}

static void schedule_from_config(fv_config *config, fv_schedule *schedule) {
    schedule->kind =
        (fv_schedule_kind)fv_config_choice(config, "schedule", "kind", FV_SCHEDULE_COSINE, fv_schedule_names);
    schedule->warmup_steps = (int)fv_config_integer(config, "schedule", "warmup_steps", 20, 0, 1000000);
    bool plateau = schedule->kind == FV_SCHEDULE_PLATEAU;
    schedule->every = (int)fv_config_integer(config, "schedule", "every", plateau ? 5 : 20, 1, 1000000);
    schedule->factor = fv_config_number(config, "schedule", "factor", 0.5, 0.001, 1);
    schedule->floor = fv_config_number(config, "schedule", "floor", 0, 0, 1);
}

static void loss_from_config(fv_config *config, fv_loss_settings *s) {
    s->bce = fv_config_number(config, "loss", "bce", 1, 0, 1000);
    s->dice = fv_config_number(config, "loss", "dice", 1, 0, 1000);
    s->auxiliary = fv_config_number(config, "loss", "auxiliary", 1, 0, 10);
    s->focal = fv_config_number(config, "loss", "focal", 0, 0, 1000);
    s->tversky = fv_config_number(config, "loss", "tversky", 0, 0, 1000);
    s->cldice = fv_config_number(config, "loss", "cldice", 0, 0, 1000);
    s->focal_alpha = fv_config_number(config, "loss", "focal_alpha", 0.25, 1e-6, 1000);
    s->focal_gamma = fv_config_number(config, "loss", "focal_gamma", 2, 0, 20);
    s->tversky_alpha = fv_config_number(config, "loss", "tversky_alpha", 0.3, 0, 10);
    s->tversky_beta = fv_config_number(config, "loss", "tversky_beta", 0.7, 0, 10);
    s->cldice_iterations =
        (int)fv_config_integer(config, "loss", "cldice_iterations", 3, 1, FV_SKELETON_MOST_ITERATIONS);
    s->smooth = fv_config_number(config, "loss", "smooth", 1, 1e-12, 1e6);
    s->dice_over_batch = fv_config_flag(config, "loss", "dice_over_batch", false);
    if (s->bce + s->dice + s->focal + s->tversky + s->cldice <= 0)
        fv_config_complain(config, "loss", "bce", "bce, dice, focal, tversky and cldice can't all be 0");
}

static void loop_from_config(fv_config *config, fv_train_settings *s) {
    s->epochs = (int)fv_config_integer(config, "train", "epochs", 60, 1, 1000000);
    s->memory = (size_t)fv_config_bytes(config, "train", "memory", 0);
    s->checkpoint_every = (int)fv_config_integer(config, "train", "checkpoint_every", 5, 1, 1000000);
    s->validate_every = (int)fv_config_integer(config, "train", "validate_every", 1, 1, 1000000);
    s->patience = (int)fv_config_integer(config, "train", "patience", 0, 0, 1000000);
    s->monitor = (fv_monitor)fv_config_choice(config, "train", "monitor", FV_MONITOR_DICE, monitor_names);
}

fv_status fv_train_settings_from_config(fv_config *config, fv_train_settings *s) {
    *s = (fv_train_settings){0};
    const char *name = fv_config_text(config, "run", "name", "run");
    char dir[FV_PATH_MAX];
    if (!*name) return complain_empty(config, "run", "name");
    FV_TRY(fv_path_join(dir, "runs", name));
    FV_TRY(copy_path(config, "run", "dir", dir, s->dir));
    if (!*s->dir) return complain_empty(config, "run", "dir");
    s->seed = (uint64_t)fv_config_integer(config, "run", "seed", 1, 0, 1L << 53);
    FV_TRY(model_from_config(config, s));
    loader_from_config(config, s);
    optimizer_from_config(config, &s->optimizer);
    schedule_from_config(config, &s->schedule);
    loss_from_config(config, &s->loss);
    loop_from_config(config, s);
    if (fv_model_spec_check(&s->model) == FV_OK) return FV_OK;
    FV_TRY(
        fv_config_check(config)); /* values out of range were told apart before; what is left are sides and the fit */
    fv_model_spec_check(&s->model);
    const char *key = strstr(fv_error(), "the tile")        ? "tile"
                      : strstr(fv_error(), "windows = yes") ? "windows"
                                                            : "size";
    return fv_config_complain(config, "preprocess", key, "%s", fv_error());
}
