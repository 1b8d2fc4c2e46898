/* What the processor can do, and how far the user lets us go. */
#ifndef FOVEA_BASE_CPU_H
#define FOVEA_BASE_CPU_H

/* Where the AVX2 and AVX-512 variants of kernels are built: float32 on x86-64. */
#if defined(__x86_64__) && !defined(FV_DOUBLE)
#define FV_X86_VARIANTS
#endif
/* And those of NEON, which every arm64 has. Plain C is compiled into NEON as well there; variants are for what a
   compiler doesn't find of itself. */
#if defined(__aarch64__) && !defined(FV_DOUBLE)
#define FV_NEON_VARIANTS
#endif

typedef enum fv_cpu_level { FV_CPU_SCALAR, FV_CPU_AVX2, FV_CPU_AVX512, FV_CPU_NEON } fv_cpu_level;

/* The highest level that both the CPU and the environment variable FOVEA_CPU=scalar|avx2|avx512|neon allow. */
fv_cpu_level fv_cpu(void);
/* Lowers (never raises above the CPU's own) the level for the rest of the process: for tests. */
void fv_cpu_limit(fv_cpu_level level);
const char *fv_cpu_name(fv_cpu_level level);
/* The processor's own description ("model name" of /proc/cpuinfo), "unknown" elsewhere. */
const char *fv_cpu_model(void);

#endif
