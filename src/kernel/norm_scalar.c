#define FAMILY fv_norm_scalar
#define LEVEL FV_CPU_SCALAR
#include "norm_body.h"
