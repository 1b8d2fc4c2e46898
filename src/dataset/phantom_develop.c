/* Optics and sensor: what happens between the retina's colours and the photograph's bytes. */
#include <math.h>
#include <string.h>

#include "phantom_noise.h"
#include "phantom_scene.h"

enum { MAX_REACH = 24 };

/* Gaussian weights of -reach .. reach; returns reach. */
static int gaussian(float sigma, float weights[2 * MAX_REACH + 1]) {
    int reach = (int)ceilf(3.0f * sigma);
    reach = reach > MAX_REACH ? MAX_REACH : reach < 1 ? 1 : reach;
    float sum = 0.0f;
    for (int i = -reach; i <= reach; i++) sum += weights[i + reach] = expf(-0.5f * (float)(i * i) / (sigma * sigma));
    for (int i = 0; i <= 2 * reach; i++) weights[i] /= sum;
    return reach;
}

static int clamp_index(int i, int side) {
    return i < 0 ? 0 : i >= side ? side - 1 : i;
}

/* out[row] += weight * in[row + shift] along rows or columns, edges repeated. */
static void blur_rows(const float *in, float *out, int side, const float *weights, int reach) {
    memset(out, 0, (size_t)side * (size_t)side * sizeof *out);
    for (int row = 0; row < side; row++)
        for (int k = -reach; k <= reach; k++) {
            const float *from = in + (size_t)clamp_index(row + k, side) * (size_t)side;
            float weight = weights[k + reach], *to = out + (size_t)row * (size_t)side;
            for (int i = 0; i < side; i++) to[i] += weight * from[i];
        }
}

static void blur_columns(const float *in, float *out, int side, const float *weights, int reach) {
    for (int row = 0; row < side; row++) {
        const float *from = in + (size_t)row * (size_t)side;
        float *to = out + (size_t)row * (size_t)side;
        memset(to, 0, (size_t)side * sizeof *to);
        for (int k = -reach; k <= reach; k++) {
            float weight = weights[k + reach];
            int first = k < 0 ? -k : 0, last = k > 0 ? side - k : side;
            for (int i = first; i < last; i++) to[i] += weight * from[i + k];
            for (int i = 0; i < first; i++) to[i] += weight * from[0];
            for (int i = last > 0 ? last : 0; i < side; i++) to[i] += weight * from[side - 1];
        }
    }
}

/* Four uniform bytes added up: bell-shaped, mean 0, standard deviation 1. */
static float nearly_normal(uint32_t h) {
    int sum = (int)(h & 255) + (int)(h >> 8 & 255) + (int)(h >> 16 & 255) + (int)(h >> 24);
    return ((float)sum - 510.0f) * (1.0f / 147.8f);
}

/* Noise of brightness and, weaker, of each colour, for one pixel: photons, then the colour filter's interpolation. */
static void add_noise(const fv_camera *camera, int column, int row, float rgb[3]) {
    float luma = nearly_normal(fv_noise_hash(column, row, camera->noise_seed));
    float level = 0.3f + 0.7f * sqrtf(fmaxf(0.0f, rgb[0]));
    for (int c = 0; c < 3; c++) {
        /* colour noise comes in grains of two pixels */
        uint32_t h = fv_noise_hash(column >> 1, row >> 1, camera->noise_seed + 1u + (uint32_t)c);
        rgb[c] += camera->noise * level * (0.7f * luma + 0.6f * nearly_normal(h));
    }
}

static uint8_t to_byte(float value) {
    float scaled = value * 255.0f + 0.5f;
    return scaled <= 0.0f ? 0 : scaled >= 255.0f ? 255 : (uint8_t)scaled;
}

void fv_phantom_canvas_develop(const fv_scene *scene, fv_phantom_canvas *canvas, fv_image *photo) {
    const fv_camera *camera = &scene->camera;
    int side = canvas->side;
    float weights[2 * MAX_REACH + 1], sigma = fmaxf(0.35f, camera->blur * (float)side / 512.0f);
    int reach = gaussian(sigma, weights);
    for (int c = 0; c < 3; c++) {
        blur_rows(canvas->rgb[c], canvas->scratch, side, weights, reach);
        blur_columns(canvas->scratch, canvas->rgb[c], side, weights, reach);
    }
    for (int row = 0, i = 0; row < side; row++)
        for (int column = 0; column < side; column++, i++) {
            float rgb[3] = {canvas->rgb[0][i], canvas->rgb[1][i], canvas->rgb[2][i]};
            add_noise(camera, column, row, rgb);
            for (int c = 0; c < 3; c++) photo->data[3 * (size_t)i + (size_t)c] = to_byte(rgb[c]);
        }
}
