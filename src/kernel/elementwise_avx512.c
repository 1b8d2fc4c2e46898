#define FAMILY fv_elementwise_avx512
#define LEVEL FV_CPU_AVX512
#define FUSED_MULTIPLY_ADD
#include "elementwise_body.h"
