#include "fovea/kernel/winograd.h"
#if defined(__x86_64__) && !defined(FV_DOUBLE)
#define FAMILY fv_winograd_avx512
#define LEVEL FV_CPU_AVX512
#include "winograd_body.h"
#endif
