#include "fovea/op/op.h"

#define FV_OP(name) extern const fv_op fv_op_##name;
#include "fovea/op/op_list.h"
#undef FV_OP

const fv_op *const fv_op_table[FV_OP_COUNT] = {
#define FV_OP(name) &fv_op_##name,
#include "fovea/op/op_list.h"
#undef FV_OP
};
