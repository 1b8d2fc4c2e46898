#include "fovea/kernel/winograd.h"
#ifdef FV_NEON_VARIANTS
#define FAMILY fv_winograd_neon
#define LEVEL FV_CPU_NEON
#include "winograd_body.h"
#endif
