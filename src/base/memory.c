#include "fovea/base/memory.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)

size_t fv_size_multiply(size_t a, size_t b) {
    size_t product;
    return __builtin_mul_overflow(a, b, &product) ? SIZE_MAX : product;
}

/* The number behind `field` of a /proc file of "Field:   1234 kB" lines, in bytes; 0 when it is not there. */
static size_t proc_bytes(const char *path, const char *field) {
    FILE *stream = fopen(path, "re");
    if (!stream) return 0;
    char line[256];
    unsigned long long kilobytes = 0;
    size_t length = strlen(field);
    while (fgets(line, sizeof line, stream))
        if (!strncmp(line, field, length) && sscanf(line + length, ": %llu kB", &kilobytes) == 1) break;
    fclose(stream);
    return (size_t)kilobytes * 1024;
}

/* The kernel grants more than it has and kills the process at the first touch of what is missing: ask before. */
static bool is_available(size_t bytes) {
    if (bytes < 32 * HUGE_PAGE) return true;
    size_t available = proc_bytes("/proc/meminfo", "MemAvailable");
    return available == 0 || bytes <= available + proc_bytes("/proc/meminfo", "SwapFree");
}

fv_status fv_block_allocate(size_t bytes, const char *what, void **block) {
    *block = NULL;
    if (bytes > PTRDIFF_MAX - 2 * HUGE_PAGE || !is_available(bytes)) return fv_fail_memory(what, bytes);
    size_t unit = bytes >= HUGE_PAGE ? HUGE_PAGE : FV_ALIGNMENT;
    size_t rounded = bytes ? (bytes + unit - 1) & ~(unit - 1) : unit;
    void *memory = aligned_alloc(unit, rounded);
    if (!memory) return fv_fail_memory(what, bytes);
    if (unit == HUGE_PAGE) madvise(memory, rounded, MADV_HUGEPAGE); /* only advice: refusal costs speed alone */
    memset(memory, 0, rounded);
    *block = memory;
    return FV_OK;
}

void fv_block_free(void *block) {
    free(block);
}

void *fv_allocate(size_t count, size_t size, const char *what) {
    size_t bytes = fv_size_multiply(count, size);
    void *memory = bytes <= PTRDIFF_MAX && is_available(bytes) ? calloc(bytes ? bytes : 1, 1) : NULL;
    if (!memory) fv_fail_memory(what, bytes);
    return memory;
}

void *fv_allocate_unset(size_t count, size_t size, const char *what) {
    size_t bytes = fv_size_multiply(count, size);
    void *memory = bytes <= PTRDIFF_MAX && is_available(bytes) ? malloc(bytes ? bytes : 1) : NULL;
    if (!memory) fv_fail_memory(what, bytes);
    return memory;
}

size_t fv_memory_peak(void) {
    return proc_bytes("/proc/self/status", "VmHWM");
}
