#define FAMILY fv_pool_avx2
#define LEVEL FV_CPU_AVX2
#define LANES 8
#include "pool_body.h"
