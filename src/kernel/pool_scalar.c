#define FAMILY fv_pool_scalar
#define LEVEL FV_CPU_SCALAR
#include "pool_body.h"
