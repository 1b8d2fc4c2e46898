/* torch.save's zip file: <name>/data.pkl, whose tensors are views of <name>/data/<key>. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"
#include "readers.h"
#include "torch_pickle.h"

#define PICKLE_LIMIT ((size_t)64 << 20)
/* Numbers of all storages, in bytes: torch.save packs nothing, and what others have packed does not shrink to an
 * eighth.
 */
#define STORAGE_PER_BYTE 8
#define STORAGE_AT_LEAST ((size_t)64 << 20)

/* Storages are read once: several tensors may be views of one. */
typedef struct storage {
    void *data;
    size_t bytes;
    fv_node node; /* the first that named it */
} storage;

typedef struct reader {
    const fv_zip *zip;
    fv_pickle pickle;
    char prefix[FV_FOREIGN_NAME_MAX]; /* "archive/" */
    storage *storages;
    int count, capacity;
    size_t room; /* bytes that further storages may have */
    fv_foreign *file;
} reader;

/* ---- the archive ---- */

static fv_status read_pickle(reader *r, void **data, size_t *bytes) {
    for (zip_int64_t i = 0; i < r->zip->count; i++) {
        const char *name = fv_zip_name(r->zip, i), *end = name ? strstr(name, "data.pkl") : NULL;
        if (!end || end[strlen("data.pkl")] || end - name >= FV_FOREIGN_NAME_MAX) continue;
        snprintf(r->prefix, sizeof r->prefix, "%.*s", (int)(end - name), name);
        return fv_zip_read(r->zip, i, PICKLE_LIMIT, data, bytes);
    }
    return fv_fail(FV_BAD_INPUT, "%s has no data.pkl with a name of at most %d letters", r->zip->path,
                   FV_FOREIGN_NAME_MAX);
}

/* PyTorch says so in an entry of its own since version 2. */
static fv_status check_byte_order(const reader *r) {
    char name[FV_FOREIGN_NAME_MAX + 16];
    void *text;
    size_t bytes;
    snprintf(name, sizeof name, "%sbyteorder", r->prefix);
    zip_int64_t i = fv_zip_find(r->zip, name);
    if (i < 0) return FV_OK;
    FV_TRY(fv_zip_read(r->zip, i, 64, &text, &bytes));
    bool little = bytes >= 6 && memcmp(text, "little", 6) == 0;
    free(text);
    if (little) return FV_OK;
    return fv_fail(FV_BAD_INPUT,
                   "%s was written on a big-endian machine; load it in PyTorch there or here and save it again",
                   r->zip->path);
}

/* What the pickle says of a storage against what there is. */
static fv_status check_storage(const reader *r, const fv_pickle_node *s, size_t bytes) {
    if (fv_size_multiply((size_t)s->whole, fv_foreign_type_bytes(s->type)) == bytes) return FV_OK;
    return fv_fail(FV_BAD_INPUT, "%s: storage %.*s should have %lld numbers, it has %zu bytes; the file is damaged",
                   r->zip->path, (int)s->length, s->text, (long long)s->whole, bytes);
}

static fv_status storage_read(reader *r, fv_node node, storage *fresh) {
    const fv_pickle_node *s = &r->pickle.nodes[node];
    char name[2 * FV_FOREIGN_NAME_MAX];
    if (s->length >= FV_FOREIGN_NAME_MAX || memchr(s->text, 0, s->length))
        return fv_fail(FV_BAD_INPUT, "%s: a storage has a name that is none", r->zip->path);
    snprintf(name, sizeof name, "%sdata/%.*s", r->prefix, (int)s->length, s->text);
    zip_int64_t i = fv_zip_find(r->zip, name);
    if (i < 0)
        return fv_fail(FV_BAD_INPUT, "%s has no entry %.200s, which a tensor is made of; the file is damaged",
                       r->zip->path, name);
    size_t bytes = fv_zip_bytes(r->zip, i);
    FV_TRY(check_storage(r, s, bytes));
    if (bytes > r->room)
        return fv_fail(FV_BAD_INPUT,
                       "%s claims more numbers than a file of its size holds; load it in PyTorch and save it again",
                       r->zip->path);
    r->room -= bytes;
    *fresh = (storage){.node = node};
    return fv_zip_read(r->zip, i, bytes, &fresh->data, &fresh->bytes);
}

static bool same_storage(const fv_pickle_node *a, const fv_pickle_node *b) {
    return a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
}

