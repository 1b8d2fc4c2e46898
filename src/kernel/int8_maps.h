/* What 8-bit layers do besides products, as loops that the compiler turns into vectors: included by every variant.
   Every product is fused with the sum behind it, by fmaf() where no instruction does it, so that all variants give the
   same bits. */
#include <math.h>
#include <string.h>

#include "fovea/kernel/int8.h"

/* Adding 1.5 * 2^23 rounds to the nearest whole number, ties to even, and leaves it in the low bits of the sum. */
static inline uint8_t to_byte(float value) {
    value = value < 0 ? 0 : value;
    value = value > 255 ? 255 : value;
    float shifted = value + 12582912.0f;
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    return (uint8_t)bits;
}

static void quantise(size_t count, const float *restrict x, float scale, float offset, uint8_t *restrict y) {
    for (size_t i = 0; i < count; i++) y[i] = to_byte(fmaf(x[i], scale, offset));
}

/* Of one row, from byte c on. */
static void rescale_rest(size_t c, size_t channels, const uint8_t *x, float scale, float offset, uint8_t *y) {
    for (; c < channels; c++) y[c] = to_byte(fmaf((float)x[c], scale, offset));
}

static void add(size_t count, const uint8_t *a, const uint8_t *b, float scale_a, float scale_b, float offset,
                uint8_t *restrict y) {
    for (size_t i = 0; i < count; i++) y[i] = to_byte(fmaf((float)a[i], scale_a, fmaf((float)b[i], scale_b, offset)));
}

static void logits(const fv_int8_layer *l, int64_t begin, int64_t end, const uint8_t *x, float *y) {
    for (int64_t pixel = begin; pixel < end; pixel++)
        for (int f = 0; f < l->filters; f++) {
            const uint8_t *in = x + pixel * l->channels;
            const int8_t *w = l->weight + (int64_t)f * l->channels;
            int32_t sum = 0;
            for (int k = 0; k < l->channels; k++) sum += in[k] * w[k];
            y[pixel * l->filters + f] = fmaf((float)sum, l->scale[f], l->offset[f]);
        }
}
