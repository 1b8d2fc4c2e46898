#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <math.h>
#include <cmocka.h>

#include "gradcheck.h"

static const struct {
    fv_shape shape;
    int scale;
} cases[] = {{{1, 1, 1, 1}, 2},  {{2, 5, 3, 7}, 2}, {{1, 3, 4, 2}, 3},
             {{1, 2, 1, 33}, 4}, {{2, 1, 3, 1}, 5}, {{1, 3, 2, 5}, 1}};

static fv_gradcheck make_check(fv_shape shape, int scale) {
    return (fv_gradcheck){FV_GRADCHECK_OP(upsample_nearest), .inputs = 1, .in[0].shape = shape,
                          .attributes.scale = scale};
}

static void gradients(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fv_gradcheck check = make_check(cases[i].shape, cases[i].scale);
        check.seed = i;
        fv_gradcheck_run(&check);
    }
}

static double expected(const fv_real *x, fv_shape s, int scale, int n, int i, int j, int c) {
    return x[((n * s.h + i / scale) * s.w + j / scale) * s.c + c];
}

static void follows_formula(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        fv_gradcheck check = make_check(cases[k].shape, cases[k].scale);
        fv_op_run run;
        fv_op_run_start(&run, &check);
        fv_op_run_forward(&run);
        fv_shape in = cases[k].shape, out = run.spec.out;
        int scale = cases[k].scale;
        assert_true(fv_shape_equal(out, (fv_shape){in.n, in.h * scale, in.w * scale, in.c}));
        const fv_real *y = run.call.out;
        for (int n = 0; n < out.n; n++)
            for (int i = 0; i < out.h; i++)
                for (int j = 0; j < out.w; j++)
                    for (int c = 0; c < out.c; c++, y++)
                        FV_EXPECT_NEAR(*y, expected(run.call.in[0], in, scale, n, i, j, c), 1e-14);
        fv_op_run_end(&run);
    }
}

static void wrong_inputs(void **state) {
    (void)state;
    fv_gradcheck check = make_check((fv_shape){1, 2, 3, 4}, 0);
    fv_gradcheck_refused(&check, "scale of layer decoder.layer is 0, expected 1 to 64");
    check = make_check((fv_shape){1, 1 << 30, 3, 4}, 2);
    fv_gradcheck_refused(&check, "too large to be scaled by 2");
    check = make_check((fv_shape){1, 2, 0, 4}, 2);
    fv_gradcheck_refused(&check, "is 1x2x0x4, expected every size to be at least 1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients),
        cmocka_unit_test(follows_formula),
        cmocka_unit_test(wrong_inputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
