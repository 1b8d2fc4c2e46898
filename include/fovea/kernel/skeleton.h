/* The soft skeleton of Shit et al., "clDice - a Novel Topology-Preserving Loss Function for Tubular Structure
   Segmentation", CVPR 2021, with its gradient.

   Of an image E_0 with values in 0 .. 1, every channel for itself: E_{j+1} = erosion of E_j, the minimum over a pixel
   and its four neighbours; O_j = dilation of E_{j+1}, the maximum over 3x3 pixels; D_j = max(E_j - O_j, 0), what
   opening takes away; for j = 0 .. k, k being the number of iterations:
       S_0 = D_0,  S_j = S_{j-1} + D_j - S_{j-1} D_j,  skeleton = S_k = 1 - product over j of (1 - D_j)
   Beyond the border there is nothing that could be the minimum or the maximum. */
#ifndef FOVEA_KERNEL_SKELETON_H
#define FOVEA_KERNEL_SKELETON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fovea/base/cpu.h"
#include "fovea/tensor/tensor.h"

#define FV_SKELETON_MOST_ITERATIONS 50

/* What the gradient needs: iterations + 1 planes (tensors of the image's shape) in each array. */
typedef struct fv_skeleton_trace {
    fv_real *slopes;             /* derivative of the skeleton by D_j; 0 where D_j is 0 */
    uint8_t *erosion, *dilation; /* which neighbour E_{j+1} and O_j come from: (dy + 1) * 3 + dx + 1 */
} fv_skeleton_trace;

/* work: 2 planes with a trace, 3 without; trace: NULL when no gradient is wanted. iterations: 0 ..
 * FV_SKELETON_MOST_ITERATIONS. */
void fv_skeleton_run(fv_shape shape, int iterations, const fv_real *image, fv_real *skeleton,
                     const fv_skeleton_trace *trace, fv_real *work);
/* d_image from d_skeleton. work: 2 planes. Where values are equal, the pixel itself takes the gradient, then the
   neighbours left, right, above, above left, above right, below, below left, below right. Mostly equal values come from
   one pixel, and it makes no difference. */
void fv_skeleton_gradient(fv_shape shape, int iterations, const fv_skeleton_trace *trace, const fv_real *d_skeleton,
                          fv_real *d_image, fv_real *work);

/* Three rows, the one above, the one in question and the one below, NULL beyond the border, of `count` elements in
   pixels of `channels`. */
typedef struct fv_skeleton_rows {
    size_t count, channels;
    const fv_real *row[3];
    const uint8_t *origin[3]; /* of gather() */
} fv_skeleton_rows;

/* The inner loops; all variants give the same bits. */
typedef struct fv_skeleton_kernels {
    fv_cpu_level level;
    /* out = minimum over the cross, or (dilate) maximum over 3x3; origin may be NULL. */
    void (*extreme)(const fv_skeleton_rows *rows, bool dilate, fv_real *out, uint8_t *origin);
    /* out += those of row[] whose origin is the pixel; `dilate` as it was for the origins. */
    void (*gather)(const fv_skeleton_rows *rows, bool dilate, fv_real *out);
} fv_skeleton_kernels;

/* The variants, best first, plain C last, then NULL. */
extern const fv_skeleton_kernels *const fv_skeleton_variants[];

#endif
