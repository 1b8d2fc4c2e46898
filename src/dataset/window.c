#include "window.h"

#define MAX_DRAWS                                                                                                      \
    2000 /* of a pixel of a mask: even with one pixel in a hundred in it, all but one in 10^8 find one                 \
          */

typedef struct point {
    int x, y; /* px */
} point;

static point draw_pixel(const fv_image *image, fv_rng *rng) {
    return (point){(int)fv_rng_below(rng, (uint32_t)image->width), (int)fv_rng_below(rng, (uint32_t)image->height)};
}

/* A pixel of the mask, each with the same chance; any pixel where the mask is empty, or next to it. */
static point draw_set_pixel(const fv_image *mask, fv_rng *rng) {
    point at = draw_pixel(mask, rng);
    for (int i = 0; i < MAX_DRAWS && mask->data[(size_t)at.y * (size_t)mask->width + (size_t)at.x] < 128; i++)
        at = draw_pixel(mask, rng);
    return at;
}

/* The mask of one of the annotated classes; NULL when none is. */
static const fv_image *draw_mask(const fv_sample *sample, int classes, fv_rng *rng) {
    int known = 0;
    for (int c = 0; c < classes; c++) known += sample->mask[c].data != NULL;
    if (known == 0) return NULL;
    int wanted = (int)fv_rng_below(rng, (uint32_t)known), c = 0;
    for (; !sample->mask[c].data || wanted-- > 0; c++) continue;
    return &sample->mask[c];
}

static point draw_centre(const fv_loader_settings *settings, const fv_sample *sample, int classes, fv_rng *rng) {
    bool foreground = fv_rng_uniform(rng) < settings->foreground;
    const fv_image *mask = foreground ? draw_mask(sample, classes, rng) : NULL;
    if (!mask && sample->work.fov.data) mask = &sample->work.fov;
    return mask ? draw_set_pixel(mask, rng) : draw_pixel(&sample->work.image, rng);
}

/* Where a window of `size` px begins along a side: within the image, or with the image in its middle. */
static int bounded(int begin, int side, int size) {
    if (side <= size) return (side - size) / 2;
    return begin < 0 ? 0 : begin > side - size ? side - size : begin;
}

static int grid_begin(int place, int count, int side, int size) {
    int begin = count == 1 ? (side - size) / 2 : (int)((int64_t)place * (side - size) / (count - 1));
    return bounded(begin, side, size);
}

fv_window fv_window_place(const fv_loader_settings *settings, const fv_sample *sample, int classes, int index,
                          fv_rng *rng) {
    const fv_image *image = &sample->work.image;
    int size = settings->preprocess.size, grid = settings->grid;
    if (!settings->preprocess.windows) return (fv_window){0, 0, image->width, image->height};
    if (grid > 0)
        return (fv_window){grid_begin(index % grid, grid, image->width, size),
                           grid_begin(index / grid, grid, image->height, size), size, size};
    point centre = draw_centre(settings, sample, classes, rng);
    return (fv_window){bounded(centre.x - size / 2, image->width, size),
                       bounded(centre.y - size / 2, image->height, size), size, size};
}
