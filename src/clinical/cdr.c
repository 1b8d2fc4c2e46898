#include "fovea/clinical/cdr.h"

#include <math.h>
#include <stdlib.h>

#include "fovea/base/memory.h"
#include "fovea/image/mask.h"

/* A mask and the least box round what is set in it. */
typedef struct boxed_mask {
    const fv_image *mask;
    fv_box box;
    bool found;
} boxed_mask;

static boxed_mask find_box(const fv_image *mask) {
    boxed_mask boxed = {.mask = mask};
    boxed.found = fv_mask_box(mask, &boxed.box);
    return boxed;
}

static const uint8_t *row_of(const boxed_mask *m, int y) {
    return m->mask->data + (size_t)y * (size_t)m->mask->width;
}

/* Pixels of the image column that holds most of them. `columns` has room for the mask's width. */
static int tallest_column(const boxed_mask *m, int *columns) {
    int tallest = 0;
    if (!m->found) return 0;
    for (int x = m->box.x0; x <= m->box.x1; x++) columns[x] = 0;
    for (int y = m->box.y0; y <= m->box.y1; y++) {
        const uint8_t *row = row_of(m, y);
        for (int x = m->box.x0; x <= m->box.x1; x++) columns[x] += row[x] != 0;
    }
    for (int x = m->box.x0; x <= m->box.x1; x++)
        if (columns[x] > tallest) tallest = columns[x];
    return tallest;
}

/* Mean position of the set pixels; pixel centers have whole coordinates. */
static void centroid(const boxed_mask *m, int64_t area, double *x_px, double *y_px) {
    int64_t sum_x = 0, sum_y = 0;
    for (int y = m->box.y0; y <= m->box.y1; y++) {
        const uint8_t *row = row_of(m, y);
        int64_t set = 0;
        for (int x = m->box.x0; x <= m->box.x1; x++) {
            set += row[x] != 0;
            sum_x += row[x] != 0 ? x : 0;
        }
        sum_y += set * y;
    }
    *x_px = (double)sum_x / (double)area;
    *y_px = (double)sum_y / (double)area;
}

static void measure_extent(const boxed_mask *m, int64_t *area_px, int *height_px, int *width_px) {
    if (!m->found) return;
    *area_px = fv_mask_count(m->mask);
    *height_px = m->box.y1 - m->box.y0 + 1;
    *width_px = m->box.x1 - m->box.x0 + 1;
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
    const boxed_mask d = find_box(disc), c = find_box(cup);
    cdr->disc_found = d.found;
    cdr->cup_found = c.found;
    measure_extent(&d, &cdr->disc_area_px, &cdr->disc_height_px, &cdr->disc_width_px);
    measure_extent(&c, &cdr->cup_area_px, &cdr->cup_height_px, &cdr->cup_width_px);
    if (!d.found) return FV_OK;
    int *columns = fv_allocate((size_t)disc->width, sizeof *columns, "measuring a mask");
    if (columns == NULL) return FV_NO_RESOURCE;
    centroid(&d, cdr->disc_area_px, &cdr->disc_center_x_px, &cdr->disc_center_y_px);
    cdr->vcdr = (double)cdr->cup_height_px / cdr->disc_height_px;
    cdr->hcdr = (double)cdr->cup_width_px / cdr->disc_width_px;
    cdr->area_cdr = (double)cdr->cup_area_px / (double)cdr->disc_area_px;
    cdr->vcdr_refuge = (double)tallest_column(&c, columns) / tallest_column(&d, columns);
    free(columns);
    return FV_OK;
}
