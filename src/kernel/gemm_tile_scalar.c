#define FV_SIMD_PLAIN
#define FAMILY fv_gemm_tiles_scalar
#define LEVEL FV_CPU_SCALAR
#define NAME "matrix product, plain C"
#define ROWS 6
#include "gemm_tile_body.h"
