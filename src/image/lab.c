/* The definitions (CIE 15, IEC 61966-2-1), f being the cube root with a straight piece near black and Xn, Yn, Zn white:
       L = 116 f(Y/Yn) - 16,   a = 500 (f(X/Xn) - f(Y/Yn)),   b = 200 (f(Y/Yn) - f(Z/Zn)).
   CLAHE is a steep function of L: one level apart before it is several apart behind it. So the arithmetic is the one
   that OpenCV uses for bytes, in integers: gamma with 3 bits behind the point, matrices with 12, f with 15, and 14 on
   the way back. The results are the same for all 2^24 colours, both ways. */
#include "lab.h"

#include <math.h>
#include <pthread.h>

enum {
    MATRIX_BITS = 12,
    GAMMA_BITS = 3,
    ROOT_BITS = MATRIX_BITS + GAMMA_BITS,
    ROOT_COUNT = 256 * 3 / 2 << GAMMA_BITS, /* 1.5 times white: room for the roundings of the matrix */
    BACK_BITS = 14,
    BACK_ONE = 1 << BACK_BITS,
    CUBE_FIRST = -8145, /* smallest f(X) or f(Z), in 1 / BACK_ONE, that bytes of L, a and b can give */
    CUBE_COUNT = BACK_ONE * 9 / 4,
    DISPLAY_BITS = 12,
    DISPLAY_COUNT = 1 << DISPLAY_BITS,
};

static struct {
    uint16_t linear[256];                 /* sRGB byte to light, 255 << GAMMA_BITS at white */
    uint16_t root[ROOT_COUNT];            /* f */
    int to_lab[9];                        /* linear RGB to X/Xn, Y/Yn, Z/Zn */
    uint16_t light[256], light_root[256]; /* byte of L to Y/Yn and f(Y/Yn) */
    int cube[CUBE_COUNT];                 /* inverse of f */
    int to_rgb[9];
    uint8_t display[DISPLAY_COUNT]; /* light to sRGB byte */
} tables;

static const double white[3] = {0.950456, 1, 1.088754};

static double decode_gamma(double x) {
    return x <= 0.04045 ? x / 12.92 : pow((x + 0.055) / 1.055, 2.4);
}

static double encode_gamma(double x) {
    return x <= 0.0031308 ? x * 12.92 : 1.055 * pow(x, 1 / 2.4) - 0.055;
}

/* In single precision, cut instead of rounded: three entries of the table lie on an edge where that decides. */
static float cube_root(float x) {
    double root = cbrt(x);
    float cut = (float)root;
    return cut > root ? nextafterf(cut, 0) : cut;
}

static void make_forward_tables(void) {
    static const double rgb_to_xyz[9] = {0.412453, 0.357580, 0.180423, 0.212671, 0.715160,
                                         0.072169, 0.019334, 0.119193, 0.950227};
    for (int i = 0; i < 9; i++) tables.to_lab[i] = (int)lrint(rgb_to_xyz[i] / white[i / 3] * (1 << MATRIX_BITS));
    for (int i = 0; i < 256; i++) tables.linear[i] = (uint16_t)lrint(decode_gamma(i / 255.0) * (255 << GAMMA_BITS));
    for (int i = 0; i < ROOT_COUNT; i++) {
        float x = (float)i * (1.0F / (255 << GAMMA_BITS));
        float f = x < 216.0F / 24389 ? x * (841.0F / 108) + 16.0F / 116 : cube_root(x);
        tables.root[i] = (uint16_t)lrintf(f * (1 << ROOT_BITS));
    }
}

static void make_light_tables(void) {
    for (int i = 0; i < 256; i++) {
        double lightness = i * 100 / 255.0, f = (lightness + 16) / 116, y = f * f * f;
        if (lightness <= 8) {
            y = lightness * 27 / 24389;
            f = y * 841 / 108 + 16.0 / 116;
        }
        tables.light[i] = (uint16_t)lrint(y * BACK_ONE);
        tables.light_root[i] = (uint16_t)lrint(f * BACK_ONE);
    }
}

