/* libFuzzer: no list of tensors may break what makes weights ours. The tensors are those of a small network with
   PyTorch's names and layouts, with changes, eight bytes each: which tensor, what is changed, and how.

   Readers bring damaged files to their end; here the damage is in what a whole file says. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/exchange/convert.h"
#include "fovea/exchange/foreign.h"

#define MOST_CHANGES 16

static const fv_model_spec spec = {.network = "unet", .base = 8, .depth = 2, .width = 1, .classes = 1};
static fv_own_layers own;
static fv_real *values;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    if (fv_own_layers_of_spec(&spec, false, &own) != FV_OK) abort();
    values = malloc(own.params->total * sizeof *values);
    return 0;
}

/* One change; what it needs of the eight bytes differs. */
static void change(const uint8_t *c, char *name, size_t name_size, int *dims, int64_t *shape, float *value) {
    static const char *const words[] = {"weight", "bias", "running_mean", "running_var", "kernel", "other"};
    char *word = strrchr(name, '.') + 1;
    size_t room = name_size - (size_t)(word - name);
    switch (c[1] % 5) {
    case 0:
        snprintf(word, room, "%s", words[c[2] % 6]);
        break;
    case 1:
        snprintf(word, room, "conv%d.%s", c[3] % 4, words[c[2] % 6]);
        break;
    case 2:
        shape[c[2] % 4] = c[3] % 40;
        break;
    case 3:
        *dims = c[2] % (FV_FOREIGN_MAX_DIMS + 1);
        break;
    default:
        *value = (const float[]){NAN, -1, 0, INFINITY, 1e30f}[c[2] % 5];
    }
}

/* Parameter i of our network as a file may have it; nothing where a change leaves it out. */
static fv_status add(int i, const uint8_t *data, size_t changes, fv_foreign *file) {
    const fv_param *param = &own.params->list[i];
    fv_shape s = param->shape;
    bool kernel = strstr(param->name, ".weight") != NULL, turned = strstr(param->name, ".up.") != NULL;
    int64_t shape[FV_FOREIGN_MAX_DIMS] = {turned ? s.w : s.c, turned ? s.c : s.w, s.n, s.h, 1, 1, 1, 1};
    int dims = kernel ? 4 : 1;
    char name[FV_NAME_MAX + 32];
    float value = 0.5f;
    fv_foreign_tensor *tensor;
    snprintf(name, sizeof name, "%s", param->name);
    for (size_t k = 0; k < changes; k++) {
        const uint8_t *c = data + 8 * k;
        if (c[0] % own.params->count != i) continue;
        if (c[4] % 8 == 7) return FV_OK;
        change(c, name, sizeof name, &dims, shape, &value);
    }
    FV_TRY(fv_foreign_add(file, name, dims, shape, &tensor));
    for (size_t k = 0; k < tensor->count; k++) tensor->values[k] = value;
    return FV_OK;
}

static void import(fv_foreign *file, bool whole, double epsilon) {
    fv_foreign_layers layers;
    fv_file_layout layout;
    fv_match match;
    if (fv_foreign_layers_make(file, &layers) != FV_OK) return;
    fv_layout_find(&layers, spec.network, "", &layout);
    if (fv_match_make(&own, &layers, &layout, whole, "fuzz", &match) == FV_OK) {
        if (fv_convert_check(&own, &match, "fuzz") == FV_OK)
            fv_convert_values(&own, &match, layers.hwio, epsilon, values);
        fv_match_free(&match);
    }
    fv_foreign_layers_free(&layers);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fv_foreign file = {.path = "fuzz"};
    size_t changes = size / 8 < MOST_CHANGES ? size / 8 : MOST_CHANGES;
    fv_status status = FV_OK;
    for (int i = 0; i < own.params->count && status == FV_OK; i++) status = add(i, data, changes, &file);
    if (status == FV_OK) import(&file, size % 2 == 0, size % 3 ? 1e-5 : 0);
    fv_foreign_free(&file);
    return 0;
}
