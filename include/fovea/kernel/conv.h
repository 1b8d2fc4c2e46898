/* Dense convolutions as matrix products: windows are gathered tile by tile into columns (im2col) that stay in cache,
   and the tiles of kernel/gemm_tile.h do the rest. Three products make a convolution and a transposed one, forwards and
   backwards:

     direct      out[p] = sum_t in[window p, tap t] W[t]     convolution; transposed convolution's input gradient
     transposed  out[window p, tap t] += in[p] W[t]          transposed convolution; convolution's input gradient
     weight      dW[t] = sum_p in[window p, tap t]^T out[p]  both

   Most 3x3 convolutions take the quicker way of kernel/winograd.h.

   A tensor is given by its first element and the distance of two pixels in elements, so that a group is a range of its
   channels. Scratch is one piece for each worker of fv_parallel_for(). Nothing depends on the number of threads but the
   size of the scratch. */
#ifndef FOVEA_KERNEL_CONV_H
#define FOVEA_KERNEL_CONV_H

#include <stddef.h>
#include <stdint.h>

#include "fovea/kernel/gemm.h"
#include "fovea/kernel/window.h"

/* Writes the windows of out-pixels [begin, end), taps [tap_begin, tap_end) of the kernel row by row: columns[p][t][c],
   zeros outside the image. `stride` is the distance of two pixels of `in`. */
typedef struct fv_conv_source {
    const fv_real *in;
    int stride, channels;
} fv_conv_source;

void fv_conv_gather(const fv_window *window, const fv_conv_source *source, int tap_begin, int tap_end, int64_t begin,
                    int64_t end, fv_real *columns);

/* result{pixels, c_out} = windows{pixels, taps*c_in} weight{taps*c_in, c_out}; its rows are the pixels. */
typedef struct fv_conv_product {
    fv_window window;
    int c_in, c_out;
    const fv_real *in;
    int in_stride;
    const fv_real *weight;
    int weight_stride; /* distance of two rows; 0: `weight` is as fv_conv_..._pack() left it (transposed: always) */
    fv_gemm_result result;
    void *scratch; /* fv_threads() times ..._scratch() bytes */
} fv_conv_product;

/* Bytes for one worker. */
size_t fv_conv_direct_scratch(const fv_window *window, int c_in, int c_out);
void fv_conv_direct(const fv_conv_product *product);

/* The other direction: reads out_h x out_w pixels of c_in channels, writes in_h x in_w pixels of c_out. Every in-pixel
   is gathered from the windows that meet it, so tiles are disjoint and no zeros are multiplied: the pixels fall into
   stride^2 phases, each with its own taps. */
size_t fv_conv_transposed_scratch(const fv_window *window, int c_in, int c_out);
void fv_conv_transposed(const fv_conv_product *product);

/* Weights as panels for the products above, in parallel: {taps, rows, columns}, rows `stride` apart, becomes for every
   tap a matrix {c_in, c_out}; with transpose, rows are c_out and columns c_in. For fv_conv_transposed() the taps are
   ordered by the phase that they belong to, for fv_conv_direct() they stay as they are. `packed` holds
   fv_gemm_packed_count(c_out, taps * c_in) elements. */
typedef struct fv_conv_taps {
    const fv_real *weight;
    int rows, columns, stride;
    bool transpose;
} fv_conv_taps;

void fv_conv_transposed_pack(const fv_window *window, const fv_conv_taps *taps, fv_real *packed);
void fv_conv_direct_pack(const fv_window *window, const fv_conv_taps *taps, fv_real *packed);

/* dw{taps, wide_channels, narrow_channels} = sum over window positions of (pixel of the in-side)^T (pixel of the
   out-side), or += with add. With `swap`, as a transposed convolution keeps its weight: {taps, narrow_channels,
   wide_channels}. */
typedef struct fv_conv_weight {
    fv_window window;
    const fv_real *wide; /* the tensor of in_h x in_w pixels */
    int wide_stride, wide_channels;
    const fv_real *narrow; /* the tensor of out_h x out_w pixels */
    int narrow_stride, narrow_channels;
    bool swap, add;
    fv_real *dw;
    int dw_stride; /* distance of two rows of dw */
    void *scratch; /* fv_threads() times fv_conv_weight_scratch() bytes */
    void *parts;   /* fv_conv_weight_parts() bytes */
} fv_conv_weight;

size_t fv_conv_weight_scratch(const fv_window *window, int wide_channels, int narrow_channels);
size_t fv_conv_weight_parts(const fv_window *window, int wide_channels, int narrow_channels);
void fv_conv_weight_run(const fv_conv_weight *product);

#endif
