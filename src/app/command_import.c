#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "fovea/exchange/import.h"
#include "fovea/exchange/onnx_read.h"
#include "fovea/train/train.h"
#include "options.h"

typedef struct import_words {
    const char *as, *network, *out;
    long base;
    double epsilon;
    option_list set;
} import_words;

/* ---- settings of a whole model ---- */

#define DISC_AND_CUP                                                                                                   \
    "[model]\nclasses = disc cup\n[preprocess]\nsize = 256\nwork_size = 256\nfit = stretch\nenhance = lab_clahe\n"
#define VESSELS_IN_PATCHES                                                                                             \
    "[model]\nclasses = vessel\n[preprocess]\nsize = 256\nwork_size = 512\nfit = stretch\nwindows = yes\n"             \
    "tile = 256\nenhance = green clahe unsharp stretch\n"
#define VESSELS_WHOLE                                                                                                  \
    "[model]\nclasses = vessel\n[preprocess]\nsize = 512\nwork_size = 512\nfit = stretch\nenhance = clahe fov\n"       \
    "normalise = imagenet\n"
#define VESSELS "[model]\nclasses = vessel\n"

/* How the systems that these networks come from prepare photographs (docs/import.md); --set changes any of it. */
static const struct {
    const char *network, *settings;
} standards[] = {{"mobilenetv2_unet", DISC_AND_CUP},
                 {"mobilenetv2_se_unet", VESSELS_IN_PATCHES},
                 {"mobilenetv2_se_unet_keras", VESSELS_IN_PATCHES},
                 {"resunet", VESSELS_WHOLE},
                 {"unet", VESSELS},
                 {"wnet", VESSELS}};

static const char *standard_of(const char *network) {
    for (size_t i = 0; i < sizeof standards / sizeof *standards; i++)
        if (strcmp(standards[i].network, network) == 0) return standards[i].settings;
    return "";
}

static fv_status override(fv_config *config, const char *key, const char *value) {
    char text[256];
    snprintf(text, sizeof text, "%s=%s", key, value);
    return fv_config_override(config, text);
}

static fv_status apply_words(const import_words *words, fv_config *config) {
    char base[24];
    snprintf(base, sizeof base, "%ld", words->base);
    FV_TRY(override(config, "model.network", words->network));
    FV_TRY(override(config, "model.encoder_weights", "none"));
    if (words->base) FV_TRY(override(config, "model.base", base));
    for (int i = 0; i < words->set.count; i++) FV_TRY(fv_config_override(config, words->set.items[i]));
    return FV_OK;
}

/* What the command line leaves open, and the file decides. */
typedef struct open_choices {
    fv_import_find network;
    bool normalise; /* of a network with an encoder: as its weights are used to */
} open_choices;

static fv_status read_spec(const import_words *words, fv_model_spec *spec, open_choices *open) {
    fv_config *config;
    fv_train_settings settings;
    FV_TRY(fv_config_parse(standard_of(words->network), "fovea import", &config));
    fv_status status = apply_words(words, config);
    open->network.filters = !fv_config_has(config, "model", "base") && !fv_config_has(config, "model", "width");
    open->network.convention = !fv_config_has(config, "model", "convention");
    open->normalise = !fv_config_has(config, "preprocess", "normalise") && fv_network_has_encoder(words->network);
    if (status == FV_OK) status = fv_train_settings_from_config(config, &settings);
    if (status == FV_OK) status = fv_config_finish(config);
    if (status == FV_OK) *spec = settings.model;
    fv_config_free(config);
    return status;
}

/* ---- what was found ---- */

static void print_report(const fv_import_report *r, const char *path, const char *out) {
    printf("read          %s: %s, %d tensors\n", path, fv_foreign_kind_names[r->kind], r->tensors);
    printf("matched       %d layers, %zu values (%s)\n", r->layers, r->values, r->layout);
    if (r->epsilon > 0) printf("batch norm    epsilon %g\n", r->epsilon);
    if (r->changed) printf("batch norm    of %d layers folded, or made up from a bias\n", r->changed);
    if (r->left_over) printf("left          %d layers that the encoder does not have\n", r->left_over);
    printf("written       %s\n", out);
}

