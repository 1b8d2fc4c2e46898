/* An op is one file, src/op/op_<name>.c: shape inference, memory, forward, backward and cost together, in one table.

   Adding an op: write op_<name>.c that defines `const fv_op fv_op_<name>`, add one line to op/op_list.h, add
   tests/grad/test_<name>.c. */
#ifndef FOVEA_OP_OP_H
#define FOVEA_OP_OP_H

#include <stdint.h>

#include "fovea/base/status.h"
#include "fovea/kernel/norm.h"
#include "fovea/tensor/tensor.h"

#define FV_MAX_INPUTS 6

typedef enum fv_op_kind {
#define FV_OP(name) FV_OP_##name,
#include "fovea/op/op_list.h"
#undef FV_OP
    FV_OP_COUNT
} fv_op_kind;

typedef enum fv_activation { FV_ACT_NONE, FV_ACT_RELU, FV_ACT_RELU6 } fv_activation;

typedef enum fv_padding_mode {
    FV_PAD_EXPLICIT, /* the four numbers */
    FV_PAD_SAME,     /* TensorFlow's: out = ceil(in / stride), the odd row or column at the bottom and right */
} fv_padding_mode;

typedef struct fv_padding {
    fv_padding_mode mode;
    int top, left, bottom, right; /* resolved by the op's infer() for FV_PAD_SAME */
} fv_padding;

/* Attributes of all ops together; an op reads the ones that its comment in op_list.h names. 0 means "default". */
typedef struct fv_attributes {
    int kernel_h, kernel_w; /* px */
    int stride, dilation;   /* 0 means 1 */
    int groups;             /* 0 means 1 */
    fv_padding padding;
    fv_activation activation;
    double epsilon;        /* batch and group norm */
    double momentum;       /* running = (1 - momentum) * running + momentum * batch */
    double rate;           /* dropout: share of channels set to zero */
    double step;           /* quantise: distance of two values; 0: the values are half precision's */
    int zero, least, most; /* quantise: which whole number stands for 0, and the range of them */
    int scale;             /* upsampling */
    double weight_bce, weight_dice, weight_focal, weight_tversky, weight_cldice; /* losses; 0 is 0 */
    double focal_alpha, focal_gamma, tversky_alpha, tversky_beta;                /* 0 is 0 */
    int cldice_iterations;
    double smooth;        /* Dice, Tversky, clDice: added to numerators and denominators; 0 means 1 */
    bool dice_over_batch; /* these three of the whole batch instead of the mean over samples */
} fv_attributes;

/* What an op knows when the plan is made. */
typedef struct fv_op_spec {
    fv_op_kind kind;
    int inputs;
    fv_shape in[FV_MAX_INPUTS];
    fv_shape out; /* set by infer() */
    fv_attributes attributes;
} fv_op_spec;

/* What a plan for inference has fused into the op before it: out = min(max(y scale[c] + offset[c] + residual, low),
   high), where y is the op's own result, bias included. */
typedef struct fv_epilogue {
    const fv_real *scale, *offset; /* per channel of out; both NULL: 1 and 0 */
    const fv_real *residual;       /* a tensor of out's shape, or NULL; may be out itself */
    int residual_stride;           /* as out_stride */
    fv_real low, high;             /* minus and plus INFINITY for none */
} fv_epilogue;

/* What it is given at run time. All pointers belong to the plan's block; those of whole tensors are aligned to 64
   bytes, those of a range of a wider tensor's channels to 4.

   Strides are the distance of two neighbouring pixels in elements, 0 for a tensor that stands alone (its number of
   channels). Only an op that says so in `strided` is given others. */
typedef struct fv_op_call {
    const fv_op_spec *spec;
    fv_real *in[FV_MAX_INPUTS]; /* in backward: NULL unless backward_reads says it is read (parameters always there) */
    fv_real *out;               /* in backward: NULL unless backward_reads has FV_READS_OUT */
    const fv_real *d_out;       /* gradient of the loss by out */
    fv_real *d_in[FV_MAX_INPUTS]; /* gradient by in[i]; NULL where nobody needs it */
    bool add[FV_MAX_INPUTS];      /* d_in[i] += instead of = */
    void *saved;                  /* saved_bytes() that live from forward to backward */
    void *work;                   /* work_bytes(), undefined at the start of each call */
    void *prepared;               /* NULL, or what prepare() made of the parameters for forward */
    bool training;                /* batch statistics and dropout, as against running statistics and none */
    uint64_t seed, step, node;    /* for dropout: fv_rng_make(seed, step, node, FV_PURPOSE_DROPOUT) */
    int in_stride[FV_MAX_INPUTS], out_stride, d_in_stride[FV_MAX_INPUTS], d_out_stride; /* see above */
    const fv_epilogue *epilogue; /* NULL: none; else only for an op with `epilogue`, and never with `training` */
    double *moments; /* NULL: none. For an op with `moments`: where forward leaves, per channel of out, the mean over
                        all pixels and then the sum of squared differences from it (2 C doubles). For batch_norm in
                        training: those of in[0], left there by the op before it. */
    const fv_norm_map *in_map; /* NULL: none. For an op that maps_input(): where it reads in[0], it takes the map of it
                                */
    /* NULL, or the call of the op that makes in[0], which is then not there: forward does the work of both. Only
       outside training, for an op whose work_behind() allows it. */
    const struct fv_op_call *before;
} fv_op_call;

