/* 3x3 convolutions of stride 1 by Winograd's minimal filtering F(4x4, 3x3) (Winograd 1980; Lavin and Gray 2016): the
   picture is cut into tiles of 4x4 results, each from 6x6 inputs, and

     Y = A^T [ sum over channels of (G g G^T) . (B^T d B) ] A,

   where the product of the transformed pixels d and weights g is 36 matrix products of tiles x channels x filters: 36
   multiplications for what takes 144 directly. The same points give the weight gradient as F(3x3, 4x4): 3x3 results of
   6x6 pixels and 4x4 gradients. The points are 0, +-sqrt(1/2), +-sqrt(2) and infinity: next to those of Lavin and Gray
   (0, 1, -1, 2, -2) they need as many operations and lose fewer digits (Barabasz et al. 2020). Error against exact
   arithmetic: about 1e-6 of the results' root mean square, tested to stay below 1e-5
   (tests/unit/test_kernel_conv3x3.c).

   The convolution's input gradient is a convolution too, with the weights turned round and transposed. */
#ifndef FOVEA_KERNEL_WINOGRAD_H
#define FOVEA_KERNEL_WINOGRAD_H

#include <stddef.h>

#include "fovea/kernel/conv3x3.h"

#define FV_WINOGRAD_PLANES 36 /* 6 x 6 */

/* Whether this way is open to the window (3x3, stride 1, dilation 1, padding 0 to 2) and quicker than
   fv_conv_direct(): for few channels, the transformations outweigh what the products save. */
bool fv_winograd_accepts(const fv_window *window, int c_in, int c_out);

size_t fv_winograd_work(const fv_window *window, int c_in, int c_out);
void fv_winograd_run(const fv_conv3x3_product *product);
size_t fv_winograd_weight_work(const fv_window *window, int c_in, int c_out);
void fv_winograd_weight_run(const fv_conv3x3_weight *product);

/* The transformations, one thread ---------------------------------------------------------------------- */

/* Tile t lies in picture t / (tiles_y tiles_x), row by row. */
typedef struct fv_winograd_grid {
    int in_h, in_w, out_h, out_w, top, left;
    int tiles_y, tiles_x;
} fv_winograd_grid;

/* Transformed data: element (plane, row, column) stands at data[plane * plane_size + row * row_size + column]; rows are
   tiles, or channels for weights. Rows are as long as a whole number of vectors. */
typedef struct fv_winograd_planes {
    fv_real *data;
    int64_t plane_size, row_size;
} fv_winograd_planes;

/* Weights of `channels` x `filters`: those of tap t stand at data[t * tap + c * row + f], or with `turned` at tap 8 -
 * t.
 */
typedef struct fv_winograd_taps {
    const fv_real *data;
    int64_t tap, row;
    int channels, filters;
    bool turned;
} fv_winograd_taps;

typedef struct fv_winograd_transforms {
    fv_cpu_level level;
    /* B^T d B of tiles [begin, end) into rows 0 .. end - begin - 1, where d is `in`, or with a map (NULL: none) the map
       of it, and zero outside the picture. */
    void (*input)(const fv_winograd_grid *grid, const fv_real *in, int stride, int channels, const fv_norm_map *map,
                  int64_t begin, int64_t end, const fv_winograd_planes *out);
    /* G g G^T of a block of weights as panels for fv_gemm_tiles: filter f of channel c of a plane stands at
       packed[(f / panel * 36 + plane) * channels * panel + c * panel + f % panel], zeros behind the last filter. */
    void (*weight)(const fv_winograd_taps *taps, int panel, fv_real *packed);
    /* A^T m A of rows 0 .. end - begin - 1 to tiles [begin, end), `filters` of them, which result points to for the
       first pixel; the first tile begins result->sums, which are as long as rows. */
    void (*output)(const fv_winograd_grid *grid, const fv_winograd_planes *in, int filters, int64_t begin, int64_t end,
                   const fv_gemm_result *result);
    /* The 4x4 gradients' transformation of F(3x3, 4x4), as input(). */
    void (*gradient)(const fv_winograd_grid *grid, const fv_real *d_out, int stride, int filters, int64_t begin,
                     int64_t end, const fv_winograd_planes *out);
    /* Its output: dw[tap][c][f] (+)= for rows (channels) 0 .. channels - 1 and `filters` columns. dw points to the
       first of them in tap 0; rows are c_out apart, taps c_in c_out. */
    void (*weight_gradient)(const fv_winograd_planes *in, int channels, int filters, int c_in, int c_out, bool add,
                            fv_real *dw);
} fv_winograd_transforms;

/* The family for fv_cpu() as it is now. */
const fv_winograd_transforms *fv_winograd_transforms_choose(void);

/* The variants, best first, plain C last, then NULL. */
extern const fv_winograd_transforms *const fv_winograd_variants[];
extern const fv_winograd_transforms fv_winograd_scalar, fv_winograd_avx2, fv_winograd_avx512, fv_winograd_neon;

#endif
