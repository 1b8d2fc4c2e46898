#define FAMILY fv_loss_avx2
#define LEVEL FV_CPU_AVX2
#define FUSED_MULTIPLY_ADD
#include "loss_body.h"
