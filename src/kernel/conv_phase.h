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

/* The taps before a phase are counted by walking all phases before it: there are stride^2 of them. */
static inline phase phase_of(const fv_window *w, int number) {
    phase result = {.tap_offset = 0};
    for (int i = 0; i <= number; i++) {
        result.tap_offset += (int64_t)result.y.taps * result.x.taps;
        result.y = axis_phase_of(i / w->stride, w->stride, w->dilation, w->top, w->kernel_h, w->in_h);
        result.x = axis_phase_of(i % w->stride, w->stride, w->dilation, w->left, w->kernel_w, w->in_w);
    }
    return result;
}

static inline int64_t phase_pixels(const fv_window *w, const phase *ph) {
    return (int64_t)w->n * ph->y.pixels * ph->x.pixels;
}

#endif
