/* Whole files made ours: values and layouts against a model of which they are made, and the sentences about files that
   do not fit. The frameworks' own files and results: tests/peers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "foreign_samples.h"
#include "fovea/exchange/import.h"
#include "temporary.h"

static fv_model_spec spec_of(const char *network, double width, int base) {
    fv_model_spec spec = {.width = width, .base = base, .classes = 1, .class_names = {"vessel"}, .thresholds = {0.5}};
    snprintf(spec.network, sizeof spec.network, "%s", network);
    spec.preprocess = (fv_preprocess){.size = 64, .work_size = 64, .enhance = fv_enhance_standard()};
    return spec;
}

/* Random weights, and batch norms that differ from channel to channel. */
static fv_model *random_model(const fv_model_spec *spec) {
    fv_model *model;
    assert_int_equal(fv_model_make(spec, 3, &model), FV_OK);
    for (int i = 0; i < model->params.count; i++) {
        const fv_param *p = &model->params.list[i];
        if (strstr(p->name, ".weight")) continue;
        for (size_t k = 0; k < p->count; k++)
            model->params.values[p->offset + k] = 0.5f + (float)((k * 37 + (size_t)i) % 64) / 64;
    }
    return model;
}

static void expect_same_values(const fv_model *a, const fv_model *b) {
    assert_int_equal(a->params.count, b->params.count);
    for (int i = 0; i < a->params.count; i++) {
        const fv_param *p = &a->params.list[i];
        if (memcmp(a->params.values + p->offset, b->params.values + p->offset, p->count * sizeof(float)) != 0)
            fail_msg("%s differs", p->name);
    }
}

/* ---- files made of a model ---- */

/* PyTorch's name of a parameter of ours: of a layer with a norm "<layer>.conv.weight", "<layer>.norm.running_mean". */
static void torch_name(const fv_params *params, const char *name, char out[FV_NAME_MAX + 16]) {
    static const char *const words[][2] = {
        {"gamma", "weight"}, {"beta", "bias"}, {"mean", "running_mean"}, {"var", "running_var"}};
    const char *word = strrchr(name, '.') + 1, *theirs = word;
    char layer[FV_NAME_MAX], both[FV_NAME_MAX + 8];
    snprintf(layer, sizeof layer, "%.*s", (int)(word - name - 1), name);
    for (int i = 0; i < 4; i++)
        if (strcmp(word, words[i][0]) == 0) theirs = words[i][1];
    snprintf(both, sizeof both, "%s.%s", layer, theirs == word ? "gamma" : "weight");
    bool shared = fv_params_find(params, both) >= 0;
    snprintf(out, FV_NAME_MAX + 16, "%s%s.%s", layer, !shared ? "" : theirs == word ? ".conv" : ".norm", theirs);
}

/* {kh, kw, in, out} -> {out, in, kh, kw}; of a transposed convolution {in, out, kh, kw}. */
static float *torch_kernel(const fv_param *p, const float *values, int transposed, int64_t shape[4]) {
    fv_shape s = p->shape;
    float *kernel = malloc(p->count * sizeof *kernel);
    size_t taps = (size_t)s.n * (size_t)s.h, in = (size_t)s.w, out = (size_t)s.c;
    const int64_t plain[4] = {s.c, s.w, s.n, s.h}, turned[4] = {s.w, s.c, s.n, s.h};
    memcpy(shape, transposed ? turned : plain, sizeof plain);
    for (size_t tap = 0; tap < taps; tap++)
        for (size_t c = 0; c < in; c++)
            for (size_t f = 0; f < out; f++)
                kernel[(transposed ? c * out + f : f * in + c) * taps + tap] = values[(tap * in + c) * out + f];
    return kernel;
}

/* Changes of the file that is written. */
typedef struct changes {
    const char *without, *misshapen; /* names of parameters of ours */
    const char *extra;               /* a tensor of shape (3, 5) with this name */
    int without_affine;              /* batch norms have no factor and shift: affine=False in PyTorch */
} changes;

static const changes none;

