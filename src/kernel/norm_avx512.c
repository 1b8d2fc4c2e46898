#define FAMILY fv_norm_avx512
#define LEVEL FV_CPU_AVX512
#define FUSED_MULTIPLY_ADD
#include "norm_body.h"
