#define FAMILY fv_skeleton_scalar
#define LEVEL FV_CPU_SCALAR
#include "skeleton_body.h"
