#include "golden.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* As in make_network_golden.py. */
#define MARGIN 4.0
#define ENCODER_MARGIN 2.5

double golden_noise(const char *name, uint64_t k) {
    uint64_t h = 0xCBF29CE484222325u;
    for (; *name; name++) h = (h ^ (uint8_t)*name) * 0x100000001B3u;
    uint64_t z = h ^ (k * 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return (double)(z >> 40) / 8388608.0 - 1.0;
}

static bool ends_with(const char *text, const char *end) {
    size_t a = strlen(text), b = strlen(end);
    return a >= b && strcmp(text + a - b, end) == 0;
}

static double golden_value(const fv_param *p, double u, bool evaluation) {
    bool encoder = strncmp(p->name, "encoder.", 8) == 0, relu6 = encoder && !strstr(p->name, ".project.");
    int taps = p->shape.n * p->shape.h;
    if (ends_with(p->name, ".weight")) return u * sqrt(6.0 / (taps * p->shape.w));
    if (ends_with(p->name, ".gamma")) return (relu6 ? 3 / ENCODER_MARGIN : 1) + 0.1 * u;
    if (ends_with(p->name, ".beta")) return (relu6 ? 3 : encoder ? 0 : MARGIN) + 0.1 * u;
    if (ends_with(p->name, ".bias")) return 0.1 * u;
    if (ends_with(p->name, ".mean")) return evaluation ? u : 0;
    return evaluation ? 8 + 4 * u : 1;
}

void golden_fill_params(fv_params *params, bool evaluation) {
    for (int i = 0; i < params->count; i++) {
        const fv_param *p = &params->list[i];
        for (size_t k = 0; k < p->count; k++)
            params->values[p->offset + k] = (float)golden_value(p, golden_noise(p->name, k), evaluation);
    }
}

const fv_safetensor *golden_find(const fv_safetensors *file, const char *prefix, const char *name) {
    char full[160];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    const fv_safetensor *tensor = fv_safetensors_find(file, full);
    if (!tensor) fail_msg("the golden file has no tensor %s", full);
    return tensor;
}

void golden_distance(const fv_safetensor *samples, const float *values, size_t count, double *distance, double *norm) {
    size_t m = samples->bytes / sizeof(float);
    double d = 0, n = 0;
    for (size_t j = 0; j < m; j++) {
        float stored;
        memcpy(&stored, (const char *)samples->data + j * sizeof stored, sizeof stored);
        double difference = (double)values[j * count / m] - (double)stored;
        d += difference * difference;
        n += (double)stored * (double)stored;
    }
    *distance = sqrt(d);
    *norm = sqrt(n);
}

double golden_norm(const float *values, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += (double)values[i] * (double)values[i];
    return sqrt(sum);
}

double golden_double(const fv_safetensor *tensor, int i) {
    double value;
    memcpy(&value, (const char *)tensor->data + (size_t)i * sizeof value, sizeof value);
    return value;
}
