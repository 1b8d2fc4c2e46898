#define FAMILY fv_skeleton_avx512
#define LEVEL FV_CPU_AVX512
#include "skeleton_body.h"
