#include "torch_pickle.h"

#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"

#define NODE_LIMIT 2000000 /* a state_dict of a thousand tensors has 30,000 */

#define MARK (-2) /* on the stack: where the items of a tuple, list or dict begin */

static fv_status damaged(const fv_pickle *p, const char *what) {
    return fv_fail(FV_BAD_INPUT, "torch file %s: its pickle is damaged or cut off at byte %td: %s", p->path,
                   p->at - p->begin, what);
}

/* ---- memory ---- */

/* Makes room for one more element in an array that grows by doubling, up to NODE_LIMIT. `array` points to the pointer,
   of whatever type. */
static fv_status reserve(const fv_pickle *p, void *array, int count, int *capacity, size_t size, const char *what) {
    if (count < *capacity) return FV_OK;
    if (count >= NODE_LIMIT)
        return fv_fail(FV_BAD_INPUT, "torch file %s: its pickle has more than %d %s, far more than a state_dict",
                       p->path, NODE_LIMIT, what);
    int wanted = *capacity ? 2 * *capacity : 16;
    void *memory;
    memcpy(&memory, array, sizeof memory);
    memory = realloc(memory, (size_t)wanted * size);
    if (!memory) return fv_fail_memory("a pickle", (size_t)wanted * size);
    memcpy(array, &memory, sizeof memory);
    *capacity = wanted;
    return FV_OK;
}

static fv_status stack_push(fv_pickle *p, fv_node node) {
    FV_TRY(reserve(p, &p->stack, p->stack_count, &p->stack_capacity, sizeof *p->stack, "open objects"));
    p->stack[p->stack_count++] = node;
    return FV_OK;
}

static fv_status push(fv_pickle *p, fv_pickle_node node) {
    FV_TRY(reserve(p, &p->nodes, p->node_count, &p->node_capacity, sizeof *p->nodes, "objects"));
    p->nodes[p->node_count] = node;
    return stack_push(p, p->node_count++);
}

static fv_status pop(fv_pickle *p, fv_node *node) {
    if (p->stack_count == 0 || p->stack[p->stack_count - 1] == MARK)
        return damaged(p, "an object is used that is not there");
    *node = p->stack[--p->stack_count];
    return FV_OK;
}

static fv_status top(fv_pickle *p, fv_node_kind kind, const char *complaint, fv_node *node) {
    FV_TRY(pop(p, node));
    p->stack_count++;
    return p->nodes[*node].kind == kind ? FV_OK : damaged(p, complaint);
}

/* Number of objects above the last mark. */
static fv_status items_since_mark(fv_pickle *p, int *count) {
    for (*count = 0; *count < p->stack_count; ++*count)
        if (p->stack[p->stack_count - 1 - *count] == MARK) return FV_OK;
    return damaged(p, "a mark is missing");
}

/* Moves the newest `count` objects of the stack to the end of a node's items. */
static fv_status take_items(fv_pickle *p, fv_node node, int count) {
    const fv_node *from = p->stack + p->stack_count - count;
    for (int i = 0; i < count; i++) {
        fv_pickle_node *into = &p->nodes[node];
        FV_TRY(reserve(p, &into->items, into->count, &into->capacity, sizeof *into->items, "items"));
        into->items[into->count++] = from[i];
    }
    p->stack_count -= count;
    return FV_OK;
}

/* ---- arguments of opcodes ---- */

static fv_status take_bytes(fv_pickle *p, size_t count, const unsigned char **bytes) {
    if ((size_t)(p->end - p->at) < count) return damaged(p, "it ends within an object");
    *bytes = p->at;
    p->at += count;
    return FV_OK;
}

static fv_status take_unsigned(fv_pickle *p, size_t size, uint64_t *value) {
    const unsigned char *bytes = NULL;
    FV_TRY(take_bytes(p, size, &bytes));
    *value = 0;
    for (size_t i = size; i-- > 0;) *value = *value << 8 | bytes[i];
    return FV_OK;
}

