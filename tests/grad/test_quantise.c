/* Rounding has no slope that finite differences could find: results and the gradient that stands for it, number by
   number. */
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gradcheck.h"

#define COUNT 7

static void expect(const fv_attributes *attributes, const double x[COUNT], const double y[COUNT],
                   const double slope[COUNT]) {
    fv_gradcheck check = {FV_GRADCHECK_OP(quantise), .inputs = 1, .in[0].shape = {1, 1, 1, COUNT}};
    check.attributes = *attributes;
    for (int add = 0; add < 2; add++) {
        fv_op_run run;
        fv_op_run_start(&run, &check);
        for (int i = 0; i < COUNT; i++) run.call.in[0][i] = x[i];
        fv_op_run_forward(&run);
        run.call.add[0] = add;
        for (int i = 0; i < COUNT; i++) run.call.d_in[0][i] = 10;
        fv_op_run_backward(&run);
        for (int i = 0; i < COUNT; i++) {
            FV_EXPECT_NEAR(run.call.out[i], y[i], 0);
            FV_EXPECT_NEAR(run.call.d_in[0][i], slope[i] * run.call.d_out[i] + (add ? 10 : 0), 1e-12);
        }
        fv_op_run_end(&run);
    }
}

/* Steps of a quarter, -1 to 2.75; what lies between two goes to the even one. */
static void to_steps(void **state) {
    (void)state;
    static const double x[COUNT] = {-9, -1, 0.1, 0.125, 0.375, 2.7, 3}, y[COUNT] = {-1, -1, 0, 0, 0.5, 2.75, 2.75},
                        slope[COUNT] = {0, 1, 1, 1, 1, 1, 0};
    expect(&(fv_attributes){.step = 0.25, .zero = 4, .least = 0, .most = 15}, x, y, slope);
}

static void to_halves(void **state) {
    (void)state;
    static const double x[COUNT] = {0, 1 + 1 / 2048.0, 1 + 3 / 2048.0, -3, 65504, 0.1, 1e-9},
                        y[COUNT] = {0, 1, 1 + 4 / 2048.0, -3, 65504, 0.0999755859375, 0},
                        slope[COUNT] = {1, 1, 1, 1, 1, 1, 1};
    expect(&(fv_attributes){.step = 0}, x, y, slope);
}

static void steps_that_make_no_sense_are_refused(void **state) {
    (void)state;
    static const fv_attributes wrong[] = {{.step = -1, .most = 255},
                                          {.step = 1, .most = 255, .zero = 256},
                                          {.step = 1, .least = 5, .most = 255},
                                          {.step = 1, .most = 70000},
                                          {.step = 1, .least = -32768, .most = INT_MAX}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        fv_op_spec spec = {.kind = FV_OP_quantise, .inputs = 1, .in = {{1, 2, 2, 1}}, .attributes = wrong[i]};
        assert_int_equal(fv_op_quantise.infer(&spec, "x"), FV_BAD_INPUT);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(to_steps), cmocka_unit_test(to_halves),
                                       cmocka_unit_test(steps_that_make_no_sense_are_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
