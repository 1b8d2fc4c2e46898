#define FAMILY fv_pool_scalar
#define LEVEL FV_CPU_SCALAR
#define LANES 4
#include "pool_body.h"
