#define FAMILY fv_elementwise_avx2
#define LEVEL FV_CPU_AVX2
#define FUSED_MULTIPLY_ADD
#include "elementwise_body.h"
