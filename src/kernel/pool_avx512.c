#define FAMILY fv_pool_avx512
#define LEVEL FV_CPU_AVX512
#define LANES 16
#include "pool_body.h"
