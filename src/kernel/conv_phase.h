/* The phases of a transposed convolution: with stride s, the in-pixels fall into s^2 classes, each of which meets its
   own taps. */
#ifndef FOVEA_SRC_KERNEL_CONV_PHASE_H
#define FOVEA_SRC_KERNEL_CONV_PHASE_H

#include "fovea/kernel/window.h"

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

static inline axis_phase axis_phase_of(int first, int stride, int dilation, int padding, int kernel, int size) {
    axis_phase a = {.first = first, .pixels = first < size ? (size - 1 - first) / stride + 1 : 0, .tap = 0, .step = 1};
    while (a.tap < kernel && (first + padding - a.tap * dilation) % stride != 0) a.tap++;
    while (a.step * dilation % stride != 0) a.step++;
    a.taps = a.tap < kernel ? (kernel - 1 - a.tap) / a.step + 1 : 0;
    a.origin = (first + padding - a.tap * dilation) / stride;
    a.back = a.step * dilation / stride;
    return a;
}

/* Phase `number` of stride^2; `tap_offset` counts the taps of those before it, which whoever walks through them adds
 * up.
 */
static inline phase phase_of(const fv_window *w, int number, int64_t tap_offset) {
    return (phase){.y = axis_phase_of(number / w->stride, w->stride, w->dilation, w->top, w->kernel_h, w->in_h),
                   .x = axis_phase_of(number % w->stride, w->stride, w->dilation, w->left, w->kernel_w, w->in_w),
                   .tap_offset = tap_offset};
}

static inline int64_t phase_taps(const phase *ph) {
    return (int64_t)ph->y.taps * ph->x.taps;
}

static inline int64_t phase_pixels(const fv_window *w, const phase *ph) {
    return (int64_t)w->n * ph->y.pixels * ph->x.pixels;
}

#endif
