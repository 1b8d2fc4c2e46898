/* Gradient noise that depends on nothing but its arguments: textures of the phantoms. */
#ifndef FOVEA_DATASET_PHANTOM_NOISE_H
#define FOVEA_DATASET_PHANTOM_NOISE_H

#include <math.h>
#include <stdint.h>

/* Well mixed 32 bits of a lattice point (finaliser of MurmurHash3, public domain arithmetic). */
static inline uint32_t fv_noise_hash(int32_t x, int32_t y, uint32_t seed) {
    uint32_t h = (uint32_t)x * 0x9E3779B1u ^ ((uint32_t)y * 0x85EBCA77u + seed);
    h ^= h >> 16;
    h *= 0x85EBCA6Bu;
    h ^= h >> 13;
    h *= 0xC2B2AE35u;
    return h ^ h >> 16;
}

/* The lattice point's pseudorandom gradient times the offset (dx, dy) from it. */
static inline float fv_noise_corner(int32_t x, int32_t y, uint32_t seed, float dx, float dy) {
    uint32_t h = fv_noise_hash(x, y, seed);
    float gradient_x = (float)(int32_t)(h & 0xFFFF) * (1.0f / 32768.0f) - 1.0f;
    float gradient_y = (float)(int32_t)(h >> 16) * (1.0f / 32768.0f) - 1.0f;
    return gradient_x * dx + gradient_y * dy;
}

/* Perlin's gradient noise (1985, fade of 2002), about -0.8 .. 0.8, one feature a unit. |x|, |y| below 2^30. */
static inline float fv_noise(float x, float y, uint32_t seed) {
    int32_t column = (int32_t)x - (x < (float)(int32_t)x), row = (int32_t)y - (y < (float)(int32_t)y);
    float dx = x - (float)column, dy = y - (float)row;
    float fade_x = dx * dx * dx * (dx * (dx * 6.0f - 15.0f) + 10.0f);
    float fade_y = dy * dy * dy * (dy * (dy * 6.0f - 15.0f) + 10.0f);
    float a = fv_noise_corner(column, row, seed, dx, dy), b = fv_noise_corner(column + 1, row, seed, dx - 1.0f, dy);
    float c = fv_noise_corner(column, row + 1, seed, dx, dy - 1.0f);
    float d = fv_noise_corner(column + 1, row + 1, seed, dx - 1.0f, dy - 1.0f);
    float top = a + fade_x * (b - a), bottom = c + fade_x * (d - c);
    return top + fade_y * (bottom - top);
}

/* Sum of `octaves` layers, each twice as fine and half as strong, turned so that the lattices don't line up. */
static inline float fv_noise_octaves(float x, float y, int octaves, uint32_t seed) {
    float sum = 0.0f, weight = 1.0f;
    for (int i = 0; i < octaves; i++, weight *= 0.5f) {
        sum += weight * fv_noise(x, y, seed + (uint32_t)i * 0x68E31DA4u);
        float turned = 1.6f * x - 1.2f * y;
        y = 1.2f * x + 1.6f * y;
        x = turned;
    }
    return sum;
}

/* 0 below `low`, 1 above `high`, smooth between. */
static inline float fv_smoothstep(float low, float high, float x) {
    float t = (x - low) / (high - low);
    t = t < 0.0f ? 0.0f : t > 1.0f ? 1.0f : t;
    return t * t * (3.0f - 2.0f * t);
}

#endif
