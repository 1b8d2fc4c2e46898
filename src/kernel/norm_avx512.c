#define FAMILY fv_norm_avx512
#define LEVEL FV_CPU_AVX512
#include "norm_body.h"
