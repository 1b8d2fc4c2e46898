/* 3x3 convolutions of stride 1 with few channels and filters, where Winograd's transformations cost more than they save
   and a matrix product has too few columns to fill a vector.

   The three picture rows under a row of results are kept as one line, in which a pixel's channels of all three rows
   stand side by side: line{x, row, channel}. So the window of a result is one stretch of the line, and a matrix product
   whose left rows are such stretches, overlapping, needs no gathering. The line's three slots take turns: the next row
   of results copies one picture row, and finds its weights in the order of the slots.

   Where there are fewer filters than a vector has lanes, the results of several neighbouring pixels are one row of the
   product: of g pixels, with stretches of g + 2 and weights {g + 2, 3, c_in} x {g, c_out}, of which 2 in g + 2 are
   zeros. The weight gradient is the transposed product. */
#ifndef FOVEA_KERNEL_CONV_NARROW_H
#define FOVEA_KERNEL_CONV_NARROW_H

#include "fovea/kernel/conv3x3.h"

/* Whether this way is open to the window, and quicker than the others. */
bool fv_conv_narrow_accepts(const fv_window *window, int c_in, int c_out);

size_t fv_conv_narrow_work(const fv_window *window, int c_in, int c_out);
void fv_conv_narrow_run(const fv_conv3x3_product *product);

size_t fv_conv_narrow_weight_work(const fv_window *window, int c_in, int c_out);
void fv_conv_narrow_weight_run(const fv_conv3x3_weight *product);

#endif
