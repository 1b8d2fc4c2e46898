#include "conv_tile.h"
#include "fovea/base/memory.h"
#include "fovea/base/threads.h"
#include "fovea/kernel/conv.h"

/* One kernel row of one window: taps [v_begin, v_end) of the image row `line`, whose first tap stands at pixel x. */
static void gather_row(const fv_window *w, const fv_conv_source *s, const fv_real *line, int x, fv_tap_range v,
                       fv_real *columns) {
    int64_t c = s->channels;
    fv_tap_range inside = fv_window_clip(x, w->dilation, w->kernel_w, w->in_w);
    if (inside.begin < v.begin) inside.begin = v.begin;
    if (inside.end > v.end) inside.end = v.end;
    if (inside.begin >= inside.end) {
        fv_conv_clear(columns, (v.end - v.begin) * c);
        return;
    }
    fv_conv_clear(columns, (inside.begin - v.begin) * c);
    fv_real *out = columns + (inside.begin - v.begin) * c;
    const fv_real *in = line + (x + (int64_t)inside.begin * w->dilation) * s->stride;
    if (w->dilation == 1 && s->stride == s->channels) {
        fv_conv_copy(out, in, (inside.end - inside.begin) * c);
    } else {
        for (int t = inside.begin; t < inside.end; t++, out += c, in += (int64_t)w->dilation * s->stride) {
            fv_conv_copy(out, in, c);
        }
        out = columns + (inside.begin - v.begin) * c;
    }
    fv_conv_clear(out + (inside.end - inside.begin) * c, (v.end - inside.end) * c);
}

/* All taps of window positions j .. j_end - 1 of a row, none of which reaches over an edge of the picture; `in` is the
   first one's first tap. Taps that lie side by side in memory are copied together. */
static fv_real *gather_inner(const fv_window *w, const fv_conv_source *s, const fv_real *in, int positions,
                             fv_real *columns) {
    bool together = w->dilation == 1 && s->stride == s->channels;
    int64_t row = (int64_t)w->in_w * s->stride * w->dilation, tap = (int64_t)s->stride * w->dilation;
    int64_t count = together ? (int64_t)w->kernel_w * s->channels : s->channels;
    int copies = together ? 1 : w->kernel_w;
    for (int j = 0; j < positions; j++, in += (int64_t)w->stride * s->stride)
        for (int u = 0; u < w->kernel_h; u++)
            for (int v = 0; v < copies; v++, columns += count) fv_conv_copy(columns, in + u * row + v * tap, count);
    return columns;
}

static fv_real *gather_one(const fv_window *w, const fv_conv_source *source, const fv_real *image, int i, int j,
                           int tap_begin, int tap_end, fv_real *columns) {
    int u_begin = tap_begin / w->kernel_w, u_end = (tap_end - 1) / w->kernel_w + 1;
    for (int u = u_begin; u < u_end; u++) {
        fv_tap_range v = {u == u_begin ? tap_begin - u * w->kernel_w : 0,
                          u == u_end - 1 ? tap_end - u * w->kernel_w : w->kernel_w};
        int y = i * w->stride + u * w->dilation - w->top;
        if (y < 0 || y >= w->in_h) {
            fv_conv_clear(columns, (int64_t)(v.end - v.begin) * source->channels);
        } else {
            gather_row(w, source, image + (int64_t)y * w->in_w * source->stride, j * w->stride - w->left, v, columns);
        }
        columns += (int64_t)(v.end - v.begin) * source->channels;
    }
    return columns;
}

/* How many window positions from (i, j) on, up to `most`, lie wholly inside the picture. */
static int inner_positions(const fv_window *w, int i, int j, int most) {
    int y = i * w->stride - w->top, x = j * w->stride - w->left;
    bool inside = y >= 0 && y + (w->kernel_h - 1) * w->dilation < w->in_h && x >= 0;
    int room = w->in_w - 1 - x - (w->kernel_w - 1) * w->dilation; /* pixels to the right of the first window */
    if (!inside || room < 0) return 0;
    int count = room / w->stride + 1;
    return count < most ? count : most;
}

