#include "conv_phase.h"
#include "fovea/base/threads.h"
#include "fovea/kernel/conv.h"

/* One phase's taps: those of a row of the kernel are `step` apart, as are its rows. */
typedef struct pack_task {
    const fv_conv_taps *taps;
    fv_gemm_pack pack;
    axis_phase y, x;
    int kernel_w, columns, panels;
} pack_task;

/* One panel of one tap. */
static void pack_tap(void *context, int64_t index, int worker) {
    (void)worker;
    const pack_task *task = context;
    int number = (int)(index / task->panels), column = (int)(index % task->panels) * FV_GEMM_PANEL_MAX;
    int u = task->y.tap + number / task->x.taps * task->y.step, v = task->x.tap + number % task->x.taps * task->x.step;
    fv_gemm_pack pack = task->pack;
    pack.b += (int64_t)(u * task->kernel_w + v) * task->taps->rows * task->taps->stride;
    pack.packed += (int64_t)number * pack.k * pack.panel;
    int left = task->columns - column;
    fv_gemm_pack_columns(&pack, column, left < FV_GEMM_PANEL_MAX ? left : FV_GEMM_PANEL_MAX);
}

static void pack_phase(const fv_window *w, const fv_conv_taps *taps, const axis_phase *y, const axis_phase *x,
                       fv_real *packed) {
    pack_task task = {.taps = taps, .y = *y, .x = *x, .kernel_w = w->kernel_w};
    int panel = fv_gemm_tiles_choose()->panel, count = y->taps * x->taps;
    task.columns = taps->transpose ? taps->rows : taps->columns;
    task.panels = (task.columns + FV_GEMM_PANEL_MAX - 1) / FV_GEMM_PANEL_MAX;
    task.pack = (fv_gemm_pack){.b = taps->weight,
                               .ld = taps->stride,
                               .transpose = taps->transpose,
                               .k = taps->transpose ? taps->columns : taps->rows,
                               .panel = panel,
                               .packed = packed};
    task.pack.next = count * task.pack.k * panel;
    fv_parallel_for((int64_t)count * task.panels, pack_tap, &task);
}

void fv_conv_transposed_pack(const fv_window *w, const fv_conv_taps *taps, fv_real *packed) {
    int k = taps->transpose ? taps->columns : taps->rows, n = taps->transpose ? taps->rows : taps->columns;
    for (int64_t i = 0, offset = 0; i < (int64_t)w->stride * w->stride; i++) {
        phase ph = phase_of(w, (int)i, offset);
        offset += phase_taps(&ph);
        pack_phase(w, taps, &ph.y, &ph.x, packed + fv_gemm_packed_count(n, ph.tap_offset * k));
    }
}

void fv_conv_direct_pack(const fv_window *w, const fv_conv_taps *taps, fv_real *packed) {
    axis_phase y = {.step = 1, .taps = w->kernel_h}, x = {.step = 1, .taps = w->kernel_w};
    pack_phase(w, taps, &y, &x, packed);
}
