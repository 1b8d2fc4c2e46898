#include "conv_line.h"

#include "conv_tile.h"

size_t fv_conv_line_bytes(const fv_window *w, int channels) {
    return fv_align_up((size_t)(w->out_w + 2) * FV_LINE_ROWS * (size_t)channels * sizeof(fv_real));
}

/* Pixels that lie `pixel` elements apart. */
static void clear_pixels(fv_real *values, int64_t pixel, int64_t count, int channels) {
    for (int64_t i = 0; i < count; i++) fv_conv_clear(values + i * pixel, channels);
}

static void copy_pixels(const fv_conv_line *line, const fv_real *from, fv_real *values, int64_t pixel, int64_t count) {
    if (line->map) {
        const fv_norm_coefficients k = {.center = line->map->center,
                                        .scale = line->map->scale,
                                        .offset = line->map->offset,
                                        .low = line->map->low,
                                        .high = line->map->high};
        fv_norm_choose()->apply(&(fv_norm_block){.rows = (size_t)count,
                                                 .width = (size_t)line->channels,
                                                 .x = from,
                                                 .y = values,
                                                 .x_stride = (size_t)line->stride,
                                                 .y_stride = (size_t)pixel},
                                &k);
    } else if (line->channels == 8) { /* the usual number, known to the compiler */
        for (int64_t i = 0; i < count; i++) memcpy(values + i * pixel, from + i * line->stride, 8 * sizeof *values);
    } else {
        for (int64_t i = 0; i < count; i++) fv_conv_copy(values + i * pixel, from + i * line->stride, line->channels);
    }
}

/* Row y of the picture into its slot. */
static void read_row(const fv_conv_line *line, int y) {
    const fv_window *w = line->window;
    int64_t pixel = FV_LINE_ROWS * (int64_t)line->channels, all = w->out_w + 2;
    fv_real *values = line->values + (y + FV_LINE_ROWS) % FV_LINE_ROWS * (int64_t)line->channels;
    int64_t before = y < 0 || y >= w->in_h ? all : fv_conv_smaller(w->left, all);
    int64_t count = fv_conv_smaller(w->in_w, all - before);
    clear_pixels(values, pixel, before, line->channels);
    if (count > 0)
        copy_pixels(line, line->image + (int64_t)y * w->in_w * line->stride, values + before * pixel, pixel, count);
    clear_pixels(values + (before + count) * pixel, pixel, all - before - count, line->channels);
}

void fv_conv_line_move(const fv_conv_line *line, int y, bool next) {
    const fv_window *w = line->window;
    int last = y - w->top + FV_LINE_ROWS - 1;
    for (int row = next ? last : last - FV_LINE_ROWS + 1; row <= last; row++) read_row(line, row);
    if (last + 1 < w->in_h)
        fv_gemm_prefetch(line->image + (int64_t)(last + 1) * w->in_w * line->stride, line->stride, w->in_w,
                         line->channels);
}

const fv_gemm_tiles *fv_conv_line_tiles(void) {
    const fv_gemm_tiles *tiles = fv_gemm_tiles_choose();
    return tiles == &fv_gemm_tiles_openblas ? &fv_gemm_tiles_scalar : tiles;
}