/* safetensors with PyTorch's layouts, prefix "module." and float32. */
static void write_torch(const fv_model *model, const char *file, changes change) {
    fv_safetensors_writer *writer;
    float *kernels[1024];
    static const float extra[15];
    assert_int_equal(fv_safetensors_writer_make(&writer), FV_OK);
    for (int i = 0; i < model->params.count; i++) {
        const fv_param *p = &model->params.list[i];
        char name[FV_NAME_MAX + 16], full[FV_NAME_MAX + 32];
        int64_t shape[4] = {p->shape.c};
        int kernel = strstr(p->name, ".weight") != NULL;
        const float *values = model->params.values + p->offset;
        kernels[i] = kernel ? torch_kernel(p, values, strstr(p->name, ".up.") != NULL, shape) : NULL;
        torch_name(&model->params, p->name, name);
        snprintf(full, sizeof full, "module.%s", name);
        if (change.misshapen && strcmp(change.misshapen, p->name) == 0) shape[0] /= 2;
        int left = (change.without && strcmp(change.without, p->name) == 0) ||
                   (change.without_affine && (strstr(p->name, ".gamma") || strstr(p->name, ".beta")));
        if (!left)
            assert_int_equal(
                fv_safetensors_add(writer, full, "F32", kernel ? 4 : 1, shape, kernel ? kernels[i] : values), FV_OK);
    }
    if (change.extra)
        assert_int_equal(fv_safetensors_add(writer, change.extra, "F32", 2, (int64_t[]){3, 5}, extra), FV_OK);
    assert_int_equal(fv_safetensors_write(writer, temporary_path(file)), FV_OK);
    for (int i = 0; i < model->params.count; i++) free(kernels[i]);
}

static sample_bytes npy_of(int dims, const int64_t *shape, const float *values) {
    char header[160];
    size_t count = 1,
           at = (size_t)snprintf(header, sizeof header, "{'descr': '<f4', 'fortran_order': False, 'shape': (");
    for (int i = 0; i < dims; i++) {
        at += (size_t)snprintf(header + at, sizeof header - at, "%lld, ", (long long)shape[i]);
        count *= (size_t)shape[i];
    }
    snprintf(header + at, sizeof header - at, ")}\n");
    sample_bytes file = {0};
    uint16_t length = (uint16_t)strlen(header);
    sample_append(&file, "\x93NUMPY\x01\x00", 8);
    sample_append(&file, &length, 2);
    sample_append_text(&file, header);
    sample_append(&file, values, count * sizeof *values);
    return file;
}

/* Keras's order and layouts without names, as numpy.savez(path, *model.get_weights()) writes: the encoder, or all. */
static void write_arrays(const fv_model *model, const char *file, int encoder_only) {
    sample_bytes files[1024];
    sample_entry entries[1024] = {{0}};
    char names[1024][24];
    int count = 0;
    for (int i = 0; i < model->params.count; i++) {
        const fv_param *p = &model->params.list[i];
        fv_shape s = p->shape;
        int kernel = strstr(p->name, ".weight") != NULL, depthwise = kernel && s.w == 1 && s.n == 3;
        const int64_t shape[4] = {s.n, s.h, depthwise ? s.c : s.w, depthwise ? 1 : s.c}, vector[1] = {s.c};
        if (encoder_only && !fv_param_is_encoder(p)) continue;
        files[count] = npy_of(kernel ? 4 : 1, kernel ? shape : vector, model->params.values + p->offset);
        snprintf(names[count], sizeof names[count], "arr_%d.npy", count);
        entries[count] = (sample_entry){names[count], files[count].data, files[count].count};
        count++;
    }
    sample_bytes zip = sample_zip(entries, count, 0);
    command_write(file, zip.data, zip.count);
    free(zip.data);
    for (int i = 0; i < count; i++) free(files[i].data);
}

/* ---- models ---- */

static const fv_import_find find_all = {.filters = true, .convention = true}, find_convention = {.convention = true};

