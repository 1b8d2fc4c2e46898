#define FAMILY fv_elementwise_scalar
#define LEVEL FV_CPU_SCALAR
#include "elementwise_body.h"