static void make_backward_tables(void) {
    static const double xyz_to_rgb[9] = {3.240479, -1.53715, -0.498535, -0.969256, 1.875991,
                                         0.041556, 0.055648, -0.204043, 1.057311};
    for (int i = 0; i < 9; i++) tables.to_rgb[i] = (int)lrint(xyz_to_rgb[i] * white[i % 3] * (1 << MATRIX_BITS));
    make_light_tables();
    for (int i = 0; i < CUBE_COUNT; i++) {
        int f = i + CUBE_FIRST; /* straight below 6 / 29 */
        tables.cube[i] = f <= 3390 ? f * 108 / 841 - BACK_ONE * 16 / 116 * 108 / 841 : f * f / BACK_ONE * f / BACK_ONE;
    }
    for (int i = 0; i < DISPLAY_COUNT; i++) {
        tables.display[i] = (uint8_t)lrint(encode_gamma(i / (double)DISPLAY_COUNT) * 255);
    }
}

static void make_tables(void) {
    make_forward_tables();
    make_backward_tables();
}

static void need_tables(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_tables);
}

static inline int round_shift(int value, int bits) {
    return (value + (1 << (bits - 1))) >> bits;
}

static inline uint8_t to_byte(int value) {
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

void fv_lab_from_rgb(const uint8_t *rgb, size_t count, uint8_t *lightness, uint8_t *ab) {
    need_tables();
    const int *m = tables.to_lab;
    const int scale = (116 * 255 + 50) / 100, shift = (16 * 255 * (1 << ROOT_BITS) + 50) / 100;
    for (size_t i = 0; i < count; i++) {
        int r = tables.linear[rgb[3 * i]], g = tables.linear[rgb[3 * i + 1]], b = tables.linear[rgb[3 * i + 2]];
        int x = tables.root[round_shift(r * m[0] + g * m[1] + b * m[2], MATRIX_BITS)];
        int y = tables.root[round_shift(r * m[3] + g * m[4] + b * m[5], MATRIX_BITS)];
        int z = tables.root[round_shift(r * m[6] + g * m[7] + b * m[8], MATRIX_BITS)];
        lightness[i] = to_byte(round_shift(scale * y - shift, ROOT_BITS));
        ab[2 * i] = to_byte(round_shift(500 * (x - y) + (128 << ROOT_BITS), ROOT_BITS));
        ab[2 * i + 1] = to_byte(round_shift(200 * (y - z) + (128 << ROOT_BITS), ROOT_BITS));
    }
}

static inline uint8_t display(const int *row, int x, int y, int z) {
    int light = round_shift(row[0] * x + row[1] * y + row[2] * z, MATRIX_BITS + BACK_BITS - DISPLAY_BITS);
    return tables.display[light < 0 ? 0 : light >= DISPLAY_COUNT ? DISPLAY_COUNT - 1 : light];
}

void fv_lab_to_rgb(const uint8_t *lightness, const uint8_t *ab, size_t count, uint8_t *rgb) {
    need_tables();
    for (size_t i = 0; i < count; i++) {
        int y = tables.light[lightness[i]], f = tables.light_root[lightness[i]];
        /* (a - 128) / 500 and (b - 128) / 200 as multiplications, in 1 / BACK_ONE. */
        int a = ((5 * ab[2 * i] * 53687 + (1 << 7)) >> 13) - 128 * BACK_ONE / 500;
        int b = ((ab[2 * i + 1] * 41943 + (1 << 4)) >> 9) - 128 * BACK_ONE / 200 + 1;
        int x = tables.cube[f + a - CUBE_FIRST], z = tables.cube[f - b - CUBE_FIRST];
        for (int c = 0; c < 3; c++) rgb[3 * i + (size_t)c] = display(tables.to_rgb + 3 * c, x, y, z);
    }
}