static void print_encoder(const fv_import_report *r) {
    printf("encoder       mobilenetv2, width %g, %s convention\n", r->width, fv_convention_names[r->convention]);
    printf("train with    model.encoder_weights = this file, model.width = %g, model.convention = %s\n", r->width,
           fv_convention_names[r->convention]);
}

static void print_model(const fv_model_spec *spec) {
    printf("network       %s, ", spec->network);
    if (spec->base)
        printf("base %d", spec->base);
    else
        printf("width %g, %s convention", spec->width, fv_convention_names[spec->convention]);
    printf(", %s", spec->classes == 1 ? "class" : "classes");
    for (int c = 0; c < spec->classes; c++) printf(" %s (threshold %g)", spec->class_names[c], spec->thresholds[c]);
    printf("\n");
}

/* ---- ONNX: the network comes with its weights ---- */

/* What the file says of its classes and photographs, as --set may change it. The keys are an INI's; a named network
   that halves the sides seldom stands for the file's. */
static fv_status spec_config(const fv_model_spec *spec, fv_config **config) {
    const fv_preprocess *p = &spec->preprocess;
    char text[2048], steps[FV_ENHANCE_TEXT], classes[512] = "";
    fv_enhance_text(&p->enhance, steps);
    for (int c = 0; c < spec->classes; c++) {
        size_t end = strlen(classes);
        snprintf(classes + end, sizeof classes - end, " %s", spec->class_names[c]);
    }
    snprintf(text, sizeof text,
             "[model]\nnetwork = wnet\nclasses =%s\n[preprocess]\nsize = %d\nwork_size = %d\nfit = %s\n"
             "fov_diameter = %d\nfov_degrees = %.17g\nwindows = %s\ntile = %d\nenhance = %s\nclahe_clip = "
             "%.17g\nclahe_tiles = %d\n"
             "unsharp_amount = %.17g\nunsharp_sigma = %.17g\nlocal_sigma = %.17g\nnormalise = %s\n",
             classes, p->size, p->work_size, fv_fit_names[p->fit], p->fov_diameter ? p->fov_diameter : p->size,
             p->fov_degrees, p->windows ? "yes" : "no", p->tile, steps, p->enhance.clahe_clip, p->enhance.clahe_tiles,
             p->enhance.unsharp_amount, p->enhance.unsharp_sigma, p->enhance.local_sigma,
             fv_normalise_names[p->normalise]);
    return fv_config_parse(text, "fovea import", config);
}

static fv_status change_spec(const import_words *words, fv_model_spec *spec) {
    fv_config *config;
    fv_train_settings settings;
    FV_TRY(spec_config(spec, &config));
    fv_status status = FV_OK;
    for (int i = 0; i < words->set.count && status == FV_OK; i++)
        status = fv_config_override(config, words->set.items[i]);
    bool threshold = fv_config_has(config, "model", "threshold");
    if (status == FV_OK) status = fv_train_settings_from_config(config, &settings);
    if (status == FV_OK) status = fv_config_finish(config);
    fv_config_free(config);
    FV_TRY(status);
    if (settings.model.classes != spec->classes)
        return fv_fail(FV_BAD_INPUT, "the network has %d classes, --set names %d", spec->classes,
                       settings.model.classes);
    spec->preprocess = settings.model.preprocess;
    memcpy(spec->class_names, settings.model.class_names, sizeof spec->class_names);
    if (threshold) memcpy(spec->thresholds, settings.model.thresholds, sizeof spec->thresholds);
    return fv_model_spec_check(spec);
}

static fv_status import_onnx(const import_words *words, const char *path) {
    fv_model *model;
    FV_TRY(fv_onnx_read(path, &model));
    fv_status status = words->set.count ? change_spec(words, &model->spec) : FV_OK;
    if (status == FV_OK) status = fv_model_save(model, words->out);
    if (status == FV_OK) {
        printf("read          %s: ONNX, %d steps, %zu values\n", path, model->recipe->step_count,
               fv_params_count_values(&model->params, false));
        printf("written       %s\n", words->out);
    }
    fv_model_free(model);
    return status;
}

/* ---- the command ---- */

static fv_status import_encoder(const char *path, const char *out) {
    fv_import_report report;
    FV_TRY(fv_import_encoder(path, out, &report));
    print_report(&report, path, out);
    print_encoder(&report);
    return FV_OK;
}

