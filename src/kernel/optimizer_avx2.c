#define FAMILY fv_optimizer_avx2
#define LEVEL FV_CPU_AVX2
#include "optimizer_body.h"