/* Up to a line's end, which is not part of it. */
static fv_status take_line(fv_pickle *p, const char **text, size_t *length) {
    const unsigned char *end = memchr(p->at, '\n', (size_t)(p->end - p->at));
    if (!end) return damaged(p, "it ends within a name");
    *text = (const char *)p->at;
    *length = (size_t)(end - p->at);
    p->at = end + 1;
    return FV_OK;
}

/* ---- one function for each family of opcodes ---- */

static fv_status push_text(fv_pickle *p, size_t length_bytes) {
    uint64_t length = 0;
    const unsigned char *text = NULL;
    FV_TRY(take_unsigned(p, length_bytes, &length));
    if (length > (uint64_t)(p->end - p->at)) return damaged(p, "a text is longer than the file");
    FV_TRY(take_bytes(p, (size_t)length, &text));
    return push(p, (fv_pickle_node){.kind = FV_NODE_TEXT, .text = (const char *)text, .length = (size_t)length});
}

static fv_status push_number(fv_pickle *p, int64_t whole) {
    return push(p, (fv_pickle_node){.kind = FV_NODE_NUMBER, .whole = whole});
}

static fv_status push_int32(fv_pickle *p) {
    uint64_t value = 0;
    FV_TRY(take_unsigned(p, 4, &value));
    return push_number(p, (int32_t)(uint32_t)value);
}

/* LONG1: two's complement of so many bytes. */
static fv_status push_long(fv_pickle *p) {
    uint64_t length = 0, value = 0;
    FV_TRY(take_unsigned(p, 1, &length));
    if (length > 8) return damaged(p, "a whole number of more than 64 bits");
    FV_TRY(take_unsigned(p, (size_t)length, &value));
    int unused = 64 - 8 * (int)length;
    return push_number(p, length == 0 ? 0 : (int64_t)(value << unused) >> unused);
}

static fv_status push_small(fv_pickle *p, size_t bytes) {
    uint64_t value = 0;
    FV_TRY(take_unsigned(p, bytes, &value));
    return push_number(p, (int64_t)value);
}

/* A state_dict has no use for floating point numbers; checkpoints hold some beside it. */
static fv_status push_float(fv_pickle *p) {
    const unsigned char *bytes;
    FV_TRY(take_bytes(p, 8, &bytes));
    return push_number(p, 0);
}

static fv_status push_sequence(fv_pickle *p, fv_node_kind kind, int count) {
    for (int i = 0; i < count; i++) /* none of them may be a mark */
        if (i >= p->stack_count || p->stack[p->stack_count - 1 - i] == MARK)
            return damaged(p, "a tuple has too few items");
    FV_TRY(push(p, (fv_pickle_node){.kind = kind}));
    fv_node made = p->stack[--p->stack_count];
    FV_TRY(take_items(p, made, count));
    return stack_push(p, made);
}

static fv_status push_marked_tuple(fv_pickle *p) {
    int count;
    FV_TRY(items_since_mark(p, &count));
    FV_TRY(push_sequence(p, FV_NODE_TUPLE, count));
    p->stack[p->stack_count - 2] = p->stack[p->stack_count - 1]; /* over the mark */
    p->stack_count--;
    return FV_OK;
}

/* SETITEM, SETITEMS, APPEND, APPENDS: `count` objects go into the dict or list below them (and below a mark). */
static fv_status add_items(fv_pickle *p, fv_node_kind kind, int count, bool marked) {
    if (kind == FV_NODE_DICT && count % 2) return damaged(p, "a dict has a key without a value");
    int below = p->stack_count - count - (marked ? 2 : 1);
    if (below < 0 || p->stack[below] == MARK) return damaged(p, "items without a dict or list");
    for (int i = 0; i < count; i++)
        if (p->stack[p->stack_count - 1 - i] == MARK) return damaged(p, "a mark where an item should be");
    fv_node into = p->stack[below];
    if (p->nodes[into].kind != kind) return damaged(p, "items for what is neither dict nor list");
    FV_TRY(take_items(p, into, count));
    if (marked) p->stack_count--;
    return FV_OK;
}

static fv_status add_marked_items(fv_pickle *p, fv_node_kind kind) {
    int count;
    FV_TRY(items_since_mark(p, &count));
    return add_items(p, kind, count, true);
}

