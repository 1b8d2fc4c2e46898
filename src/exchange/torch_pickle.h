/* Python's pickle format, as far as torch.save uses it for a state_dict: data are built, nothing is executed. The
   opcodes are those of Python's pickletools (protocols 2 to 4); of Python objects it knows OrderedDict, tensors,
   parameters and storages, and refuses any other by name. */
#ifndef SRC_EXCHANGE_TORCH_PICKLE_H
#define SRC_EXCHANGE_TORCH_PICKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fovea/base/status.h"
#include "fovea/exchange/foreign.h"

typedef int fv_node; /* index in fv_pickle.nodes */
#define FV_NO_NODE (-1)

typedef enum fv_node_kind {
    FV_NODE_NONE,
    FV_NODE_NUMBER, /* int, float or bool */
    FV_NODE_TEXT,
    FV_NODE_TUPLE,
    FV_NODE_LIST,
    FV_NODE_DICT, /* items: key, value, key, value ... */
    FV_NODE_GLOBAL,
    FV_NODE_STORAGE,
    FV_NODE_TENSOR,
} fv_node_kind;

/* The Python objects that a state_dict is made of. */
typedef enum fv_torch_global {
    FV_GLOBAL_ORDERED_DICT,
    FV_GLOBAL_REBUILD_TENSOR,
    FV_GLOBAL_REBUILD_PARAMETER,
    FV_GLOBAL_STORAGE
} fv_torch_global;

typedef struct fv_pickle_node {
    fv_node_kind kind;
    fv_torch_global global;
    fv_foreign_type type; /* of a storage (also of the global that names it): what its numbers are */
    int64_t whole;        /* a number; how many numbers a storage has; a tensor's offset in its storage */
    const char *text;     /* text: in the pickle, not ended by 0; a storage's key likewise */
    size_t length;        /* of text */
    fv_node *items;       /* tuple, list, dict; owned */
    int count, capacity;
    fv_node storage, sizes, strides; /* of a tensor */
} fv_pickle_node;

typedef struct fv_pickle {
    fv_pickle_node *nodes;
    int node_count, node_capacity;
    fv_node *stack, *memo;
    int stack_count, stack_capacity, memo_count, memo_capacity;
    const unsigned char *at, *end, *begin;
    const char *path; /* for messages */
    fv_node root;
} fv_pickle;

/* `data` must outlive the pickle: texts point into it. On failure nothing stays allocated. */
fv_status fv_pickle_parse(const void *data, size_t bytes, const char *path, fv_pickle *pickle);
void fv_pickle_free(fv_pickle *pickle);
/* Value of the dict's key, FV_NO_NODE when there is none. */
fv_node fv_pickle_get(const fv_pickle *pickle, fv_node dict, const char *key);

/* ---- for torch_global.c ---- */

/* The object "module.name"; FV_BAD_INPUT for one that a state_dict has no use for. */
fv_status fv_torch_global_find(const fv_pickle *pickle, const char *module, size_t module_length, const char *name,
                               size_t name_length, fv_pickle_node *node);
/* What calling `callee` with the tuple `arguments` makes, without calling anything. */
fv_status fv_torch_global_call(const fv_pickle *pickle, fv_node callee, fv_node arguments, fv_pickle_node *result);
/* What a persistent id, ("storage", type, key, place, count), stands for. */
fv_status fv_torch_global_storage(const fv_pickle *pickle, fv_node id, fv_pickle_node *result);

#endif