static void expect_round_trip(const char *network, double width, int base) {
    fv_model_spec spec = spec_of(network, width, base), asked = spec_of(network, 1, 0);
    fv_model *model = random_model(&spec), *read;
    fv_import_report report;
    write_torch(model, "net.safetensors", none);
    if (fv_import_model(temporary_path("net.safetensors"), &asked, find_all, -1, &read, &report) != FV_OK)
        fail_msg("%s: %s", network, fv_error());
    expect_same_values(model, read);
    assert_true(read->spec.width == width);
    if (base) assert_int_equal(read->spec.base, base);
    assert_int_equal(report.values, fv_params_count_values(&model->params, false));
    assert_int_equal(report.tensors, model->params.count);
    assert_int_equal(report.changed, 0);
    fv_model_free(model);
    fv_model_free(read);
}

static void models_keep_every_value(void **state) {
    (void)state;
    expect_round_trip("wnet", 1, 16);
    expect_round_trip("unet", 1, 8);
    expect_round_trip("resunet", 1, 8);
    expect_round_trip("mobilenetv2_unet", 0.35, 0);
    expect_round_trip("mobilenetv2_se_unet", 0.1, 0);
}

/* gamma / sqrt(var + epsilon) stays, whatever epsilon the file's batch norms had. */
static void other_epsilon_same_function(void **state) {
    (void)state;
    fv_model_spec spec = spec_of("wnet", 1, 8);
    fv_model *model = random_model(&spec), *read;
    fv_import_report report;
    write_torch(model, "net.safetensors", none);
    assert_int_equal(fv_import_model(temporary_path("net.safetensors"), &spec, find_all, 0.25, &read, &report), FV_OK);
    assert_true(report.epsilon == 0.25);
    int gamma = fv_params_find(&model->params, "first.down0.a.a_bn.gamma");
    int var = fv_params_find(&model->params, "first.down0.a.a_bn.var");
    assert_true(gamma >= 0 && var >= 0);
    for (size_t c = 0; c < 8; c++) {
        double was = model->params.values[model->params.list[gamma].offset + c];
        double is = read->params.values[read->params.list[gamma].offset + c];
        double v = model->params.values[model->params.list[var].offset + c];
        assert_true(fabs(was / sqrt(v + 0.25) - is / sqrt(v + 1e-3)) < 1e-6);
    }
    fv_model_free(model);
    fv_model_free(read);
}

/* A batch norm without factor and shift is one all the same. */
static void norms_without_gamma(void **state) {
    (void)state;
    fv_model_spec spec = spec_of("wnet", 1, 8);
    fv_model *model = random_model(&spec), *read;
    fv_import_report report;
    for (int i = 0; i < model->params.count; i++) {
        const fv_param *p = &model->params.list[i];
        const char *gamma = strstr(p->name, ".gamma"), *beta = strstr(p->name, ".beta");
        for (size_t k = 0; k < p->count && (gamma || beta); k++) model->params.values[p->offset + k] = gamma ? 1 : 0;
    }
    write_torch(model, "plain_norms.safetensors", (changes){.without_affine = 1});
    if (fv_import_model(temporary_path("plain_norms.safetensors"), &spec, find_all, -1, &read, &report) != FV_OK)
        fail_msg("%s", fv_error());
    expect_same_values(model, read);
    assert_int_equal(report.changed, 0);
    fv_model_free(model);
    fv_model_free(read);
}

static void convention_is_found_or_asked_for(void **state) {
    (void)state;
    fv_model_spec spec = spec_of("mobilenetv2_unet", 0.1, 0);
    fv_model *model = random_model(&spec), *read;
    fv_import_report report;
    write_torch(model, "wide.safetensors", none); /* with fovea's names, which mean Keras's padding */
    spec.convention = FV_CONVENTION_TORCHVISION;
    for (int asked = 0; asked < 2; asked++) {
        fv_import_find find = {.convention = !asked};
        assert_int_equal(fv_import_model(temporary_path("wide.safetensors"), &spec, find, -1, &read, &report), FV_OK);
        assert_int_equal(read->spec.convention, asked ? FV_CONVENTION_TORCHVISION : FV_CONVENTION_KERAS);
        fv_model_free(read);
    }
    fv_model_free(model);
}

