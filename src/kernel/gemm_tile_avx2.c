#include "fovea/kernel/gemm_tile.h"
#if defined(__x86_64__) && !defined(FV_DOUBLE)
#define FAMILY fv_gemm_tiles_avx2
#define LEVEL FV_CPU_AVX2
#define NAME "matrix product, AVX2"
#define ROWS 6
#include "gemm_tile_body.h"
#endif
