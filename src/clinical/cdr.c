#include "fovea/clinical/cdr.h"

#include <math.h>
#include <stdlib.h>

#include "fovea/base/memory.h"
#include "fovea/image/mask.h"

/* Pixels of the image column that holds most of them. `columns` has room for the mask's width. */
static int tallest_column(const fv_image *mask, int *columns) {
    for (int x = 0; x < mask->width; x++) columns[x] = 0;
    for (int y = 0; y < mask->height; y++) {
        const uint8_t *row = mask->data + (size_t)y * (size_t)mask->width;
        for (int x = 0; x < mask->width; x++) columns[x] += row[x] != 0;
    }
    int tallest = 0;
    for (int x = 0; x < mask->width; x++)
        if (columns[x] > tallest) tallest = columns[x];
    return tallest;
}

/* Mean position of the set pixels; pixel centers have whole coordinates. */
static void centroid(const fv_image *mask, int64_t area, double *x_px, double *y_px) {
    int64_t sum_x = 0, sum_y = 0;
    for (int y = 0; y < mask->height; y++) {
        const uint8_t *row = mask->data + (size_t)y * (size_t)mask->width;
        for (int x = 0; x < mask->width; x++)
            if (row[x] != 0) {
                sum_x += x;
                sum_y += y;
            }
    }
    *x_px = (double)sum_x / (double)area;
    *y_px = (double)sum_y / (double)area;
}

static bool measure_extent(const fv_image *mask, int64_t *area_px, int *height_px, int *width_px) {
    fv_box box;
    if (!fv_mask_box(mask, &box)) return false;
    *area_px = fv_mask_count(mask);
    *height_px = box.y1 - box.y0 + 1;
    *width_px = box.x1 - box.x0 + 1;
    return true;
}

fv_status fv_cdr_measure(const fv_image *disc, const fv_image *cup, fv_cdr *cdr) {
    *cdr = (fv_cdr){.disc_center_x_px = NAN,
                    .disc_center_y_px = NAN,
                    .vcdr = NAN,
                    .vcdr_refuge = NAN,
                    .hcdr = NAN,
                    .area_cdr = NAN};
    if (disc->width != cup->width || disc->height != cup->height || disc->channels != 1 || cup->channels != 1)
        return fv_fail(
            FV_BAD_INPUT,
            "the disc mask (%d x %d, %d channels) and the cup mask (%d x %d, %d channels) must have the same size "
            "and 1 channel to be measured",
            disc->width, disc->height, disc->channels, cup->width, cup->height, cup->channels);
    cdr->disc_found = measure_extent(disc, &cdr->disc_area_px, &cdr->disc_height_px, &cdr->disc_width_px);
    cdr->cup_found = measure_extent(cup, &cdr->cup_area_px, &cdr->cup_height_px, &cdr->cup_width_px);
    if (!cdr->disc_found) return FV_OK;
    int *columns = fv_allocate((size_t)disc->width, sizeof *columns, "measuring a mask");
    if (columns == NULL) return FV_NO_RESOURCE;
    centroid(disc, cdr->disc_area_px, &cdr->disc_center_x_px, &cdr->disc_center_y_px);
    cdr->vcdr = (double)cdr->cup_height_px / cdr->disc_height_px;
    cdr->hcdr = (double)cdr->cup_width_px / cdr->disc_width_px;
    cdr->area_cdr = (double)cdr->cup_area_px / (double)cdr->disc_area_px;
    cdr->vcdr_refuge = (double)tallest_column(cup, columns) / tallest_column(disc, columns);
    free(columns);
    return FV_OK;
}
