#include "conv_phase.h"
#include "conv_tile.h"
#include "fovea/base/memory.h"
#include "fovea/base/threads.h"
#include "fovea/kernel/conv.h"

typedef struct transposed_task {
    const fv_conv_product *product;
    const fv_gemm_tiles *tiles;
    fv_tiling tiling; /* of the phase with most pixels: the others have as many tiles, of fewer */
    size_t scratch;
} transposed_task;

static int phase_width(const phase *ph, int c_in) {
    return ph->y.taps * ph->x.taps * c_in;
}

/* For all phases: the first one has as many pixels as any. */
static fv_tiling tiling_of(const fv_window *w, int c_in, int c_out, int *widest) {
    phase first = phase_of(w, 0, 0);
    *widest = 0;
    for (int i = 0; i < w->stride * w->stride; i++) {
        phase ph = phase_of(w, i, 0);
        if (phase_width(&ph, c_in) > *widest) *widest = phase_width(&ph, c_in);
    }
    return fv_gemm_tiling(phase_pixels(w, &first), c_out, *widest, fv_conv_row_limit(*widest));
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

/* Whether the pixels of the phase are those of the input, one by one: nothing needs to be gathered. */
static bool is_input(const fv_window *w, const phase *ph) {
    return ph->y.taps == 1 && ph->x.taps == 1 && ph->y.origin == 0 && ph->x.origin == 0 && ph->y.pixels == w->out_h &&
           ph->x.pixels == w->out_w;
}

/* Pixels of a phase that lie in one row of the picture are `stride` pixels apart: a product of its own with a wider
   distance of rows, straight into the picture. */
static void multiply_runs(const transposed_task *task, const phase *ph, int64_t begin, int64_t end, int column,
                          const fv_gemm_left *a, const fv_gemm_right *b) {
    const fv_conv_product *p = task->product;
    const fv_window *w = &p->window;
    int columns = (int)fv_conv_smaller(task->tiling.columns, p->c_out - column);
    for (int64_t q = begin; q < end;) {
        int64_t x = q % ph->x.pixels, y = q / ph->x.pixels % ph->y.pixels, image = q / ph->x.pixels / ph->y.pixels;
        int64_t run = fv_conv_smaller(ph->x.pixels - x, end - q);
        if (w->stride == 1) run = end - q; /* the only phase: all pixels lie side by side */
        int64_t pixel = (image * w->in_h + y * w->stride + ph->y.first) * w->in_w + x * w->stride + ph->x.first;
        fv_gemm_left part = {a->data + (q - begin) * a->row, a->row, a->step, false};
        fv_gemm_result result = fv_gemm_result_at(&p->result, pixel, column);
        result.stream = fv_gemm_streams(&p->result, fv_window_in_pixels(w), p->c_out);
        result.ld *= w->stride;
        result.residual_ld *= w->stride;
        task->tiles->multiply(run, columns, phase_width(ph, p->c_in), &part, b, &result);
        q += run;
    }
}

/* A tile of every phase, so that its input is read from memory once. */
static void multiply_tile(void *context, int64_t index, int worker) {
    const transposed_task *task = context;
    const fv_conv_product *p = task->product;
    const fv_tiling *t = &task->tiling;
    const fv_window *w = &p->window;
    fv_real *gathered = (fv_real *)((char *)p->scratch + (size_t)worker * task->scratch);
    int column = (int)(index % t->column_tiles) * t->columns;
    for (int64_t i = 0, taps = 0; i < (int64_t)w->stride * w->stride; i++) {
        phase ph = phase_of(w, (int)i, taps);
        taps += phase_taps(&ph);
        int64_t begin = index / t->column_tiles * t->rows;
        int64_t end = fv_conv_smaller(begin + t->rows, phase_pixels(w, &ph));
        if (begin >= end) continue;
        int width = phase_width(&ph, p->c_in);
        fv_gemm_left a = {p->in + begin * p->in_stride, p->in_stride, 1,
                          fv_gemm_is_far(fv_window_out_pixels(w), p->c_in)};
        if (!is_input(w, &ph)) {
            gather_phase(p, &ph, begin, end, gathered);
            a = (fv_gemm_left){gathered, width, 1, false};
        }
        fv_gemm_right b = fv_conv_packed(p->weight + fv_gemm_packed_count(p->c_out, ph.tap_offset * p->c_in),
                                         task->tiles->panel, width, column);
        multiply_runs(task, &ph, begin, end, column, &a, &b);
    }
}

size_t fv_conv_transposed_scratch(const fv_window *w, int c_in, int c_out) {
    int widest;
    size_t rows = (size_t)tiling_of(w, c_in, c_out, &widest).rows;
    return fv_align_up(rows * (size_t)widest * sizeof(fv_real));
}

void fv_conv_transposed(const fv_conv_product *p) {
    int widest;
    transposed_task task = {.product = p,
                            .tiles = fv_gemm_tiles_choose(),
                            .tiling = tiling_of(&p->window, p->c_in, p->c_out, &widest),
                            .scratch = fv_conv_transposed_scratch(&p->window, p->c_in, p->c_out)};
    fv_parallel_for(task.tiling.row_tiles * task.tiling.column_tiles, multiply_tile, &task);
}
