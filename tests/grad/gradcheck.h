/* Gradient checks of single ops, in float64 (compiled with FV_DOUBLE), without graph or plan.

   fv_gradcheck_run() proves of one op and one choice of shapes and attributes:
   - d_in[i], for every differentiated input, equals five-point central differences of sum(out * d_out) for a random
   d_out: every element of tensors of up to FV_GRADCHECK_ALL elements, else a random direction and up to
   FV_GRADCHECK_SAMPLES elements (fewer where this would take seconds);
   - backward reads no more than backward_reads says: every in[] and out it does not name is NULL, parameters too, so an
   op that reads its weights in backward names them;
   - add[] accumulates; a d_in that is NULL is accepted and leaves the others alone; forward and backward leave inputs
   and d_out as they were; out, d_in, saved and work may hold NaN before the call;
   - nothing is written outside the buffers (guard bands), and 1, 2 and 3 threads give the same bits;
   - an in_place op gives the same bits with out == in[0], and with d_in[0] == d_out.

   Tolerance: with the step h = 1e-4, the stencil's error is h^4 f'''''/30, about 1e-17 for functions of order 1, and
   the rounding of the four values contributes about 1.5 * 2.2e-16 / h = 3e-12 of |out| per output touched. A gradient
   may therefore differ by FV_GRADCHECK_TOLERANCE = 1e-7 of the largest gradient of its tensor (a wrong formula differs
   by far more than that), and no less than 1e-9 of the largest |out|, for gradients that are 0. */
#ifndef FOVEA_TESTS_GRADCHECK_H
#define FOVEA_TESTS_GRADCHECK_H

#include "fovea/op/op.h"

#define FV_GRADCHECK_STEP 1e-4
#define FV_GRADCHECK_TOLERANCE 1e-7
#define FV_GRADCHECK_ALL 300
#define FV_GRADCHECK_SAMPLES 60

#define FV_OP(name) extern const fv_op fv_op_##name;
#include "fovea/op/op_list.h"
#undef FV_OP

/* The two members of fv_gradcheck that name an op: {FV_GRADCHECK_OP(relu), .inputs = 1, ...} */
#define FV_GRADCHECK_OP(op_name) .op = &fv_op_##op_name, .kind = FV_OP_##op_name

typedef enum fv_gradcheck_fill {
    FV_FILL_UNIFORM,     /* low .. high */
    FV_FILL_OFF_CORNERS, /* low .. high, at least 0.05 away from 0 and 6: for relu and relu6 */
    FV_FILL_DISTINCT,    /* low .. high, evenly spaced and shuffled, so no two are equal: for max_pool */
    FV_FILL_BINARY,      /* 0 or 1 */
} fv_gradcheck_fill;

typedef struct fv_gradcheck_input {
    fv_shape shape;
    fv_gradcheck_fill fill;
    double low, high; /* both 0: -1 .. 1 */
    bool fixed;       /* not differentiated: targets, running statistics */
    bool updated;     /* forward may change it: running statistics */
} fv_gradcheck_input;

/* With attributes.activation, the inputs are drawn again until no output before the activation is near a corner of it.
 */
typedef struct fv_gradcheck {
    const char *name; /* of the case, for messages */
    const fv_op *op;
    fv_op_kind kind;
    int inputs;
    fv_gradcheck_input in[FV_MAX_INPUTS];
    fv_attributes attributes;
    bool training;
    uint64_t seed; /* of inputs, d_out and dropout */
} fv_gradcheck;

/* Fails the running cmocka test, with all parameters printed, when something does not hold. */
void fv_gradcheck_run(const fv_gradcheck *check);
/* Fails unless infer() refuses the case with FV_BAD_INPUT and a sentence that contains the layer's name and `part`. */
void fv_gradcheck_refused(const fv_gradcheck *check, const char *part);

/* A buffer between two guard bands. */
typedef struct fv_guarded {
    void *block;
    size_t bytes;
    void *data; /* aligned to 64 bytes; NULL when bytes is 0 */
} fv_guarded;

/* One op with its memory: for comparing forward with a formula. call.in, call.out, call.d_out and call.d_in point to
   memory; inputs are drawn as `check` says and may be overwritten by the test. */
typedef struct fv_op_run {
    const fv_gradcheck *check;
    fv_op_spec spec;
    fv_op_call call;
    fv_guarded in[FV_MAX_INPUTS], d_in[FV_MAX_INPUTS], out, d_out, saved, work;
} fv_op_run;

/* Infers and allocates; fails the test when that does not work. */
void fv_op_run_start(fv_op_run *run, const fv_gradcheck *check);
/* Runs forward, backward with everything that may hold rubbish set to NaN, and looks at the guard bands. */
void fv_op_run_forward(fv_op_run *run);
void fv_op_run_backward(fv_op_run *run);
void fv_op_run_end(fv_op_run *run);

/* Fails unless |found - expected| <= tolerance (and for a NaN); the sentence tells both. */
#define FV_EXPECT_NEAR(found, expected, tolerance)                                                                     \
    fv_expect_near((double)(found), (double)(expected), tolerance, #found, __FILE__, __LINE__)
void fv_expect_near(double found, double expected, double tolerance, const char *what, const char *file, int line);

#endif
