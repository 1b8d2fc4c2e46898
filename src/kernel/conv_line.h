/* The line of kernel/conv_narrow.h: three rows of a picture, pixel by pixel. */
#ifndef FOVEA_SRC_KERNEL_CONV_LINE_H
#define FOVEA_SRC_KERNEL_CONV_LINE_H

#include "fovea/base/memory.h"
#include "fovea/kernel/conv3x3.h"

#define FV_LINE_ROWS 3

/* Row y of the picture stands in slot y mod 3: channel c of pixel x at values[((x + left) * 3 + slot) * channels + c],
   zeros outside the picture. */
typedef struct fv_conv_line {
    const fv_window *window;
    int channels, stride; /* distance of two of the picture's pixels in elements */
    const fv_real *image;
    const fv_norm_map *map; /* NULL: none; else what the line holds is the map of the picture */
    fv_real *values;
} fv_conv_line;

/* Results that are one row of the product: so many that they fill a vector of 16, where they lie side by side and go
   into the picture's width. */
static inline int fv_conv_line_group(const fv_window *w, int c_out, int64_t out_stride) {
    int group = c_out < 16 ? 16 / c_out : 1;
    return out_stride == c_out && w->out_w % group == 0 ? group : 1;
}

/* Elements of a stretch of `group` results. */
static inline int64_t fv_conv_line_stretch(int group, int channels) {
    return (int64_t)(group + 2) * FV_LINE_ROWS * channels;
}

size_t fv_conv_line_bytes(const fv_window *window, int channels);
/* Makes the line for row `y` of results: reads all rows under it, or with `next` only the one that row y - 1 did not
   have. */
void fv_conv_line_move(const fv_conv_line *line, int y, bool next);

/* The slot of the uppermost row under row y of results. */
static inline int fv_conv_line_first(const fv_window *w, int y) {
    return (y - w->top + FV_LINE_ROWS) % FV_LINE_ROWS;
}

/* The families' matrix product; of two families for one level the one whose left rows may overlap. */
const fv_gemm_tiles *fv_conv_line_tiles(void);

#endif