static fv_status memo_put(fv_pickle *p, uint64_t index) {
    fv_node node = FV_NO_NODE;
    FV_TRY(pop(p, &node));
    p->stack_count++;
    if (index >= NODE_LIMIT) return damaged(p, "it remembers more objects than a state_dict has");
    while ((uint64_t)p->memo_count <= index) {
        FV_TRY(reserve(p, &p->memo, p->memo_count, &p->memo_capacity, sizeof *p->memo, "remembered objects"));
        p->memo[p->memo_count++] = FV_NO_NODE;
    }
    p->memo[index] = node;
    return FV_OK;
}

static fv_status memo_operand(fv_pickle *p, size_t bytes, bool put) {
    uint64_t index = 0;
    FV_TRY(take_unsigned(p, bytes, &index));
    if (put) return memo_put(p, index);
    if (index >= (uint64_t)p->memo_count || p->memo[index] == FV_NO_NODE)
        return damaged(p, "it recalls an object that it has not remembered");
    return stack_push(p, p->memo[index]);
}

static fv_status push_global(fv_pickle *p) {
    const char *module = NULL, *name = NULL;
    size_t module_length = 0, name_length = 0;
    fv_pickle_node node = {.kind = FV_NODE_GLOBAL};
    FV_TRY(take_line(p, &module, &module_length));
    FV_TRY(take_line(p, &name, &name_length));
    FV_TRY(fv_torch_global_find(p, module, module_length, name, name_length, &node));
    return push(p, node);
}

static fv_status push_stack_global(fv_pickle *p) {
    fv_node name = FV_NO_NODE, module = FV_NO_NODE;
    fv_pickle_node node = {.kind = FV_NODE_GLOBAL};
    FV_TRY(pop(p, &name));
    FV_TRY(pop(p, &module));
    const fv_pickle_node *n = &p->nodes[name], *m = &p->nodes[module];
    if (n->kind != FV_NODE_TEXT || m->kind != FV_NODE_TEXT) return damaged(p, "an object's name is not a text");
    FV_TRY(fv_torch_global_find(p, m->text, m->length, n->text, n->length, &node));
    return push(p, node);
}

static fv_status call(fv_pickle *p) {
    fv_node arguments = FV_NO_NODE, callee = FV_NO_NODE;
    fv_pickle_node result = {0};
    FV_TRY(pop(p, &arguments));
    FV_TRY(pop(p, &callee));
    if (p->nodes[arguments].kind != FV_NODE_TUPLE || p->nodes[callee].kind != FV_NODE_GLOBAL)
        return damaged(p, "a call of what is no function");
    FV_TRY(fv_torch_global_call(p, callee, arguments, &result));
    return push(p, result);
}

static fv_status push_persistent(fv_pickle *p) {
    fv_node id = FV_NO_NODE;
    fv_pickle_node storage = {0};
    FV_TRY(pop(p, &id));
    FV_TRY(fv_torch_global_storage(p, id, &storage));
    return push(p, storage);
}

/* BUILD: attributes of a state_dict, its `_metadata`, which hold nothing that is needed here. */
static fv_status drop_state(fv_pickle *p) {
    fv_node state = FV_NO_NODE, object = FV_NO_NODE;
    FV_TRY(pop(p, &state));
    return top(p, FV_NODE_DICT, "attributes for what is no dict", &object);
}

static fv_status step_text_or_number(fv_pickle *p, unsigned char opcode) {
    switch (opcode) {
    case 'X': /* BINUNICODE */
        return push_text(p, 4);
    case 0x8c: /* SHORT_BINUNICODE */
        return push_text(p, 1);
    case 'J': /* BININT */
        return push_int32(p);
    case 'K': /* BININT1 */
        return push_small(p, 1);
    case 'M': /* BININT2 */
        return push_small(p, 2);
    case 0x8a: /* LONG1 */
        return push_long(p);
    case 'G': /* BINFLOAT */
        return push_float(p);
    case 0x88: /* NEWTRUE */
    case 0x89: /* NEWFALSE */
        return push_number(p, opcode == 0x88);
    case 'N': /* NONE */
        return push(p, (fv_pickle_node){.kind = FV_NODE_NONE});
    }
    return fv_fail(FV_BAD_INPUT,
                   "torch file %s: its pickle has the opcode 0x%02x at byte %td, which a state_dict of tensors does "
                   "not need; save with torch.save(model.state_dict(), ...)",
                   p->path, opcode, p->at - 1 - p->begin);
}

