#define FAMILY fv_optimizer_avx512
#define LEVEL FV_CPU_AVX512
#include "optimizer_body.h"