static void expect_refused(const fv_model *model, changes change, const char *text, const char *more) {
    fv_model *read;
    fv_import_report report;
    fv_model_spec spec = model->spec;
    write_torch(model, "net.safetensors", change);
    assert_int_equal(fv_import_model(temporary_path("net.safetensors"), &spec, find_convention, -1, &read, &report),
                     FV_BAD_INPUT);
    assert_null(read);
    if (!strstr(fv_error(), text)) fail_msg("\"%s\" is missing in: %s", text, fv_error());
    if (!strstr(fv_error(), more)) fail_msg("\"%s\" is missing in: %s", more, fv_error());
}

static void what_does_not_fit_is_named(void **state) {
    (void)state;
    fv_model_spec spec = spec_of("unet", 1, 8);
    fv_model *model = random_model(&spec);
    expect_refused(model, (changes){.without = "down1.b.weight"},
                   "down1.b, whose kernel has the shape (16, 16, 3, 3), is missing", "fovea's names");
    expect_refused(
        model, (changes){.misshapen = "up2.a.weight"},
        "up2.a needs a kernel of shape (16, 32, 3, 3), found module.up2.a.conv.weight of shape (8, 32, 3, 3)",
        "does not fit the network");
    expect_refused(model, (changes){.misshapen = "bridge.a.gamma"},
                   "module.bridge.a.norm.weight has the shape (64,), but layer bridge.a needs (128,)",
                   "net.safetensors");
    expect_refused(model, (changes){.extra = "module.head.weight"}, "module.head.weight of shape (3, 5) is left over",
                   "net.safetensors");
    expect_refused(model, (changes){.without = "bridge.b.var"}, "only one of mean and variance", "bridge.b");
    expect_refused(model, (changes){.extra = "module.lone.running_var"}, "module.lone.running_var of shape (3, 5)",
                   "is left over");
    expect_refused(model, (changes){.extra = "module.out.kernel"}, "can't both belong to one layer",
                   "module.out.kernel");
    fv_model_free(model);
}

/* Each of which would look for its layer among all others. */
static void thousands_of_lone_norms(void **state) {
    (void)state;
    fv_safetensors_writer *writer;
    fv_import_report report;
    const float one = 1;
    assert_int_equal(fv_safetensors_writer_make(&writer), FV_OK);
    for (int i = 0; i < 5000; i++) {
        char name[32];
        snprintf(name, sizeof name, "bn%d.weight", i);
        assert_int_equal(fv_safetensors_add(writer, name, "F32", 1, (int64_t[]){1}, &one), FV_OK);
    }
    assert_int_equal(fv_safetensors_write(writer, temporary_path("norms.safetensors")), FV_OK);
    assert_int_equal(fv_import_encoder(temporary_path("norms.safetensors"), temporary_path("no"), &report),
                     FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "has more than 4096 layers"));
}

static void spoilt_weights(void **state) {
    (void)state;
    fv_model_spec spec = spec_of("unet", 1, 8);
    fv_model *model = random_model(&spec);
    float *var = model->params.values + model->params.list[fv_params_find(&model->params, "bridge.a.var")].offset;
    float *weight = model->params.values + model->params.list[fv_params_find(&model->params, "up1.b.weight")].offset;
    var[3] = -0.5f;
    expect_refused(model, none, "module.bridge.a.norm.running_var has the value -0.5 at place 3", "spoilt");
    var[3] = 0;
    weight[0] = NAN;
    expect_refused(model, none, "module.up1.b.conv.weight has the value nan at place 0", "spoilt");
    fv_model_free(model);
}

static void group_norm_is_not_batch_norm(void **state) {
    (void)state;
    fv_model_spec spec = spec_of("unet", 1, 8);
    fv_model *model = random_model(&spec), *read;
    fv_import_report report;
    write_torch(model, "net.safetensors", none);
    spec.norm = FV_NORM_GROUP;
    assert_int_equal(fv_import_model(temporary_path("net.safetensors"), &spec, find_convention, -1, &read, &report),
                     FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "has no group norm"));
    fv_model *grouped = random_model(&spec);
    write_torch(grouped, "net.safetensors", none);
    assert_int_equal(fv_import_model(temporary_path("net.safetensors"), &spec, find_convention, -1, &read, &report),
                     FV_OK);
    expect_same_values(grouped, read);
    fv_model_free(read);
    spec.norm = FV_NORM_BATCH;
    assert_int_equal(fv_import_model(temporary_path("net.safetensors"), &spec, find_convention, -1, &read, &report),
                     FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "--set model.norm=group"));
    fv_model_free(grouped);
    fv_model_free(model);
}

