#include "fovea/image/mask.h"

#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"

/* A stretch of pixels of one kind in one row. Connected runs form a tree whose root is the first of them in reading
 * order. */
typedef struct mask_run {
    int y, x0, x1; /* px, inclusive */
    uint32_t parent;
} mask_run;

typedef struct mask_runs {
    mask_run *items;
    uint32_t count;
} mask_runs;

static fv_status require_mask(const fv_image *mask) {
    if (mask->data != NULL && mask->channels == 1) return FV_OK;
    return fv_fail(FV_BAD_INPUT, "a mask with 1 channel is needed, not an image of %d x %d pixels with %d channels",
                   mask->width, mask->height, mask->channels);
}

static size_t pixel_count(const fv_image *mask) {
    return (size_t)mask->width * (size_t)mask->height;
}

/* Whether the 8 pixels from `row` on are all set, or all not set. */
static bool are_8_alike(const uint8_t *row, bool set) {
    const uint64_t ones = 0x0101010101010101, tops = 0x8080808080808080;
    uint64_t word;
    memcpy(&word, row, sizeof word);
    return set ? ((word - ones) & ~word & tops) == 0 : word == 0; /* the first finds zero bytes (Mycroft 1987) */
}

/* The end of the stretch that begins at x: first x whose pixel is not of the same kind. */
static int run_end(const uint8_t *row, int x, int width) {
    bool set = row[x] != 0;
    while (x + 8 <= width && are_8_alike(row + x, set)) x += 8;
    while (x < width && (row[x] != 0) == set) x++;
    return x;
}

static uint32_t count_runs(const fv_image *mask, bool set) {
    uint32_t count = 0;
    for (int y = 0; y < mask->height; y++) {
        const uint8_t *row = mask->data + (size_t)y * (size_t)mask->width;
        uint32_t starts = (row[0] != 0) == set;
        for (int x = 1; x < mask->width; x++) starts += ((row[x] != 0) == set) & ((row[x - 1] != 0) != set);
        count += starts;
    }
    return count;
}

static void collect_runs(const fv_image *mask, bool set, mask_runs *runs) {
    for (int y = 0; y < mask->height; y++) {
        const uint8_t *row = mask->data + (size_t)y * (size_t)mask->width;
        for (int x = 0, end; x < mask->width; x = end) {
            end = run_end(row, x, mask->width);
            if ((row[x] != 0) != set) continue;
            runs->items[runs->count] = (mask_run){y, x, end - 1, runs->count};
            runs->count++;
        }
    }
}

static uint32_t find_root(mask_run *runs, uint32_t i) {
    while (runs[i].parent != i) {
        runs[i].parent = runs[runs[i].parent].parent; /* halves the path for the next time */
        i = runs[i].parent;
    }
    return i;
}

static void join(mask_run *runs, uint32_t a, uint32_t b) {
    a = find_root(runs, a);
    b = find_root(runs, b);
    if (a < b) runs[b].parent = a;
    if (b < a) runs[a].parent = b;
}

/* Joins runs of neighbouring rows that overlap when one of them is widened by `reach` pixels on both sides: 0 makes
   4-connected components, 1 makes 8-connected ones. */
static void connect_runs(mask_runs *runs, int reach) {
    mask_run *items = runs->items;
    uint32_t above = 0;
    for (uint32_t i = 0; i < runs->count; i++) {
        const mask_run *run = &items[i];
        while (items[above].y < run->y - 1 || (items[above].y == run->y - 1 && items[above].x1 < run->x0 - reach))
            above++;
        for (uint32_t j = above; items[j].y == run->y - 1 && items[j].x0 <= run->x1 + reach; j++) join(items, i, j);
    }
}

/* Runs of set pixels (or of others) with their components; empty for none. Free items with free(). */
static fv_status find_components(const fv_image *mask, bool set, int reach, mask_runs *runs) {
    *runs = (mask_runs){0};
    FV_TRY(require_mask(mask));
    uint32_t count = count_runs(mask, set);
    runs->items = fv_allocate(count, sizeof *runs->items, "the components of a mask");
    if (runs->items == NULL) return FV_NO_RESOURCE;
    collect_runs(mask, set, runs);
    connect_runs(runs, reach);
    return FV_OK;
}

