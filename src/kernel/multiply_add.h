/* MULTIPLY_ADD(a, b, c) = a b + c for the *_body.h: fused where that is one instruction: on arm64, and where the
   includer defines FUSED_MULTIPLY_ADD. (In -std=c17 gcc doesn't fuse of itself, and clang fuses what it likes.) */
#ifndef FOVEA_KERNEL_MULTIPLY_ADD_H
#define FOVEA_KERNEL_MULTIPLY_ADD_H

#if (defined(FUSED_MULTIPLY_ADD) || defined(__aarch64__)) && !defined(FV_DOUBLE)
#define MULTIPLY_ADD(a, b, c) __builtin_fmaf(a, b, c)
#else
#define MULTIPLY_ADD(a, b, c) ((a) * (b) + (c))
#endif

#endif
