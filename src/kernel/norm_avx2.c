#define FAMILY fv_norm_avx2
#define LEVEL FV_CPU_AVX2
#include "norm_body.h"
