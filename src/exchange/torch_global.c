/* The Python objects that torch.save's pickle of a state_dict names, and what stands for them here. */
#include <string.h>

#include "torch_pickle.h"

typedef struct known_global {
    const char *module, *name;
    fv_torch_global global;
    fv_foreign_type type;
} known_global;

static const known_global known[] = {
    {"collections", "OrderedDict", FV_GLOBAL_ORDERED_DICT, FV_FOREIGN_WHOLE},
    {"torch._utils", "_rebuild_tensor_v2", FV_GLOBAL_REBUILD_TENSOR, FV_FOREIGN_WHOLE},
    {"torch._utils", "_rebuild_parameter", FV_GLOBAL_REBUILD_PARAMETER, FV_FOREIGN_WHOLE},
    {"torch", "FloatStorage", FV_GLOBAL_STORAGE, FV_FOREIGN_F32},
    {"torch", "DoubleStorage", FV_GLOBAL_STORAGE, FV_FOREIGN_F64},
    {"torch", "HalfStorage", FV_GLOBAL_STORAGE, FV_FOREIGN_F16},
    {"torch", "BFloat16Storage", FV_GLOBAL_STORAGE, FV_FOREIGN_BF16},
    {"torch", "LongStorage", FV_GLOBAL_STORAGE, FV_FOREIGN_WHOLE},
    {"torch", "IntStorage", FV_GLOBAL_STORAGE, FV_FOREIGN_WHOLE},
    {"torch", "ShortStorage", FV_GLOBAL_STORAGE, FV_FOREIGN_WHOLE},
    {"torch", "CharStorage", FV_GLOBAL_STORAGE, FV_FOREIGN_WHOLE},
    {"torch", "ByteStorage", FV_GLOBAL_STORAGE, FV_FOREIGN_WHOLE},
    {"torch", "BoolStorage", FV_GLOBAL_STORAGE, FV_FOREIGN_WHOLE},
};

static bool same(const char *text, size_t length, const char *word) {
    return length == strlen(word) && memcmp(text, word, length) == 0;
}

static int shown(size_t length) {
    return length < 60 ? (int)length : 60;
}

fv_status fv_torch_global_find(const fv_pickle *p, const char *module, size_t module_length, const char *name,
                               size_t name_length, fv_pickle_node *node) {
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (same(module, module_length, known[i].module) && same(name, name_length, known[i].name)) {
            node->global = known[i].global;
            node->type = known[i].type;
            return FV_OK;
        }
    return fv_fail(FV_BAD_INPUT,
                   "torch file %s asks for %.*s.%.*s: a state_dict of tensors has no such thing; save with "
                   "torch.save(model.state_dict(), ...)",
                   p->path, shown(module_length), module, shown(name_length), name);
}

static fv_status wrong_arguments(const fv_pickle *p, const char *what) {
    return fv_fail(FV_BAD_INPUT, "torch file %s: its pickle has %s with arguments that PyTorch does not write", p->path,
                   what);
}

static const fv_pickle_node *argument(const fv_pickle *p, fv_node tuple, int i, fv_node_kind kind) {
    const fv_pickle_node *t = &p->nodes[tuple];
    if (i >= t->count) return NULL;
    const fv_pickle_node *node = &p->nodes[t->items[i]];
    return node->kind == kind ? node : NULL;
}

/* _rebuild_tensor_v2(storage, offset, sizes, strides, requires_grad, hooks [, metadata]) */
static fv_status rebuild_tensor(const fv_pickle *p, fv_node arguments, fv_pickle_node *result) {
    const fv_pickle_node *storage = argument(p, arguments, 0, FV_NODE_STORAGE),
                         *offset = argument(p, arguments, 1, FV_NODE_NUMBER);
    if (!storage || !offset || !argument(p, arguments, 2, FV_NODE_TUPLE) || !argument(p, arguments, 3, FV_NODE_TUPLE))
        return wrong_arguments(p, "a tensor");
    const fv_node *items = p->nodes[arguments].items;
    *result = (fv_pickle_node){.kind = FV_NODE_TENSOR,
                               .type = storage->type,
                               .whole = offset->whole,
                               .storage = items[0],
                               .sizes = items[2],
                               .strides = items[3]};
    return FV_OK;
}

fv_status fv_torch_global_call(const fv_pickle *p, fv_node callee, fv_node arguments, fv_pickle_node *result) {
    const fv_pickle_node *tensor;
    switch (p->nodes[callee].global) {
    case FV_GLOBAL_ORDERED_DICT: /* its items follow one by one */
        if (p->nodes[arguments].count) return wrong_arguments(p, "an OrderedDict");
        *result = (fv_pickle_node){.kind = FV_NODE_DICT};
        return FV_OK;
    case FV_GLOBAL_REBUILD_TENSOR:
        return rebuild_tensor(p, arguments, result);
    case FV_GLOBAL_REBUILD_PARAMETER: /* (tensor, requires_grad, hooks) */
        tensor = argument(p, arguments, 0, FV_NODE_TENSOR);
        if (!tensor) return wrong_arguments(p, "a parameter");
        *result = *tensor;
        return FV_OK;
    case FV_GLOBAL_STORAGE:
        break;
    }
    return wrong_arguments(p, "a storage");
}

fv_status fv_torch_global_storage(const fv_pickle *p, fv_node id, fv_pickle_node *result) {
    if (p->nodes[id].kind != FV_NODE_TUPLE) return wrong_arguments(p, "a persistent id");
    const fv_pickle_node *word = argument(p, id, 0, FV_NODE_TEXT), *type = argument(p, id, 1, FV_NODE_GLOBAL),
                         *key = argument(p, id, 2, FV_NODE_TEXT), *count = argument(p, id, 4, FV_NODE_NUMBER);
    bool good = word && same(word->text, word->length, "storage") && type && type->global == FV_GLOBAL_STORAGE && key &&
                count && count->whole >= 0;
    if (!good) return wrong_arguments(p, "a persistent id");
    *result = (fv_pickle_node){
        .kind = FV_NODE_STORAGE, .type = type->type, .whole = count->whole, .text = key->text, .length = key->length};
    return FV_OK;
}
