#define FAMILY fv_loss_scalar
#define LEVEL FV_CPU_SCALAR
#include "loss_body.h"
