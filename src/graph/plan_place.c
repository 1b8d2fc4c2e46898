/* Where in the block the tensors lie. */
#include <stdint.h>
#include <stdlib.h>

#include "fovea/base/memory.h"
#include "plan_layout.h"

typedef struct placer {
    fv_plan_layout *layout;
    int *first, *last; /* per tensor that stands alone: the life of all that lie in its memory */
} placer;

typedef struct placed {
    int tensor;
    size_t bytes, offset, key;
} placed;

static int by_key_descending(const void *a, const void *b) {
    const placed *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? 1 : -1;
    return (x->tensor > y->tensor) - (x->tensor < y->tensor);
}

static int by_offset(const void *a, const void *b) {
    const placed *x = a, *y = b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static size_t lowest_free_offset(size_t bytes, const placed *busy, size_t busy_count) {
    size_t offset = 0;
    for (size_t i = 0; i < busy_count && offset + bytes > busy[i].offset; i++) {
        size_t end = busy[i].offset + busy[i].bytes;
        offset = offset > end ? offset : end;
    }
    return offset;
}

/* One after the other in the order of their keys, each at the lowest offset that is free for its whole life. `busy` has
   room for all. Returns the bytes of the block. */
static size_t assign_offsets(const placer *p, placed *list, size_t count, placed *busy) {
    size_t bytes = 0;
    qsort(list, count, sizeof *list, by_key_descending);
    for (size_t i = 0; i < count; i++) {
        size_t busy_count = 0;
        int own = list[i].tensor;
        for (size_t j = 0; j < i; j++) {
            int other = list[j].tensor;
            if (p->first[other] <= p->last[own] && p->first[own] <= p->last[other]) busy[busy_count++] = list[j];
        }
        qsort(busy, busy_count, sizeof *busy, by_offset);
        list[i].offset = lowest_free_offset(list[i].bytes, busy, busy_count);
        if (list[i].offset + list[i].bytes > bytes) bytes = list[i].offset + list[i].bytes;
    }
    return bytes;
}

/* Greedy by size (Pisarchyk and Lee 2020) is mostly within a few percent of the lower bound. In training it often helps
   to place first what lives at the end of forward, longest life at the bottom: that memory grows and shrinks like a
   stack. */
static size_t key_of(const placer *p, const placed *item, bool stack_first) {
    int first = p->first[item->tensor], last = p->last[item->tensor], middle = p->layout->backward_start;
    if (stack_first && first < middle && last >= middle) return SIZE_MAX / 2 + (size_t)(last - first);
    return item->bytes;
}

static void choose_offsets(const placer *p, placed *list, size_t count) {
    fv_plan_layout *layout = p->layout;
    layout->bytes = SIZE_MAX;
    for (int order = 0; order < 2 && layout->bytes > layout->live_bytes; order++) {
        for (size_t i = 0; i < count; i++) list[i].key = key_of(p, &list[i], order == 1);
        size_t bytes = assign_offsets(p, list, count, list + count);
        if (bytes >= layout->bytes) continue;
        layout->bytes = bytes;
        for (size_t i = 0; i < count; i++) layout->tensors[list[i].tensor].offset = list[i].offset;
    }
}

fv_status fv_plan_place(fv_plan_layout *layout) {
    size_t count = (size_t)layout->tensor_count, alone = 0, bytes;
    int *lives = fv_allocate(2 * count + 1, sizeof *lives, "a plan");
    placed *list = fv_allocate(2 * count + 1, sizeof *list, "a plan");
    bool complete = lives && list;
    if (complete) {
        placer p = {layout, lives, lives + count};
        fv_plan_find_lives(layout, p.first, p.last);
        for (int t = 0; t < layout->tensor_count; t++)
            if (fv_plan_root(layout, t, &bytes) == t)
                list[alone++] = (placed){.tensor = t, .bytes = fv_align_up(layout->tensors[t].bytes)};
        choose_offsets(&p, list, alone);
    }
    free(lives);
    free(list);
    return complete ? FV_OK : FV_NO_RESOURCE;
}
