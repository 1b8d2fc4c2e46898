#define FAMILY fv_optimizer_scalar
#define LEVEL FV_CPU_SCALAR
#include "optimizer_body.h"
