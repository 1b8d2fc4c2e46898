/* 16-bit floating point numbers of model files: IEEE 754 binary16 ("half": 1 sign, 5 exponent, 10 fraction bits, 6e-8
   to 65504) and bfloat16 (the upper half of a float32). fovea computes in float32; these are forms of storage. */
#ifndef FOVEA_TENSOR_HALF_H
#define FOVEA_TENSOR_HALF_H

#include <stddef.h>
#include <stdint.h>

#define FV_HALF_MAX 65504.0f /* the largest finite half */

/* The nearest half, of two equally near ones the even one. From 65520 up it is infinite, below 2^-24 a subnormal number
   or zero; a NaN stays one, with the upper bits of its payload, and becomes quiet. Bit for bit what VCVTPS2PH does. */
uint16_t fv_half_from_float(float value);
/* Exact: every half is a float32. A NaN becomes quiet, as in VCVTPH2PS. */
float fv_half_to_float(uint16_t half);
/* Exact, bit for bit. */
float fv_bfloat16_to_float(uint16_t bfloat16);

/* The same for `count` numbers, which the compiler turns into vector code. 16-bit numbers may stand at any address, as
   they do in files; arrays must not overlap. */
void fv_halves_from_floats(size_t count, const float *values, void *halves);
void fv_halves_to_floats(size_t count, const void *halves, float *values);
void fv_bfloat16s_to_floats(size_t count, const void *bfloat16s, float *values);

#endif
