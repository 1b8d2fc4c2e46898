#define FAMILY fv_norm_avx2
#define LEVEL FV_CPU_AVX2
#define FUSED_MULTIPLY_ADD
#include "norm_body.h"