static fv_status storage_get(reader *r, fv_node node, const storage **found) {
    const fv_pickle_node *nodes = r->pickle.nodes;
    for (int i = r->count - 1; i >= 0; i--)
        if (same_storage(&nodes[r->storages[i].node], &nodes[node])) {
            *found = &r->storages[i];
            return check_storage(r, &nodes[node], r->storages[i].bytes);
        }
    if (r->count == r->capacity) {
        int capacity = r->capacity ? 2 * r->capacity : 512;
        storage *larger = realloc(r->storages, (size_t)capacity * sizeof *larger);
        if (!larger) return fv_fail_memory("the storages of tensors", (size_t)capacity * sizeof *larger);
        r->storages = larger;
        r->capacity = capacity;
    }
    FV_TRY(storage_read(r, node, &r->storages[r->count]));
    *found = &r->storages[r->count++];
    return FV_OK;
}

/* ---- one tensor ---- */

/* A tensor's place in its storage, in numbers. */
typedef struct view {
    int dims;
    int64_t shape[FV_FOREIGN_MAX_DIMS], stride[FV_FOREIGN_MAX_DIMS], offset;
} view;

static fv_status take_view(const reader *r, const fv_pickle_node *tensor, const char *name, view *v) {
    const fv_pickle_node *nodes = r->pickle.nodes, *sizes = &nodes[tensor->sizes], *strides = &nodes[tensor->strides];
    *v = (view){.dims = sizes->count, .offset = tensor->whole};
    if (sizes->count > FV_FOREIGN_MAX_DIMS || sizes->count != strides->count)
        return fv_fail(FV_BAD_INPUT, "%s: tensor %s has %d sizes and %d strides; expected the same number, at most %d",
                       r->zip->path, name, sizes->count, strides->count, FV_FOREIGN_MAX_DIMS);
    for (int i = 0; i < v->dims; i++) {
        const fv_pickle_node *size = &nodes[sizes->items[i]], *stride = &nodes[strides->items[i]];
        if (size->kind != FV_NODE_NUMBER || stride->kind != FV_NODE_NUMBER || size->whole < 0 || stride->whole < 0)
            return fv_fail(FV_BAD_INPUT, "%s: tensor %s has a size or stride that is no whole number of at least 0",
                           r->zip->path, name);
        v->shape[i] = size->whole;
        v->stride[i] = stride->whole;
    }
    return FV_OK;
}

/* The last number that the view shows must be there, and it may not show more numbers than there are: a view that
   repeats some (stride 0) could be made to ask for any amount of memory. */
static fv_status check_view(const reader *r, const view *v, const char *name, size_t numbers) {
    size_t count = 1, last = v->offset < 0 ? SIZE_MAX : (size_t)v->offset;
    for (int i = 0; i < v->dims; i++) count = fv_size_multiply(count, (size_t)v->shape[i]);
    if (count == 0) return FV_OK;
    for (int i = 0; i < v->dims; i++) {
        size_t step = fv_size_multiply((size_t)v->shape[i] - 1, (size_t)v->stride[i]);
        last = step > SIZE_MAX - last ? SIZE_MAX : last + step;
    }
    if (last < numbers && count <= numbers) return FV_OK;
    if (last < numbers)
        return fv_fail(FV_BAD_INPUT,
                       "%s: tensor %s repeats the numbers of its storage; save tensor.contiguous() instead",
                       r->zip->path, name);
    return fv_fail(FV_BAD_INPUT, "%s: tensor %s reaches beyond its storage of %zu numbers; the file is damaged",
                   r->zip->path, name, numbers);
}

static bool is_contiguous(const view *v) {
    int64_t expected = 1;
    for (int i = v->dims - 1; i >= 0; i--) {
        if (v->shape[i] != 1 && v->stride[i] != expected) return false;
        expected *= v->shape[i];
    }
    return true;
}

static void copy_view(const view *v, fv_foreign_type type, const char *data, fv_foreign_tensor *tensor) {
    size_t bytes = fv_foreign_type_bytes(type);
    int64_t index[FV_FOREIGN_MAX_DIMS] = {0}, at = v->offset;
    if (tensor->count == 0) return;
    if (is_contiguous(v)) {
        fv_foreign_convert(type, data + (size_t)at * bytes, tensor->count, tensor->values);
        return;
    }
    for (size_t i = 0; i < tensor->count; i++) {
        fv_foreign_convert(type, data + (size_t)at * bytes, 1, &tensor->values[i]);
        for (int d = v->dims - 1; d >= 0; d--) { /* the next index, as on a counter */
            at += v->stride[d];
            if (++index[d] < v->shape[d]) break;
            at -= v->stride[d] * v->shape[d];
            index[d] = 0;
        }
    }
}