/* The distance of two pixels of a tensor of `channels` channels, from one of the strides of a call. */
static inline int fv_pixel_stride(int stride, int channels) {
    return stride ? stride : channels;
}

#define FV_READS_IN(i) (1u << (i))
#define FV_READS_OUT (1u << 31)

typedef struct fv_op {
    const char *name;
    unsigned backward_reads; /* which of in[] and out backward() looks at; the planner frees the rest */
    bool in_place;           /* forward may have out == in[0], backward d_in[0] == d_out (never with add[0]) */
    /* The input, other than in[0], that is added to the result in[0] gives, before the activation; 0: none, and a node
       need not have it. Its gradient is d_out behind the activation. Forward may have out == in[residual] instead of
       in[0], backward d_in[residual] == d_out instead of d_in[0] (never with add[residual]). */
    int residual;
    unsigned strided; /* FV_READS_IN(i): in[i] and d_in[i], FV_READS_OUT: out and d_out may have strides of their own */
    bool epilogue;    /* forward honours call->epilogue */
    bool moments;     /* forward fills call->moments */
    /* Backward may have d_in[0] == in[0]: it has looked at in[0] for the last time before it writes d_in[0]. */
    bool overwrites_input;
    /* d_in[0] and d_in[1] are the same numbers: where neither adds, backward may be given one memory for both. */
    bool same_gradients;
    /* For an op whose result a plan may make again when backward needs it, instead of keeping it: writes out once more,
       the same bits, from in[] and saved, and changes nothing else. NULL: too expensive to be done as a matter of
       course; where memory is short forward is called again, which must then have that property. */
    void (*recompute)(const fv_op_call *call);
    /* For an op that is out = in[0] scale[c] + offset[c] outside training, then in[residual] added where the
       node has it, then the activation of its attributes: these coefficients, which a plan for inference hands to the
       op before it. NULL: no such op. */
    void (*fold)(const fv_op_spec *spec, fv_real *const in[], fv_real *scale, fv_real *offset);
    /* For an op whose recompute() is a map of each channel of in[0]: the map's coefficients, C numbers each, from
       call->saved and the parameters. NULL: no such op. */
    void (*map)(const fv_op_call *call, fv_real *center, fv_real *scale, fv_real *offset, fv_norm_map *map);
    /* Whether forward and backward honour call->in_map. NULL: no. */
    bool (*maps_input)(const fv_op_spec *spec);
    /* Outside training, what forward would otherwise make of its parameters in each call: bytes, 0 for nothing, and the
       making, in[] being the parameters alone. NULL: nothing. */
    size_t (*prepared_bytes)(const fv_op_spec *spec);
    void (*prepare)(const fv_op_call *call);
    /* Work memory of forward when it does the op `before` it along, 0 where it cannot or that does not pay. NULL:
     * never.
     */
    size_t (*work_behind)(const fv_op_spec *spec, const fv_op_spec *before);
    /* Fills defaults, resolves padding, checks input shapes and sets spec->out. `layer` names the node in errors. */
    fv_status (*infer)(fv_op_spec *spec, const char *layer);
    size_t (*saved_bytes)(const fv_op_spec *spec);               /* NULL: none */
    size_t (*work_bytes)(const fv_op_spec *spec, bool backward); /* NULL: none; may use fv_threads() as of now */
    void (*forward)(const fv_op_call *call);
    void (*backward)(const fv_op_call *call);
    double (*macs)(const fv_op_spec *spec); /* multiply-accumulates of forward; NULL: 0 */
    /* Where it depends on attributes what backward reads; goes before backward_reads. NULL: it does not. */
    unsigned (*reads)(const fv_op_spec *spec);
} fv_op;

/* The table, indexed by kind. */
extern const fv_op *const fv_op_table[FV_OP_COUNT];

#endif
