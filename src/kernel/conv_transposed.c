#include "conv_tile.h"
#include "fovea/base/memory.h"
#include "fovea/base/threads.h"
#include "fovea/kernel/conv.h"

/* Along one axis, the in-pixels y = first, first + stride, ... of a phase meet the taps u = tap, tap + step, ...:
   window position (y + padding - u * dilation) / stride, which is `origin` for the first pixel and the first tap. */
typedef struct axis_phase {
    int first, pixels;
    int tap, step, taps;
    int origin, back; /* position = origin + pixel - back * (number of the tap) */
} axis_phase;

/* A phase and the place of its taps in the packed weight. */
typedef struct phase {
    axis_phase y, x;
    int64_t tap_offset; /* taps before it */
} phase;

static axis_phase axis_phase_of(int first, int stride, int dilation, int padding, int kernel, int size) {
    axis_phase a = {.first = first, .pixels = first < size ? (size - 1 - first) / stride + 1 : 0, .tap = 0, .step = 1};
    while (a.tap < kernel && (first + padding - a.tap * dilation) % stride != 0) a.tap++;
    while (a.step * dilation % stride != 0) a.step++;
    a.taps = a.tap < kernel ? (kernel - 1 - a.tap) / a.step + 1 : 0;
    a.origin = (first + padding - a.tap * dilation) / stride;
    a.back = a.step * dilation / stride;
    return a;
}

/* The taps before a phase are counted by walking all phases before it: there are stride^2 of them. */
static phase phase_of(const fv_window *w, int number) {
    phase result = {.tap_offset = 0};
    for (int i = 0; i <= number; i++) {
        result.tap_offset += (int64_t)result.y.taps * result.x.taps;
        result.y = axis_phase_of(i / w->stride, w->stride, w->dilation, w->top, w->kernel_h, w->in_h);
        result.x = axis_phase_of(i % w->stride, w->stride, w->dilation, w->left, w->kernel_w, w->in_w);
    }
    return result;
}

static int64_t phase_pixels(const fv_window *w, const phase *ph) {
    return (int64_t)w->n * ph->y.pixels * ph->x.pixels;
}

/* Packing --------------------------------------------------------------------------------------------- */

static void pack_tap(const fv_conv_taps *taps, int tap, fv_real *out) {
    const fv_real *in = taps->weight + (int64_t)tap * taps->rows * taps->stride;
    for (int i = 0; i < taps->rows; i++, in += taps->stride) {
        if (!taps->transpose) {
            fv_conv_copy(out + (int64_t)i * taps->columns, in, taps->columns);
        } else {
            for (int j = 0; j < taps->columns; j++) out[(int64_t)j * taps->rows + i] = in[j];
        }
    }
}

void fv_conv_transposed_pack(const fv_window *w, const fv_conv_taps *taps, fv_real *packed) {
    for (int i = 0; i < w->stride * w->stride; i++) {
        phase ph = phase_of(w, i);
        for (int a = 0; a < ph.y.taps; a++) {
            for (int b = 0; b < ph.x.taps; b++, packed += (int64_t)taps->rows * taps->columns) {
                pack_tap(taps, (ph.y.tap + a * ph.y.step) * w->kernel_w + ph.x.tap + b * ph.x.step, packed);
            }
        }
    }
}

void fv_conv_direct_pack(const fv_window *w, const fv_conv_taps *taps, fv_real *packed) {
    for (int t = 0; t < w->kernel_h * w->kernel_w; t++, packed += (int64_t)taps->rows * taps->columns) {
        pack_tap(taps, t, packed);
    }
}

/* Product --------------------------------------------------------------------------------------------- */

typedef struct transposed_task {
    const fv_conv_product *product;
    const fv_gemm_tiles *tiles;
    phase phase;
    fv_tiling tiling;
    size_t scratch;
} transposed_task;

static int phase_width(const phase *ph, int c_in) {
    return ph->y.taps * ph->x.taps * c_in;
}

static fv_tiling phase_tiling(const fv_window *w, const phase *ph, int c_in, int c_out) {
    int width = phase_width(ph, c_in);
    return fv_gemm_tiling(phase_pixels(w, ph), c_out, width, fv_conv_row_limit(width));
}

/* The window positions that meet pixels [begin, end) of the phase, zeros where there is none:
 * columns[pixel][tap][c_in]. */
