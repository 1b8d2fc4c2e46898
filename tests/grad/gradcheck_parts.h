/* Between gradcheck.c and gradcheck_contract.c. */
#ifndef TESTS_GRAD_GRADCHECK_PARTS_H
#define TESTS_GRAD_GRADCHECK_PARTS_H

#include "gradcheck.h"

/* Inputs, d_out and the results of the first run: what every later run is compared with. */
typedef struct reference {
    fv_real *in[FV_MAX_INPUTS], *d_in[FV_MAX_INPUTS], *out, *d_out;
    fv_real *in_after[FV_MAX_INPUTS]; /* forward */
    double largest_out;
} reference;

/* Prints the case and the complaint, and fails the test. */
void fv_gradcheck_complain(const fv_gradcheck *check, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));
/* Inputs as they were before the first run. */
void fv_op_run_restore(fv_op_run *run, const reference *ref);
/* What the op promises to plans by its flags strided, epilogue, moments, recompute and overwrites_input. */
void fv_gradcheck_contract(fv_op_run *run, const reference *ref);

#endif