/* ---- encoders ---- */

static void encoder_of_arrays_without_names(void **state) {
    (void)state;
    fv_model_spec spec = spec_of("mobilenetv2_unet", 0.35, 0);
    fv_model *model = random_model(&spec), *direct, *twice;
    fv_import_report report;
    write_arrays(model, "weights.npz", 1);
    assert_int_equal(fv_model_make(&spec, 9, &direct), FV_OK);
    assert_int_equal(fv_model_make(&spec, 9, &twice), FV_OK);
    assert_int_equal(fv_model_load_encoder(direct, temporary_path("weights.npz")), FV_OK);
    assert_int_equal(fv_import_encoder(temporary_path("weights.npz"), temporary_path("encoder.safetensors"), &report),
                     FV_OK);
    assert_true(report.width == 0.35 && report.convention == FV_CONVENTION_KERAS && report.layers == 52);
    assert_int_equal(fv_model_load_encoder(twice, temporary_path("encoder.safetensors")), FV_OK);
    expect_same_values(direct, twice);
    for (int i = 0; i < model->params.count; i++) {
        const fv_param *p = &model->params.list[i];
        if (fv_param_is_encoder(p))
            assert_memory_equal(model->params.values + p->offset, direct->params.values + p->offset,
                                p->count * sizeof(float));
    }
    fv_model_free(model);
    fv_model_free(direct);
    fv_model_free(twice);
}

static void encoder_of_another_width(void **state) {
    (void)state;
    fv_model_spec spec = spec_of("mobilenetv2_unet", 0.35, 0), other = spec_of("mobilenetv2_unet", 0.5, 0);
    fv_model *model = random_model(&spec), *wider;
    write_arrays(model, "weights.npz", 1);
    assert_int_equal(fv_model_make(&other, 9, &wider), FV_OK);
    float before = wider->params.values[0];
    assert_int_equal(fv_model_load_encoder(wider, temporary_path("weights.npz")), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "holds an encoder of width 0.35, but the model's is 0.5 wide"));
    assert_non_null(strstr(fv_error(), "set model.width = 0.35"));
    assert_true(wider->params.values[0] == before);
    fv_model_free(model);
    fv_model_free(wider);
}

/* ---- the command ---- */

static void command_imports_and_inspect_reads(void **state) {
    (void)state;
    fv_model_spec spec = spec_of("wnet", 1, 8), encoder = spec_of("mobilenetv2_unet", 0.1, 0);
    fv_model *model = random_model(&spec), *wide = random_model(&encoder);
    write_torch(model, "net.safetensors", none);
    write_arrays(wide, "weights.npz", 1);
    const command_result *r = FOVEA("import", "net.safetensors", "--as", "model", "--network", "wnet", "--set",
                                    "model.threshold=0.3", "--out", "model.safetensors");
    command_expect_good(r);
    assert_non_null(strstr(r->out, "network       wnet, base 8, class vessel (threshold 0.3)"));
    assert_non_null(strstr(r->out, " values (fovea's names)"));
    r = FOVEA("inspect", "model.safetensors");
    command_expect_good(r);
    assert_non_null(strstr(r->out, "network       wnet, base 8"));
    r = FOVEA("import", "weights.npz", "--as", "encoder", "--out", "encoder.safetensors");
    command_expect_good(r);
    assert_non_null(strstr(r->out, "encoder       mobilenetv2, width 0.1, keras convention"));
    r = FOVEA("inspect", "encoder.safetensors");
    command_expect_good(r);
    assert_non_null(strstr(r->out, "width         0.1"));
    fv_model_free(model);
    fv_model_free(wide);
}

static void training_takes_any_such_file(void **state) {
    (void)state;
    command_write_tiny_ini(); /* width 0.1 */
    command_expect_good(FOVEA("train", "tiny.ini", "model.encoder_weights=weights.npz", "train.epochs=1", "--quiet"));
    EXPECT_COMPLAINT(FOVEA("train", "tiny.ini", "run.dir=never", "model.encoder_weights=encoder.safetensors",
                           "model.width=0.2", "--quiet"),
                     2, "encoder.safetensors holds an encoder of width 0.1, but the model's is 0.2 wide");
}

