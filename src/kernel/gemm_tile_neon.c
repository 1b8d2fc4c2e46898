#include "fovea/kernel/gemm_tile.h"
#ifdef FV_NEON_VARIANTS
#define FAMILY fv_gemm_tiles_neon
#define LEVEL FV_CPU_NEON
#define NAME "matrix product, NEON"
#define ROWS 12
#include "gemm_tile_body.h"
#endif