static void gather_phase(const fv_conv_product *p, const phase *ph, int64_t begin, int64_t end, fv_real *columns) {
    const fv_window *w = &p->window;
    for (int64_t q = begin; q < end; q++) {
        int x = (int)(q % ph->x.pixels), y = (int)(q / ph->x.pixels % ph->y.pixels);
        const fv_real *image = p->in + q / ph->x.pixels / ph->y.pixels * w->out_h * w->out_w * p->in_stride;
        for (int a = 0; a < ph->y.taps; a++) {
            int i = ph->y.origin + y - a * ph->y.back;
            for (int b = 0; b < ph->x.taps; b++, columns += p->c_in) {
                int j = ph->x.origin + x - b * ph->x.back;
                if (i < 0 || i >= w->out_h || j < 0 || j >= w->out_w) {
                    fv_conv_clear(columns, p->c_in);
                } else {
                    fv_conv_copy(columns, image + ((int64_t)i * w->out_w + j) * p->in_stride, p->c_in);
                }
            }
        }
    }
}

/* Pixels of a phase that lie in one row of the picture are `stride` pixels apart: a product of its own with a wider
   distance of rows, straight into the picture. */
static void multiply_runs(const transposed_task *task, int64_t begin, int rows, int column, int columns,
                          const fv_gemm_left *a, const fv_gemm_right *b) {
    const fv_conv_product *p = task->product;
    const fv_window *w = &p->window;
    const phase *ph = &task->phase;
    for (int64_t q = begin; q < begin + rows;) {
        int64_t x = q % ph->x.pixels, y = q / ph->x.pixels % ph->y.pixels, image = q / ph->x.pixels / ph->y.pixels;
        int64_t run = fv_conv_smaller(ph->x.pixels - x, begin + rows - q);
        if (w->stride == 1) run = begin + rows - q; /* the only phase: all pixels lie side by side */
        int64_t pixel = (image * w->in_h + y * w->stride + ph->y.first) * w->in_w + x * w->stride + ph->x.first;
        fv_gemm_left part = {a->data + (q - begin) * a->row, a->row, a->step};
        fv_gemm_result result = fv_gemm_result_at(&p->result, pixel, column);
        result.ld *= w->stride;
        result.residual_ld *= w->stride;
        task->tiles->multiply(run, columns, phase_width(ph, p->c_in), &part, b, &result);
        q += run;
    }
}

static void multiply_tile(void *context, int64_t index, int worker) {
    const transposed_task *task = context;
    const fv_conv_product *p = task->product;
    const fv_tiling *t = &task->tiling;
    const phase *ph = &task->phase;
    int64_t begin = index / t->column_tiles * t->rows;
    int64_t end = fv_conv_smaller(begin + t->rows, phase_pixels(&p->window, ph));
    int column = (int)(index % t->column_tiles) * t->columns, width = phase_width(ph, p->c_in);
    int rows = (int)(end - begin), columns = (int)fv_conv_smaller(t->columns, p->c_out - column);
    fv_real *gathered = (fv_real *)((char *)p->scratch + (size_t)worker * task->scratch);
    gather_phase(p, ph, begin, end, gathered);
    fv_gemm_left a = {gathered, width, 1};
    fv_gemm_right b = {p->weight + ph->tap_offset * p->c_in * p->c_out + column, p->c_out, task->tiles->panel};
    multiply_runs(task, begin, rows, column, columns, &a, &b);
}

size_t fv_conv_transposed_scratch(const fv_window *w, int c_in, int c_out) {
    size_t most = 0;
    for (int i = 0; i < w->stride * w->stride; i++) {
        phase ph = phase_of(w, i);
        if (phase_pixels(w, &ph) == 0) continue;
        size_t rows = (size_t)phase_tiling(w, &ph, c_in, c_out).rows;
        size_t bytes = fv_align_up(rows * (size_t)phase_width(&ph, c_in) * sizeof(fv_real));
        if (bytes > most) most = bytes;
    }
    return most;
}

void fv_conv_transposed(const fv_conv_product *product) {
    const fv_window *w = &product->window;
    transposed_task task = {.product = product,
                            .tiles = fv_gemm_tiles_choose(),
                            .scratch = fv_conv_transposed_scratch(w, product->c_in, product->c_out)};
    for (int i = 0; i < w->stride * w->stride; i++) {
        task.phase = phase_of(w, i);
        if (phase_pixels(w, &task.phase) == 0) continue;
        task.tiling = phase_tiling(w, &task.phase, product->c_in, product->c_out);
        fv_parallel_for(task.tiling.row_tiles * task.tiling.column_tiles, multiply_tile, &task);
    }
}
