/* The depthwise op: threads, and the epilogue of a plan for inference. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fovea/base/rng.h"
#include "fovea/base/threads.h"
#include "fovea/op/op.h"

extern const fv_op fv_op_depthwise;

static float *random_numbers(uint64_t seed, size_t count) {
    float *a = malloc((count + 1) * sizeof *a);
    assert_non_null(a);
    fv_rng rng = fv_rng_make(seed, 0, 0, FV_PURPOSE_TEST);
    for (size_t i = 0; i < count; i++) a[i] = (float)fv_rng_range(&rng, -1, 1);
    return a;
}

static fv_op_spec make_spec(fv_shape x, int stride) {
    fv_op_spec spec = {.kind = FV_OP_depthwise, .inputs = 2, .in = {x, {3, 3, 1, x.c}}};
    spec.attributes.stride = stride;
    spec.attributes.padding.mode = FV_PAD_SAME;
    assert_int_equal(fv_op_depthwise.infer(&spec, "layer"), FV_OK);
    return spec;
}

/* Runs the op forwards and backwards; results are y, dx, dw behind each other. */
static float *run_op(const fv_op_spec *spec, int threads, float *x, float *w, const float *d_out, size_t *count) {
    fv_threads_set(threads);
    size_t x_count = fv_shape_count(spec->in[0]), w_count = fv_shape_count(spec->in[1]),
           y_count = fv_shape_count(spec->out);
    *count = x_count + w_count + y_count;
    float *results = malloc(*count * sizeof *results);
    void *work = malloc(fv_op_depthwise.work_bytes(spec, true));
    assert_true(results && work);
    fv_op_call call = {.spec = spec, .in = {x, w}, .out = results, .d_out = d_out, .work = work};
    call.d_in[0] = results + y_count;
    call.d_in[1] = results + y_count + x_count;
    fv_op_depthwise.forward(&call);
    fv_op_depthwise.backward(&call);
    free(work);
    return results;
}

static void threads_leave_the_bits(void **state) {
    (void)state;
    static const fv_shape shapes[] = {{3, 37, 41, 12}, {1, 70, 9, 33}, {5, 8, 8, 40}, {2, 3, 130, 5}};
    for (int k = 0; k < 8; k++) {
        fv_op_spec spec = make_spec(shapes[k / 2], k % 2 + 1);
        float *x = random_numbers(4, fv_shape_count(spec.in[0])), *w = random_numbers(5, fv_shape_count(spec.in[1]));
        float *d_out = random_numbers(6, fv_shape_count(spec.out));
        size_t count;
        float *one = run_op(&spec, 1, x, w, d_out, &count);
        for (int threads = 2; threads <= 3; threads++) {
            float *more = run_op(&spec, threads, x, w, d_out, &count);
            assert_memory_equal(one, more, count * sizeof *one);
            free(more);
        }
        free(one);
        free(x);
        free(w);
        free(d_out);
    }
}

/* Scale, offset, a residual with a stride of its own, and limits, on three images: against the op without. */
static void epilogue_is_fused(void **state) {
    (void)state;
    fv_op_spec spec = make_spec((fv_shape){3, 13, 21, 20}, 1);
    enum { CHANNELS = 20, STRIDE = 23 };
    size_t count = fv_shape_count(spec.out), pixels = count / CHANNELS;
    float *x = random_numbers(1, count), *w = random_numbers(2, 9 * CHANNELS), *scale = random_numbers(3, 2 * CHANNELS);
    float *residual = random_numbers(4, pixels * STRIDE), *plain = malloc(count * sizeof *plain);
    float *fused = malloc(count * sizeof *fused);
    assert_true(plain && fused);
    fv_op_call call = {.spec = &spec, .in = {x, w}, .out = plain};
    fv_op_depthwise.forward(&call);
    fv_epilogue epilogue = {scale, scale + CHANNELS, residual, STRIDE, 0, 1.5f};
    call.out = fused;
    call.epilogue = &epilogue;
    assert_true(fv_op_depthwise.epilogue);
    fv_op_depthwise.forward(&call);
    int clamped = 0;
    for (size_t i = 0; i < count; i++) {
        size_t c = i % CHANNELS;
        double y = (double)plain[i] * (double)scale[c] + (double)scale[CHANNELS + c] +
                   (double)residual[i / CHANNELS * STRIDE + c];
        clamped += y < 0 || y > 1.5;
        assert_true(fabs((double)fused[i] - fmin(fmax(y, 0), 1.5)) < 2e-6);
    }
    assert_in_range(clamped, count / 4, count * 3 / 4);
    free(x);
    free(w);
    free(scale);
    free(residual);
    free(plain);
    free(fused);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_leave_the_bits),
        cmocka_unit_test(epilogue_is_fused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
