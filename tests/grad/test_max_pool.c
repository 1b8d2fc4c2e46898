#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <math.h>
#include <cmocka.h>

#include "gradcheck.h"

typedef struct pool_case {
    fv_shape shape, out;
    int kernel_h, kernel_w, stride;
    fv_padding padding;
} pool_case;

static const pool_case cases[] = {
    {{2, 6, 4, 7}, {2, 3, 2, 7}, 2, 2, 2, {0}},
    {{1, 7, 5, 3}, {1, 3, 2, 3}, 2, 2, 2, {0}},
    {{1, 7, 5, 3}, {1, 4, 3, 3}, 2, 2, 2, {.mode = FV_PAD_SAME}},
    {{2, 7, 6, 5}, {2, 4, 3, 5}, 3, 3, 2, {FV_PAD_EXPLICIT, 1, 1, 1, 1}},
    {{1, 5, 6, 70}, {1, 3, 3, 70}, 3, 3, 2, {.mode = FV_PAD_SAME}},
    {{1, 4, 9, 2}, {1, 4, 9, 2}, 3, 5, 0, {.mode = FV_PAD_SAME}},
    {{1, 5, 7, 2}, {1, 2, 3, 2}, 2, 1, 3, {FV_PAD_EXPLICIT, 1, 0, 0, 0}},
    {{1, 20, 19, 3}, {1, 5, 4, 3}, 16, 16, 1, {0}},
    {{1, 18, 17, 1}, {1, 2, 2, 1}, 17, 16, 1, {0}},
    {{1, 1, 1, 4}, {1, 1, 1, 4}, 1, 1, 1, {0}},
};

static fv_gradcheck make_check(const pool_case *p) {
    fv_gradcheck check = {FV_GRADCHECK_OP(max_pool), .inputs = 1};
    check.in[0] = (fv_gradcheck_input){.shape = p->shape, .fill = FV_FILL_DISTINCT, .low = -9, .high = -1};
    check.attributes = (fv_attributes){.kernel_h = p->kernel_h, .kernel_w = p->kernel_w, .stride = p->stride};
    check.attributes.padding = p->padding;
    return check;
}

static void gradients(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fv_gradcheck check = make_check(&cases[i]);
        check.seed = i;
        fv_gradcheck_run(&check);
    }
}

static double best_of(const fv_op_run *run, fv_shape in, int n, int i, int j, int c) {
    const fv_attributes *a = &run->spec.attributes;
    double best = -INFINITY;
    for (int u = 0; u < a->kernel_h; u++) {
        for (int v = 0; v < a->kernel_w; v++) {
            int y = i * a->stride + u - a->padding.top, x = j * a->stride + v - a->padding.left;
            if (y < 0 || x < 0 || y >= in.h || x >= in.w) continue;
            best = fmax(best, run->call.in[0][((n * in.h + y) * in.w + x) * in.c + c]);
        }
    }
    return best;
}

/* All values are negative, so padding that counted as 0 would show. */
static void follows_formula(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        fv_gradcheck check = make_check(&cases[k]);
        fv_op_run run;
        fv_op_run_start(&run, &check);
        fv_shape out = run.spec.out;
        assert_true(fv_shape_equal(out, cases[k].out));
        fv_op_run_forward(&run);
        const fv_real *y = run.call.out;
        for (int n = 0; n < out.n; n++)
            for (int i = 0; i < out.h; i++)
                for (int j = 0; j < out.w; j++)
                    for (int c = 0; c < out.c; c++, y++)
                        FV_EXPECT_NEAR(*y, best_of(&run, cases[k].shape, n, i, j, c), 0);
        fv_op_run_end(&run);
    }
}

/* Which of a 2x2 window takes the gradient when values are equal, or not numbers. */
static void winner(void **state) {
    (void)state;
    static const struct {
        double x[4];
        int first;
    } windows[] = {
        {{1, 1, 1, 1}, 0}, {{0, 3, 3, 1}, 1}, {{0, NAN, 5, NAN}, 3}, {{-INFINITY, -INFINITY, -INFINITY, -INFINITY}, 0}};
    pool_case pool = {.shape = {1, 2, 2, 1}, .kernel_h = 2, .kernel_w = 2, .stride = 2};
    for (size_t k = 0; k < sizeof windows / sizeof windows[0]; k++) {
        fv_gradcheck check = make_check(&pool);
        fv_op_run run;
        fv_op_run_start(&run, &check);
        for (int i = 0; i < 4; i++) run.call.in[0][i] = windows[k].x[i];
        fv_op_run_forward(&run);
        assert_int_equal(isnan(windows[k].x[windows[k].first]), isnan(run.call.out[0]));
        fv_op_run_backward(&run);
        for (int i = 0; i < 4; i++)
            FV_EXPECT_NEAR(run.call.d_in[0][i], i == windows[k].first ? run.call.d_out[0] : 0, 0);
        fv_op_run_end(&run);
    }
}

static void wrong_inputs(void **state) {
    (void)state;
    pool_case pool = {.shape = {1, 4, 4, 1}, .kernel_h = 5, .kernel_w = 2, .stride = 2};
    fv_gradcheck check = make_check(&pool);
    fv_gradcheck_refused(&check, "is 1x4x4x1, expected no smaller than its 5x2 kernel");
    check.attributes.kernel_h = 0;
    fv_gradcheck_refused(&check, "kernel of layer decoder.layer is 0x2");
    check.attributes.kernel_h = 2;
    check.attributes.padding.left = 2;
    fv_gradcheck_refused(&check, "less than its 2x2 kernel");
    check.attributes.padding.left = 0;
    check.attributes.stride = -1;
    fv_gradcheck_refused(&check, "stride of layer decoder.layer is -1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients),
        cmocka_unit_test(follows_formula),
        cmocka_unit_test(winner),
        cmocka_unit_test(wrong_inputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
