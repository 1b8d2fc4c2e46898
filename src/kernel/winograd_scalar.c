#define FV_SIMD_PLAIN
#define FAMILY fv_winograd_scalar
#define LEVEL FV_CPU_SCALAR
#include "winograd_body.h"
