#define FAMILY fv_skeleton_avx2
#define LEVEL FV_CPU_AVX2
#include "skeleton_body.h"