void fv_conv_gather(const fv_window *w, const fv_conv_source *source, int tap_begin, int tap_end, int64_t begin,
                    int64_t end, fv_real *columns) {
    bool all_taps = tap_begin == 0 && tap_end == w->kernel_h * w->kernel_w;
    for (int64_t p = begin; p < end;) {
        int j = (int)(p % w->out_w), i = (int)(p / w->out_w % w->out_h);
        const fv_real *image = source->in + p / w->out_w / w->out_h * w->in_h * w->in_w * source->stride;
        int64_t left = end - p < w->out_w - j ? end - p : w->out_w - j;
        int inner = all_taps ? inner_positions(w, i, j, (int)left) : 0;
        if (inner > 0) {
            int64_t pixel = (int64_t)(i * w->stride - w->top) * w->in_w + j * w->stride - w->left;
            columns = gather_inner(w, source, image + pixel * source->stride, inner, columns);
            p += inner;
        } else {
            columns = gather_one(w, source, image, i, j, tap_begin, tap_end, columns);
            p++;
        }
    }
}

typedef struct direct_task {
    const fv_conv_product *product;
    const fv_gemm_tiles *tiles;
    fv_tiling tiling;
    int64_t pixels;
    int width; /* taps * c_in */
    size_t scratch;
} direct_task;

static fv_tiling direct_tiling(const fv_window *w, int c_in, int c_out) {
    int width = w->kernel_h * w->kernel_w * c_in;
    return fv_gemm_tiling(fv_window_out_pixels(w), c_out, width, fv_conv_row_limit(width));
}

/* A 1x1 window that looks at one pixel after the other: its columns are the tensor itself. */
static bool is_pointwise(const fv_window *w) {
    return w->kernel_h == 1 && w->kernel_w == 1 && w->stride == 1 && w->top == 0 && w->left == 0 &&
           w->in_h == w->out_h && w->in_w == w->out_w;
}

static void multiply_tile(void *context, int64_t index, int worker) {
    const direct_task *task = context;
    const fv_conv_product *p = task->product;
    const fv_tiling *t = &task->tiling;
    int64_t begin = index / t->column_tiles * t->rows, end = fv_conv_smaller(begin + t->rows, task->pixels);
    int column = (int)(index % t->column_tiles) * t->columns;
    int rows = (int)(end - begin), columns = (int)fv_conv_smaller(t->columns, p->c_out - column);
    const fv_real *windows = p->in + begin * p->in_stride;
    int windows_stride = p->in_stride;
    if (!is_pointwise(&p->window)) {
        fv_real *gathered = (fv_real *)((char *)p->scratch + (size_t)worker * task->scratch);
        fv_conv_source source = {p->in, p->in_stride, p->c_in};
        fv_conv_gather(&p->window, &source, 0, p->window.kernel_h * p->window.kernel_w, begin, end, gathered);
        windows = gathered;
        windows_stride = task->width;
    }
    fv_gemm_left a = {windows, windows_stride, 1, false};
    fv_gemm_right b = {p->weight + column, p->weight_stride, task->tiles->panel};
    if (p->weight_stride == 0) b = fv_conv_packed(p->weight, task->tiles->panel, task->width, column);
    fv_gemm_result result = fv_gemm_result_at(&p->result, begin, column);
    result.stream = fv_gemm_streams(&p->result, task->pixels, p->c_out);
    task->tiles->multiply(rows, columns, task->width, &a, &b, &result);
}

size_t fv_conv_direct_scratch(const fv_window *window, int c_in, int c_out) {
    if (is_pointwise(window)) return 0;
    size_t width = (size_t)window->kernel_h * (size_t)window->kernel_w * (size_t)c_in;
    return fv_align_up((size_t)direct_tiling(window, c_in, c_out).rows * width * sizeof(fv_real));
}

void fv_conv_direct(const fv_conv_product *product) {
    const fv_window *w = &product->window;
    direct_task task = {.product = product,
                        .tiles = fv_gemm_tiles_choose(),
                        .tiling = direct_tiling(w, product->c_in, product->c_out),
                        .pixels = fv_window_out_pixels(w),
                        .width = w->kernel_h * w->kernel_w * product->c_in,
                        .scratch = fv_conv_direct_scratch(w, product->c_in, product->c_out)};
    fv_parallel_for(task.tiling.row_tiles * task.tiling.column_tiles, multiply_tile, &task);
}