static fv_status import_model(const import_words *words, const char *path) {
    fv_import_report report;
    fv_model_spec spec;
    fv_model *model;
    open_choices open;
    FV_TRY(read_spec(words, &spec, &open));
    FV_TRY(fv_import_model(path, &spec, open.network, words->epsilon, &model, &report));
    if (open.normalise && model->spec.convention == FV_CONVENTION_TORCHVISION)
        model->spec.preprocess.normalise = FV_NORMALISE_IMAGENET;
    fv_status status = fv_model_save(model, words->out);
    if (status == FV_OK) {
        print_report(&report, path, words->out);
        print_model(&model->spec);
    }
    fv_model_free(model);
    return status;
}

static fv_status check_words(const import_words *words, const char *path, int word_count) {
    if (word_count != 1) return fv_fail(FV_BAD_INPUT, "give one file of weights; see fovea import --help");
    if (!words->as || !words->out)
        return fv_fail(FV_BAD_INPUT, "give --as encoder or --as model, and --out FILE; see fovea import --help");
    bool model = strcmp(words->as, "model") == 0;
    if (!model && strcmp(words->as, "encoder") != 0)
        return fv_fail(FV_BAD_INPUT, "--as %s: expected encoder or model; see fovea import --help", words->as);
    bool onnx = fv_onnx_is_file(path);
    if (onnx && (!model || words->network || words->base || words->epsilon >= 0))
        return fv_fail(FV_BAD_INPUT,
                       "%s is an ONNX network: import it --as model, without --network, --base, --epsilon", path);
    if (onnx) return FV_OK;
    if (model && !words->network)
        return fv_fail(FV_BAD_INPUT, "--as model needs --network NAME: weights don't tell which network they are of");
    if (!model && (words->network || words->base || words->set.count || words->epsilon >= 0))
        return fv_fail(FV_BAD_INPUT, "--network, --base, --set and --epsilon are for --as model");
    return FV_OK;
}

fv_status command_import(int argc, char **argv) {
    import_words words = {.epsilon = -1};
    char **files;
    int count;
    bool done;
    const option_spec options[] = {
        {"as", OPTION_TEXT, &words.as, "encoder|model", "MobileNetV2 ImageNet weights to train from, or a whole model",
         0, 0},
        {"out", OPTION_TEXT, &words.out, "FILE", "the safetensors file to write", 0, 0},
        {"network", OPTION_TEXT, &words.network, "NAME",
         "mobilenetv2_unet, mobilenetv2_se_unet(_keras), unet, resunet or wnet", 0, 0},
        {"base", OPTION_INTEGER, &words.base, "N", "filters at full size (default: as the file has)", 8, FV_BASE_MAX},
        {"epsilon", OPTION_NUMBER, &words.epsilon, "E", "of the file's batch norms (default: Keras 1e-3, PyTorch 1e-5)",
         0, 1},
        {"set", OPTION_LIST, &words.set, "KEY=VALUE",
         "classes, threshold and preprocessing as in an INI; may be given again", 0, 0},
    };
    const command_line line = {
        "import",
        "WEIGHTS --as encoder|model --out FILE.safetensors [options]",
        "Takes over weights that Keras (.h5) or PyTorch (.pth, .safetensors) has trained, arrays (.npz), or a whole "
        "ONNX "
        "network.\nNo Python is run, and nothing that a file says is executed.",
        "  fovea import mobilenet_v2-b0353104.pth --as encoder --out encoder.safetensors\n"
        "  fovea import mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.5_224_no_top.h5 --as encoder --out "
        "half.safetensors\n"
        "  fovea import best.pth --as model --network resunet --out resunet.safetensors\n"
        "  fovea import od_oc.h5 --as model --network mobilenetv2_unet --set preprocess.normalise=unit --out "
        "od_oc.safetensors\n"
        "  fovea import unet.onnx --as model --set model.classes=vessel --out vessel.safetensors",
        options,
        sizeof options / sizeof *options};
    FV_TRY(options_parse(&line, argc, argv, &files, &count, &done));
    if (done) return FV_OK;
    FV_TRY(check_words(&words, files[0], count));
    if (fv_onnx_is_file(files[0])) return import_onnx(&words, files[0]);
    return strcmp(words.as, "model") == 0 ? import_model(&words, files[0]) : import_encoder(files[0], words.out);
}
