/* The promises that an op makes to plans (op/op.h) about the memory it is given and what it leaves: strides, epilogue,
   moments, results over operands, recompute. What it does for others (fold, map, work_behind, prepare) is tried through
   plans: tests/unit/test_plan.c, test_blocks.c. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
#include <cmocka.h>

#include "fovea/base/rng.h"
#include "gradcheck_parts.h"

#define MARGIN 3 /* channels of others at both sides of a range */
#define OTHERS 77.0

/* A tensor as a range of a wider tensor's channels. */
typedef struct range {
    fv_shape shape;
    fv_real *block, *data;
    int stride;
} range;

static range range_make(fv_shape shape, const fv_real *content) {
    range r = {.shape = shape, .stride = shape.c + 2 * MARGIN};
    size_t pixels = fv_shape_count(shape) / (size_t)shape.c, wide = (size_t)r.stride;
    r.block = malloc(pixels * wide * sizeof *r.block);
    assert_non_null(r.block);
    r.data = r.block + MARGIN;
    for (size_t i = 0; i < pixels * wide; i++) r.block[i] = OTHERS;
    for (size_t i = 0; i < pixels; i++)
        for (size_t c = 0; c < (size_t)shape.c; c++)
            r.data[i * wide + c] = content ? content[i * (size_t)shape.c + c] : (fv_real)NAN;
    return r;
}

static void expect_near(const fv_op_run *run, double found, double expected, double size, const char *what, size_t at) {
    if (!(fabs(found - expected) <= 1e-12 * (1 + size)))
        fv_gradcheck_complain(run->check, "%s: element %zu is %.17g, expected %.17g", what, at, found, expected);
}

static void range_expect(const fv_op_run *run, const range *r, const fv_real *expected, const char *what) {
    size_t channels = (size_t)r->shape.c, pixels = fv_shape_count(r->shape) / channels, wide = (size_t)r->stride;
    double size = 0;
    for (size_t i = 0; i < pixels * channels; i++) size = fmax(size, fabs((double)expected[i]));
    for (size_t i = 0; i < pixels * wide; i++) {
        size_t c = i % wide, at = i / wide * channels + c - MARGIN;
        bool inside = c >= MARGIN && c < MARGIN + channels;
        if (!inside && (double)r->block[i] != OTHERS)
            fv_gradcheck_complain(run->check, "%s: wrote outside its channels, %zu elements from the start", what, i);
        if (inside) expect_near(run, (double)r->block[i], (double)expected[at], size, what, at);
    }
}

static void compare_strides(fv_op_run *run, const reference *ref) {
    unsigned strided = run->check->op->strided;
    const fv_op_call kept = run->call;
    fv_op_call *call = &run->call;
    range in[FV_MAX_INPUTS] = {0}, d_in[FV_MAX_INPUTS] = {0}, out = {0}, d_out = {0};
    fv_op_run_restore(run, ref);
    for (int i = 0; i < run->check->inputs; i++) {
        if (!(strided & FV_READS_IN(i))) continue;
        in[i] = range_make(run->spec.in[i], ref->in[i]);
        d_in[i] = range_make(run->spec.in[i], NULL);
        call->in[i] = in[i].data;
        if (call->d_in[i]) call->d_in[i] = d_in[i].data;
        call->in_stride[i] = call->d_in_stride[i] = in[i].stride;
    }
    if (strided & FV_READS_OUT) {
        out = range_make(run->spec.out, NULL);
        d_out = range_make(run->spec.out, ref->d_out);
        call->out = out.data;
        call->d_out = d_out.data;
        call->out_stride = call->d_out_stride = out.stride;
    }
    fv_op_run_forward(run);
    if (out.data) range_expect(run, &out, ref->out, "out with strides");
    for (int i = 0; i < run->check->inputs; i++) /* running statistics */
        if (!in[i].data) memcpy(run->in[i].data, ref->in[i], run->in[i].bytes);
    fv_op_run_backward(run);
    for (int i = 0; i < run->check->inputs; i++)
        if (d_in[i].data && ref->d_in[i]) range_expect(run, &d_in[i], ref->d_in[i], "d_in with strides");
    for (int i = 0; i < FV_MAX_INPUTS; i++) {
        free(in[i].block);
        free(d_in[i].block);
    }
    free(out.block);
    free(d_out.block);
    run->call = kept;
}

static void compare_epilogue(fv_op_run *run, const reference *ref) {
    size_t channels = (size_t)run->spec.out.c, count = fv_shape_count(run->spec.out);
    const fv_op_call kept = run->call;
    fv_rng rng = fv_rng_make(run->check->seed, 0, 2, FV_PURPOSE_TEST);
    fv_real *numbers = malloc((2 * channels + 2 * count) * sizeof *numbers);
    assert_non_null(numbers);
    fv_real *scale = numbers, *offset = scale + channels, *residual = offset + channels, *expected = residual + count;
    for (size_t i = 0; i < 2 * channels + count; i++) numbers[i] = (fv_real)fv_rng_range(&rng, -1, 1);
    range apart = range_make(run->spec.out, residual);
    fv_epilogue e = {scale, offset, apart.data, apart.stride, (fv_real)-0.25, (fv_real)0.75};
    for (size_t i = 0; i < count; i++)
        expected[i] = (fv_real)fmin(
            fmax((double)(ref->out[i] * scale[i % channels] + offset[i % channels] + residual[i]), -0.25), 0.75);
    fv_op_run_restore(run, ref);
    run->call.training = false;
    run->call.epilogue = &e;
    fv_op_run_forward(run);
    for (size_t i = 0; i < count; i++)
        expect_near(run, (double)((fv_real *)run->out.data)[i], (double)expected[i], ref->largest_out, "epilogue", i);
    range same = range_make(run->spec.out, residual); /* the residual lies where the result is wanted */
    e.residual = run->call.out = same.data;
    run->call.out_stride = run->check->op->strided & FV_READS_OUT ? same.stride : 0;
    if (run->call.out_stride) {
        fv_op_run_forward(run);
        range_expect(run, &same, expected, "epilogue over its residual");
    }
    free(apart.block);
    free(same.block);
    free(numbers);
    run->call = kept;
}

