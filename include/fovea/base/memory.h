/* One large, aligned block of memory, sized before it is used: what a plan runs in. */
#ifndef FOVEA_BASE_MEMORY_H
#define FOVEA_BASE_MEMORY_H

#include <stddef.h>

#include "fovea/base/status.h"

#define FV_ALIGNMENT 64 /* bytes: a cache line, and an AVX-512 register */

/* Rounds a byte count up to a multiple of FV_ALIGNMENT. */
static inline size_t fv_align_up(size_t bytes) {
    return (bytes + FV_ALIGNMENT - 1) & ~(size_t)(FV_ALIGNMENT - 1);
}

/* a * b, or SIZE_MAX when the product does not fit: use it for every size that comes from a file. */
size_t fv_size_multiply(size_t a, size_t b);

/* Allocates `bytes` of zeroed memory aligned to FV_ALIGNMENT, on huge pages where the kernel allows, every page touched
   once so that no page fault happens later. `what` names it in the error. Free with fv_block_free(). bytes may be 0.
   FV_NO_RESOURCE when the allocator refuses, or when a large block exceeds the memory that the kernel calls available.
 */
fv_status fv_block_allocate(size_t bytes, const char *what, void **block);
void fv_block_free(void *block);

/* calloc(count, size) with a checked product and an fv_fail_memory() sentence on failure. Free with free(). */
void *fv_allocate(size_t count, size_t size, const char *what);
/* The same with any values in it: clearing a large piece that is written whole takes as long as writing it. */
void *fv_allocate_unset(size_t count, size_t size, const char *what);

/* Peak resident memory of this process in bytes (VmHWM); 0 where unknown. */
size_t fv_memory_peak(void);

#endif
