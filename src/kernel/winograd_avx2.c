#include "fovea/kernel/winograd.h"
#ifdef FV_X86_VARIANTS
#define FAMILY fv_winograd_avx2
#define LEVEL FV_CPU_AVX2
#include "winograd_body.h"
#endif