static fv_status add_tensor(reader *r, const fv_pickle_node *key, fv_node node) {
    const fv_pickle_node *tensor = &r->pickle.nodes[node], *s = &r->pickle.nodes[tensor->storage];
    char name[FV_FOREIGN_NAME_MAX];
    const storage *data = NULL;
    fv_foreign_tensor *added;
    view v;
    if (key->length >= FV_FOREIGN_NAME_MAX || memchr(key->text, 0, key->length))
        return fv_fail(FV_BAD_INPUT, "%s: a tensor's name has %zu letters; at most %d are read", r->zip->path,
                       key->length, FV_FOREIGN_NAME_MAX - 1);
    snprintf(name, sizeof name, "%.*s", (int)key->length, key->text);
    if (tensor->type == FV_FOREIGN_WHOLE) {
        r->file->passed++;
        return FV_OK;
    }
    FV_TRY(take_view(r, tensor, name, &v));
    FV_TRY(storage_get(r, tensor->storage, &data));
    FV_TRY(check_view(r, &v, name, (size_t)s->whole));
    FV_TRY(fv_foreign_add(r->file, name, v.dims, v.shape, &added));
    copy_view(&v, s->type, data->data, added);
    return FV_OK;
}

/* ---- which dict ---- */

static bool has_tensors(const fv_pickle *p, fv_node dict) {
    const fv_pickle_node *d = &p->nodes[dict];
    for (int i = 1; d->kind == FV_NODE_DICT && i < d->count; i += 2)
        if (p->nodes[d->items[i]].kind == FV_NODE_TENSOR) return true;
    return false;
}

/* The pickle's own dict, or in a checkpoint the one under a key that people use for the network; the only one of
   another key. */
static fv_status find_state_dict(const fv_pickle *p, fv_node *dict) {
    static const char *const keys[] = {"state_dict", "model_state_dict", "model", "net", "network", "weights", NULL};
    const fv_pickle_node *root = &p->nodes[p->root];
    *dict = p->root;
    if (has_tensors(p, *dict)) return FV_OK;
    for (int i = 0; keys[i]; i++) {
        fv_node found = fv_pickle_get(p, p->root, keys[i]);
        if (found != FV_NO_NODE && has_tensors(p, found)) {
            *dict = found;
            return FV_OK;
        }
    }
    int candidates = 0;
    for (int i = 1; root->kind == FV_NODE_DICT && i < root->count; i += 2)
        if (has_tensors(p, root->items[i])) {
            *dict = root->items[i];
            candidates++;
        }
    if (candidates == 1) return FV_OK;
    return fv_fail(FV_BAD_INPUT,
                   "torch file %s holds %s; expected a state_dict, by itself or under a key such as state_dict or "
                   "model: save with torch.save(model.state_dict(), ...)",
                   p->path, candidates ? "several dicts of tensors under keys of its own" : "no dict of tensors");
}

static fv_status add_tensors(reader *r) {
    fv_node dict;
    FV_TRY(find_state_dict(&r->pickle, &dict));
    const fv_pickle_node *d = &r->pickle.nodes[dict];
    for (int i = 0; i + 1 < d->count; i += 2) {
        const fv_pickle_node *key = &r->pickle.nodes[d->items[i]];
        if (key->kind == FV_NODE_TEXT && r->pickle.nodes[d->items[i + 1]].kind == FV_NODE_TENSOR)
            FV_TRY(add_tensor(r, key, d->items[i + 1]));
    }
    return FV_OK;
}

static fv_status read_tensors(reader *r) {
    void *data;
    size_t bytes;
    FV_TRY(read_pickle(r, &data, &bytes));
    fv_status status = fv_pickle_parse(data, bytes, r->zip->path, &r->pickle);
    if (status == FV_OK) status = check_byte_order(r);
    if (status == FV_OK) status = add_tensors(r);
    fv_pickle_free(&r->pickle);
    free(data);
    return status;
}

fv_status fv_torch_parse(const fv_zip *zip, fv_foreign *file) {
    reader r = {.zip = zip, .file = file};
    r.room = fv_size_multiply(zip->file_bytes, STORAGE_PER_BYTE);
    if (r.room < STORAGE_AT_LEAST) r.room = STORAGE_AT_LEAST;
    file->kind = FV_FOREIGN_TORCH;
    fv_status status = read_tensors(&r);
    for (int i = 0; i < r.count; i++) free(r.storages[i].data);
    free(r.storages);
    return status;
}