static void compare_moments(fv_op_run *run, const reference *ref) {
    size_t channels = (size_t)run->spec.out.c, rows = fv_shape_count(run->spec.out) / channels;
    double *moments = malloc(2 * channels * sizeof *moments);
    assert_non_null(moments);
    fv_op_run_restore(run, ref);
    run->call.moments = moments;
    fv_op_run_forward(run);
    for (size_t c = 0; c < channels; c++) {
        double mean = 0, squares = 0;
        for (size_t r = 0; r < rows; r++) mean += (double)ref->out[r * channels + c] / (double)rows;
        for (size_t r = 0; r < rows; r++) squares += pow((double)ref->out[r * channels + c] - mean, 2);
        expect_near(run, moments[c], mean, ref->largest_out, "mean left by forward", c);
        expect_near(run, moments[channels + c], squares, squares + ref->largest_out, "squares left by forward", c);
    }
    run->call.moments = NULL;
    free(moments);
}

static void compare_recompute(fv_op_run *run, const reference *ref) {
    fv_op_run_restore(run, ref);
    fv_op_run_forward(run);
    memset(run->out.data, 0xFF, run->out.bytes);
    run->check->op->recompute(&run->call);
    if (memcmp(run->out.data, ref->out, run->out.bytes) != 0)
        fv_gradcheck_complain(run->check, "recompute gives other bits than forward");
    for (int i = 0; i < run->check->inputs; i++)
        if (memcmp(run->in[i].data, ref->in_after[i], run->in[i].bytes) != 0)
            fv_gradcheck_complain(run->check, "recompute changed in[%d]", i);
}

static void compare_over_input(fv_op_run *run, const reference *ref) {
    fv_op_run_restore(run, ref);
    fv_op_run_forward(run);
    fv_op_run_restore(run, ref);
    run->call.d_in[0] = run->in[0].data;
    fv_op_run_backward(run);
    for (int i = 0; i < run->check->inputs; i++)
        if (ref->d_in[i] && memcmp(run->call.d_in[i], ref->d_in[i], run->in[i].bytes) != 0)
            fv_gradcheck_complain(run->check, "d_in[%d] is another when d_in[0] lies over in[0]", i);
    run->call.d_in[0] = run->d_in[0].data;
    fv_op_run_restore(run, ref);
}

/* The residual: the result over it, and its gradient over the output's. */
static void compare_over_residual(fv_op_run *run, const reference *ref) {
    int residual = run->check->op->residual;
    const fv_op_call kept = run->call;
    fv_op_run_restore(run, ref);
    run->call.out = run->call.in[residual];
    fv_op_run_forward(run);
    if (memcmp(run->call.out, ref->out, run->out.bytes) != 0)
        fv_gradcheck_complain(run->check, "out is another when it lies over in[%d]", residual);
    run->call = kept;
    if (!ref->d_in[residual]) return;
    fv_op_run_restore(run, ref);
    fv_op_run_forward(run);
    fv_op_run_restore(run, ref);
    memcpy(run->d_in[residual].data, ref->d_out, run->d_out.bytes);
    run->call.d_out = run->d_in[residual].data;
    fv_op_run_backward(run);
    for (int i = 0; i < run->check->inputs; i++)
        if (ref->d_in[i] && memcmp(run->call.d_in[i], ref->d_in[i], run->in[i].bytes) != 0)
            fv_gradcheck_complain(run->check, "d_in[%d] is another when d_in[%d] lies over d_out", i, residual);
    run->call = kept;
}

static void compare_one_memory(fv_op_run *run, const reference *ref) {
    fv_op_run_restore(run, ref);
    fv_op_run_forward(run);
    fv_op_run_restore(run, ref);
    run->call.d_in[1] = run->call.d_in[0];
    fv_op_run_backward(run);
    for (int i = 0; i < 2; i++)
        if (memcmp(run->d_in[0].data, ref->d_in[i], run->in[i].bytes) != 0)
            fv_gradcheck_complain(run->check, "d_in[%d] is another in one memory with the other", i);
    run->call.d_in[1] = run->d_in[1].data;
}

void fv_gradcheck_contract(fv_op_run *run, const reference *ref) {
    const fv_op *op = run->check->op;
    fv_op_run_restore(run, ref);
    if (op->strided) compare_strides(run, ref);
    if (op->epilogue && !run->check->training) compare_epilogue(run, ref);
    if (op->moments) compare_moments(run, ref);
    if (op->recompute) compare_recompute(run, ref);
    if (op->overwrites_input && ref->d_in[0]) compare_over_input(run, ref);
    if (op->residual && op->residual < run->check->inputs) compare_over_residual(run, ref);
    if (op->same_gradients && ref->d_in[0] && ref->d_in[1]) compare_one_memory(run, ref);
    fv_op_run_restore(run, ref);
}
