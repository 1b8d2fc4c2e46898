#include "fovea/kernel/gemm_tile.h"
#ifdef FV_X86_VARIANTS
#define FAMILY fv_gemm_tiles_avx512
#define LEVEL FV_CPU_AVX512
#define NAME "matrix product, AVX-512"
#define ROWS 14
#include "gemm_tile_body.h"
#endif
