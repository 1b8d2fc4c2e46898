#define FAMILY fv_loss_avx512
#define LEVEL FV_CPU_AVX512
#define FUSED_MULTIPLY_ADD
#include "loss_body.h"