static void fill_run(fv_image *mask, const mask_run *run, uint8_t value) {
    memset(mask->data + (size_t)run->y * (size_t)mask->width + run->x0, value, (size_t)(run->x1 - run->x0 + 1));
}

fv_status fv_mask_from_image(const fv_image *image, int threshold, fv_image *mask) {
    FV_TRY(fv_image_make_unset(image->width, image->height, 1, mask));
    size_t count = pixel_count(mask);
    for (size_t i = 0; i < count; i++) {
        const uint8_t *pixel = image->data + i * (size_t)image->channels;
        mask->data[i] = fv_mask_level(pixel, image->channels) > threshold ? 255 : 0;
    }
    return FV_OK;
}

fv_status fv_mask_keep_largest(fv_image *mask) {
    mask_runs runs;
    FV_TRY(find_components(mask, true, 1, &runs));
    int64_t *pixels = fv_allocate(runs.count, sizeof *pixels, "the components of a mask"); /* of each root */
    if (pixels == NULL) {
        free(runs.items);
        return FV_NO_RESOURCE;
    }
    for (uint32_t i = 0; i < runs.count; i++)
        pixels[find_root(runs.items, i)] += runs.items[i].x1 - runs.items[i].x0 + 1;
    uint32_t largest = 0;
    for (uint32_t i = 1; i < runs.count; i++)
        if (pixels[i] > pixels[largest]) largest = i;
    for (uint32_t i = 0; i < runs.count; i++)
        if (find_root(runs.items, i) != largest) fill_run(mask, &runs.items[i], 0);
    free(pixels);
    free(runs.items);
    return FV_OK;
}

static bool touches_border(const fv_image *mask, const mask_run *run) {
    return run->y == 0 || run->y == mask->height - 1 || run->x0 == 0 || run->x1 == mask->width - 1;
}

fv_status fv_mask_fill_holes(fv_image *mask) {
    mask_runs runs;
    FV_TRY(find_components(mask, false, 0, &runs));
    bool *is_outside = fv_allocate(runs.count, sizeof *is_outside, "the holes of a mask"); /* of each root */
    if (is_outside == NULL) {
        free(runs.items);
        return FV_NO_RESOURCE;
    }
    for (uint32_t i = 0; i < runs.count; i++)
        if (touches_border(mask, &runs.items[i])) is_outside[find_root(runs.items, i)] = true;
    for (uint32_t i = 0; i < runs.count; i++)
        if (!is_outside[find_root(runs.items, i)]) fill_run(mask, &runs.items[i], 255);
    free(is_outside);
    free(runs.items);
    return FV_OK;
}

void fv_mask_and(fv_image *mask, const fv_image *other) {
    size_t count = pixel_count(mask);
    for (size_t i = 0; i < count; i++)
        if (other->data[i] == 0) mask->data[i] = 0;
}

/* Sums of bytes are 16 times as wide in a vector register as sums of 64-bit numbers. */
static int64_t count_row(const uint8_t *row, size_t width) {
    int64_t set = 0;
    for (size_t begin = 0; begin < width; begin += 240) {
        size_t end = begin + 240 < width ? begin + 240 : width;
        uint8_t part = 0;
        for (size_t x = begin; x < end; x++) part += row[x] != 0;
        set += part;
    }
    return set;
}

int64_t fv_mask_count(const fv_image *mask) {
    return count_row(mask->data, pixel_count(mask));
}

bool fv_mask_box(const fv_image *mask, fv_box *box) {
    *box = (fv_box){mask->width, mask->height, -1, -1};
    for (int y = 0; y < mask->height; y++) {
        const uint8_t *row = mask->data + (size_t)y * (size_t)mask->width;
        int first = row[0] ? 0 : run_end(row, 0, mask->width), last = mask->width - 1;
        if (first == mask->width) continue;
        while (row[last] == 0) last--;
        if (box->y0 > y) box->y0 = y;
        box->y1 = y;
        if (box->x0 > first) box->x0 = first;
        if (box->x1 < last) box->x1 = last;
    }
    if (box->y1 >= 0) return true;
    *box = (fv_box){0};
    return false;
}
