/* The loops of kernel/limit.h. The includer defines FAMILY, the type `vector`, and load(), store(), store_streaming(),
   fill() and multiply_add() on it. */
#include "fovea/kernel/limit.h"

#define LANES ((int)(sizeof(vector) / sizeof(float)))
#define CHAINS                                                                                                         \
    10 /* two units with a latency of four cycles want eight; sixteen registers hold no more than a dozen              \
        */
#define UNROLLED 8

static float multiply_adds(int64_t rounds) {
    vector sums[CHAINS], factor = fill(0.999f), addend = fill(0.001f), total = fill(0);
    for (int k = 0; k < CHAINS; k++) sums[k] = fill((float)k);
    for (int64_t i = 0; i < rounds; i++)
        for (int step = 0; step < UNROLLED; step++)
            for (int k = 0; k < CHAINS; k++) sums[k] = multiply_add(sums[k], factor, addend);
    for (int k = 0; k < CHAINS; k++) total = multiply_add(sums[k], factor, total);
    float parts[LANES], sum = 0;
    store(parts, total);
    for (int j = 0; j < LANES; j++) sum += parts[j];
    return sum;
}

static void triad(const float *a, const float *b, float *c, size_t count, bool stream) {
    vector factor = fill(3);
    if (stream) {
        for (size_t i = 0; i < count; i += LANES)
            store_streaming(c + i, multiply_add(load(b + i), factor, load(a + i)));
        return;
    }
    for (size_t i = 0; i < count; i += 4 * LANES)
        for (size_t j = i; j < i + 4 * LANES; j += LANES) store(c + j, multiply_add(load(b + j), factor, load(a + j)));
}

const fv_limit_kernels FAMILY = {2.0 * CHAINS * UNROLLED * LANES, multiply_adds, triad};
