#include "fovea/base/rng.h"

#include <math.h>

/* One step of splitmix64 (Steele, Lea and Flood, 2014; constants of Vigna's version). */
static uint64_t splitmix64(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t rotate_left(uint64_t x, int bits) {
    return x << bits | x >> (64 - bits);
}

fv_rng fv_rng_make(uint64_t seed, uint64_t epoch, uint64_t sample, fv_purpose purpose) {
    const uint64_t words[4] = {seed, epoch, sample, (uint64_t)purpose};
    uint64_t state = 0;
    for (int i = 0; i < 4; i++) {
        state ^= words[i];
        state = splitmix64(&state);
    }
    fv_rng rng;
    for (int i = 0; i < 4; i++) rng.s[i] = splitmix64(&state);
    return rng;
}

uint64_t fv_rng_next(fv_rng *rng) {
    uint64_t *s = rng->s;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

double fv_rng_uniform(fv_rng *rng) {
    return (double)(fv_rng_next(rng) >> 11) * 0x1p-53;
}

double fv_rng_range(fv_rng *rng, double low, double high) {
    double value = low + (high - low) * fv_rng_uniform(rng);
    return value < high ? value : low; /* rounding can reach high */
}

double fv_rng_normal(fv_rng *rng) {
    double radius = sqrt(-2 * log(1 - fv_rng_uniform(rng))); /* the logarithm's argument is in (0, 1] */
    return radius * cos(2 * 3.14159265358979323846 * fv_rng_uniform(rng));
}

/* Lemire's multiplication (2019): the draws that would favour small results are thrown away. */
uint32_t fv_rng_below(fv_rng *rng, uint32_t n) {
    uint32_t reject = -n % n; /* 2^32 mod n */
    uint64_t product;
    do product = (fv_rng_next(rng) >> 32) * n;
    while ((uint32_t)product < reject);
    return (uint32_t)(product >> 32);
}

void fv_rng_shuffle(fv_rng *rng, uint32_t *items, uint32_t count) {
    for (uint32_t i = count; i > 1; i--) {
        uint32_t j = fv_rng_below(rng, i);
        uint32_t kept = items[i - 1];
        items[i - 1] = items[j];
        items[j] = kept;
    }
}
