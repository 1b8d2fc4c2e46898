#include "fovea/kernel/gemm_tile.h"
#ifdef FV_X86_VARIANTS
#define FAMILY fv_gemm_tiles_avx2
#define LEVEL FV_CPU_AVX2
#define NAME "matrix product, AVX2"
#define ROWS 6
#include "gemm_tile_body.h"
#endif