/* Weights in place of a model: what to do stands in the complaint. */
static void weights_are_no_model(void **state) {
    (void)state;
    static const char *const heads[][2] = {
        {"best.pth", "PK\003\004...."}, {"best.h5", "\211HDF\r\n\032\n"}, {"old.pth", "\200\002}q"}};
    for (int i = 0; i < 3; i++) {
        command_write(heads[i][0], heads[i][1], strlen(heads[i][1]));
        char command[64];
        snprintf(command, sizeof command, "fovea import %s", heads[i][0]);
        EXPECT_COMPLAINT(FOVEA("inspect", heads[i][0]), 2, "weights of another framework", command);
        EXPECT_COMPLAINT(FOVEA("export", heads[i][0], "--onnx", "--out", "none.onnx"), 2, command);
    }
    EXPECT_COMPLAINT(FOVEA("export", "net.safetensors", "--onnx", "--out", "none.onnx"), 2, "by fovea import");
}

static void command_complaints(void **state) {
    (void)state;
    EXPECT_COMPLAINT(FOVEA("import"), 2, "give one file of weights", "fovea import --help");
    EXPECT_COMPLAINT(FOVEA("import", "weights.npz"), 2, "--as encoder or --as model");
    EXPECT_COMPLAINT(FOVEA("import", "weights.npz", "--as", "decoder", "--out", "x"), 2, "--as decoder");
    EXPECT_COMPLAINT(FOVEA("import", "weights.npz", "--as", "model", "--out", "x"), 2, "needs --network NAME");
    EXPECT_COMPLAINT(FOVEA("import", "weights.npz", "--as", "encoder", "--base", "8", "--out", "x"), 2,
                     "are for --as model");
    EXPECT_COMPLAINT(FOVEA("import", "no.pth", "--as", "encoder", "--out", "x"), 2, "no.pth", "no such file");
    EXPECT_COMPLAINT(FOVEA("import", "weights.npz", "--as", "model", "--network", "vgg", "--out", "x"), 2,
                     "[model] network = vgg");
    EXPECT_COMPLAINT(FOVEA("import", "net.safetensors", "--as", "model", "--network", "wnet", "--set",
                           "preprocess.sise=3", "--out", "x"),
                     2, "sise is not a key", "size");
    EXPECT_COMPLAINT(FOVEA("import", "net.safetensors", "--as", "model", "--network", "wnet", "--set",
                           "model.classes=disc cup", "--out", "x"),
                     2, "first.out needs a kernel of shape (2, 8, 1, 1)");
    EXPECT_COMPLAINT(FOVEA("import", "model.safetensors", "--as", "encoder", "--out", "x"), 2,
                     "is a model of fovea's own");
    EXPECT_COMPLAINT(FOVEA("import", "net.safetensors", "--as", "encoder", "--out", "x"), 2,
                     "does not fit the network");
    EXPECT_COMPLAINT(FOVEA("import", "weights.npz", "--as", "encoder", "--out", "no/such/x"), 2, "no/such");
    assert_false(command_exists("x"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(models_keep_every_value),
        cmocka_unit_test(other_epsilon_same_function),
        cmocka_unit_test(what_does_not_fit_is_named),
        cmocka_unit_test(spoilt_weights),
        cmocka_unit_test(group_norm_is_not_batch_norm),
        cmocka_unit_test(encoder_of_arrays_without_names),
        cmocka_unit_test(encoder_of_another_width),
        cmocka_unit_test(command_imports_and_inspect_reads),
        cmocka_unit_test(training_takes_any_such_file),
        cmocka_unit_test(norms_without_gamma),
        cmocka_unit_test(convention_is_found_or_asked_for),
        cmocka_unit_test(thousands_of_lone_norms),
        cmocka_unit_test(weights_are_no_model),
        cmocka_unit_test(command_complaints),
    };
    return cmocka_run_group_tests(tests, command_setup, command_teardown);
}
