#include "fovea/clinical/skeleton.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"
#include "fovea/image/mask.h"

/* What a byte of the frame says of its pixel. */
enum { SET = 1, LISTED = 2 };

/* The mask with a rim of one pixel that is never set, and its border pixels. The eight neighbours of a pixel are
   numbered clockwise from the one above: even numbers are the four that share an edge. */
typedef struct thinning {
    int width, height; /* px, with the rim */
    uint8_t *frame;
    size_t *border; /* places of border pixels in the frame, in the order in which they were found */
    size_t count;
    size_t *marked;
    ptrdiff_t steps[8];
    bool simple[256];   /* by the neighbours that are set: removing the pixel splits and joins nothing, and it is no
                           end */
    bool thins[2][256]; /* Zhang and Suen's conditions of the two directions */
} thinning;

static bool neighbour(int neighbours, int i) {
    return neighbours >> (i & 7) & 1;
}

/* Background neighbours that share an edge, each run of background round the pixel counted once (Yokoi's connectivity
   number for 8-connected sets, 1 for simple pixels). */
static int connectivity(int neighbours) {
    int number = 0;
    for (int i = 0; i < 8; i += 2)
        number += !neighbour(neighbours, i) && (neighbour(neighbours, i + 1) || neighbour(neighbours, i + 2));
    return number;
}

/* Changes from background to set on the way round the pixel. */
static int changes(int neighbours) {
    int number = 0;
    for (int i = 0; i < 8; i++) number += !neighbour(neighbours, i) && neighbour(neighbours, i + 1);
    return number;
}

static void fill_tables(thinning *t) {
    for (int n = 0; n < 256; n++) {
        const int set = __builtin_popcount((unsigned)n);
        const bool up = neighbour(n, 0), right = neighbour(n, 2), down = neighbour(n, 4), left = neighbour(n, 6);
        const bool peels = set >= 2 && set <= 6 && changes(n) == 1;
        t->simple[n] = set >= 2 && connectivity(n) == 1;
        t->thins[0][n] = peels && !(up && right && down) && !(right && down && left);
        t->thins[1][n] = peels && !(up && right && left) && !(up && down && left);
    }
}

static int neighbours_of(const thinning *t, size_t place) {
    int neighbours = 0;
    for (int i = 0; i < 8; i++) neighbours |= (t->frame[place + (size_t)t->steps[i]] & SET) << i;
    return neighbours;
}

static void list(thinning *t, size_t place) {
    if (t->frame[place] != SET) return; /* background, or listed */
    t->frame[place] |= LISTED;
    t->border[t->count++] = place;
}

static void list_border(thinning *t) {
    for (int y = 1; y < t->height - 1; y++)
        for (int x = 1; x < t->width - 1; x++) {
            const size_t place = (size_t)y * (size_t)t->width + (size_t)x;
            if (t->frame[place] && neighbours_of(t, place) != 255) list(t, place);
        }
}

static void drop_removed(thinning *t) {
    size_t kept = 0;
    for (size_t i = 0; i < t->count; i++)
        if (t->frame[t->border[i]] & SET) t->border[kept++] = t->border[i];
    t->count = kept;
}

/* Takes away the pixels marked by `conditions` that are still simple; says whether there were any. */
static bool peel(thinning *t, const bool conditions[256]) {
    size_t marked = 0;
    bool any = false;
    for (size_t i = 0; i < t->count; i++)
        if (conditions[neighbours_of(t, t->border[i])]) t->marked[marked++] = t->border[i];
    for (size_t i = 0; i < marked; i++) {
        const size_t place = t->marked[i];
        if (!t->simple[neighbours_of(t, place)]) continue;
        t->frame[place] = 0;
        any = true;
        for (int k = 0; k < 8; k++) list(t, place + (size_t)t->steps[k]);
    }
    if (any) drop_removed(t);
    return any;
}

static void thinning_free(thinning *t) {
    free(t->frame);
    free(t->border);
    free(t->marked);
}

static fv_status thinning_make(const fv_image *mask, thinning *t) {
    *t = (thinning){.width = mask->width + 2, .height = mask->height + 2};
    const ptrdiff_t row = t->width;
    memcpy(t->steps, (ptrdiff_t[8]){-row, 1 - row, 1, 1 + row, row, row - 1, -1, -1 - row}, sizeof t->steps);
    fill_tables(t);
    const size_t most = (size_t)fv_mask_count(mask) + 1;
    t->frame = fv_allocate((size_t)t->height, (size_t)t->width, "the skeleton of a mask");
    t->border = fv_allocate_unset(most, sizeof *t->border, "the skeleton of a mask");
    t->marked = fv_allocate_unset(most, sizeof *t->marked, "the skeleton of a mask");
    if (t->frame == NULL || t->border == NULL || t->marked == NULL) {
        thinning_free(t);
        return FV_NO_RESOURCE;
    }
    for (int y = 0; y < mask->height; y++)
        for (int x = 0; x < mask->width; x++)
            t->frame[(size_t)(y + 1) * (size_t)row + (size_t)x + 1] =
                mask->data[(size_t)y * (size_t)mask->width + (size_t)x] ? SET : 0;
    list_border(t);
    return FV_OK;
}

static void copy_out(const thinning *t, fv_image *skeleton) {
    for (int y = 0; y < skeleton->height; y++)
        for (int x = 0; x < skeleton->width; x++)
            skeleton->data[(size_t)y * (size_t)skeleton->width + (size_t)x] =
                t->frame[(size_t)(y + 1) * (size_t)t->width + (size_t)x + 1] ? 255 : 0;
}

static void clean(thinning *t) {
    while (peel(t, t->simple)) {
    }
}

fv_status fv_skeleton_make(const fv_image *mask, fv_image *skeleton) {
    thinning t;
    *skeleton = (fv_image){0};
    if (mask->data == NULL || mask->channels != 1)
        return fv_fail(FV_BAD_INPUT, "a mask with 1 channel is needed for a skeleton, not an image with %d channels",
                       mask->channels);
    FV_TRY(fv_image_make_unset(mask->width, mask->height, 1, skeleton));
    fv_status status = thinning_make(mask, &t);
    if (status != FV_OK) {
        fv_image_free(skeleton);
        return status;
    }
    for (bool any = true; any;) {
        any = peel(&t, t.thins[0]);
        any |= peel(&t, t.thins[1]);
    }
    clean(&t);
    copy_out(&t, skeleton);
    thinning_free(&t);
    return FV_OK;
}

fv_status fv_skeleton_clean(fv_image *skeleton) {
    thinning t;
    FV_TRY(thinning_make(skeleton, &t));
    clean(&t);
    copy_out(&t, skeleton);
    thinning_free(&t);
    return FV_OK;
}