static fv_status step_object(fv_pickle *p, unsigned char opcode) {
    switch (opcode) {
    case 'c': /* GLOBAL */
        return push_global(p);
    case 0x93: /* STACK_GLOBAL */
        return push_stack_global(p);
    case 'R': /* REDUCE */
        return call(p);
    case 'Q': /* BINPERSID */
        return push_persistent(p);
    case 'b': /* BUILD */
        return drop_state(p);
    case 'q': /* BINPUT */
        return memo_operand(p, 1, true);
    case 'r': /* LONG_BINPUT */
        return memo_operand(p, 4, true);
    case 0x94: /* MEMOIZE */
        return memo_put(p, (uint64_t)p->memo_count);
    case 'h': /* BINGET */
        return memo_operand(p, 1, false);
    case 'j': /* LONG_BINGET */
        return memo_operand(p, 4, false);
    }
    return step_text_or_number(p, opcode);
}

static fv_status step(fv_pickle *p, unsigned char opcode) {
    switch (opcode) {
    case '(': /* MARK */
        return stack_push(p, MARK);
    case ')': /* EMPTY_TUPLE */
        return push_sequence(p, FV_NODE_TUPLE, 0);
    case 0x85: /* TUPLE1, 2, 3 */
    case 0x86:
    case 0x87:
        return push_sequence(p, FV_NODE_TUPLE, opcode - 0x84);
    case 't': /* TUPLE */
        return push_marked_tuple(p);
    case '}': /* EMPTY_DICT */
        return push_sequence(p, FV_NODE_DICT, 0);
    case ']': /* EMPTY_LIST */
        return push_sequence(p, FV_NODE_LIST, 0);
    case 's': /* SETITEM */
        return add_items(p, FV_NODE_DICT, 2, false);
    case 'u': /* SETITEMS */
        return add_marked_items(p, FV_NODE_DICT);
    case 'a': /* APPEND */
        return add_items(p, FV_NODE_LIST, 1, false);
    case 'e': /* APPENDS */
        return add_marked_items(p, FV_NODE_LIST);
    }
    return step_object(p, opcode);
}

static fv_status run(fv_pickle *p) {
    const unsigned char *byte = NULL;
    uint64_t ignored;
    for (;;) {
        FV_TRY(take_bytes(p, 1, &byte));
        if (*byte == '.') return pop(p, &p->root); /* STOP */
        if (*byte == 0x80)                         /* PROTO */
            FV_TRY(take_unsigned(p, 1, &ignored));
        else if (*byte == 0x95) /* FRAME: how much may be read ahead */
            FV_TRY(take_unsigned(p, 8, &ignored));
        else
            FV_TRY(step(p, *byte));
    }
}

fv_status fv_pickle_parse(const void *data, size_t bytes, const char *path, fv_pickle *pickle) {
    *pickle = (fv_pickle){.begin = data, .at = data, .end = (const unsigned char *)data + bytes, .path = path};
    fv_status status = run(pickle);
    if (status != FV_OK) fv_pickle_free(pickle);
    return status;
}

void fv_pickle_free(fv_pickle *pickle) {
    for (int i = 0; i < pickle->node_count; i++) free(pickle->nodes[i].items);
    free(pickle->nodes);
    free(pickle->stack);
    free(pickle->memo);
    *pickle = (fv_pickle){0};
}

fv_node fv_pickle_get(const fv_pickle *pickle, fv_node dict, const char *key) {
    const fv_pickle_node *d = &pickle->nodes[dict];
    for (int i = 0; d->kind == FV_NODE_DICT && i + 1 < d->count; i += 2) {
        const fv_pickle_node *k = &pickle->nodes[d->items[i]];
        if (k->kind == FV_NODE_TEXT && k->length == strlen(key) && memcmp(k->text, key, k->length) == 0)
            return d->items[i + 1];
    }
    return FV_NO_NODE;
}
