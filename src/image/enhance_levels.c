/* Steps that map grey levels alone: a table of 256 entries a channel. */
#include <math.h>
#include <string.h>

#include "enhance_steps.h"

enum { LEVELS = 256 };

static size_t pixel_count(const fv_image *image) {
    return (size_t)image->width * (size_t)image->height;
}

static void count_levels(const fv_image *image, const fv_image *fov, int channel, int64_t histogram[LEVELS]) {
    size_t count = pixel_count(image), channels = (size_t)image->channels;
    memset(histogram, 0, LEVELS * sizeof *histogram);
    for (size_t i = 0; i < count; i++)
        if (!fov || fov->data[i]) histogram[image->data[i * channels + (size_t)channel]]++;
}

static void map_levels(fv_image *image, int channel, const uint8_t table[LEVELS]) {
    size_t channels = (size_t)image->channels, end = pixel_count(image) * channels;
    for (size_t i = (size_t)channel; i < end; i += channels) image->data[i] = table[image->data[i]];
}

static uint8_t to_level(double value) {
    long level = lrint(value);
    return (uint8_t)(level < 0 ? 0 : level > 255 ? 255 : level);
}

void fv_levels_stretch(fv_image *image, const fv_image *fov) {
    int low = 255, high = 0;
    for (int c = 0; c < image->channels; c++) {
        int64_t histogram[LEVELS];
        count_levels(image, fov, c, histogram);
        for (int i = 0; i < low; i++)
            if (histogram[i]) low = i;
        for (int i = 255; i > high; i--)
            if (histogram[i]) high = i;
    }
    uint8_t table[LEVELS];
    float scale = high > low ? (float)(255.0 / (high - low)) : 0, shift = -(float)low * scale;
    for (int i = 0; i < LEVELS; i++) table[i] = to_level((float)i * scale + shift);
    for (int c = 0; c < image->channels; c++) map_levels(image, c, table);
}

void fv_levels_outside(fv_image *image, const fv_image *fov, uint8_t level) {
    if (!fov) return;
    size_t count = pixel_count(image), channels = (size_t)image->channels;
    for (size_t i = 0; i < count; i++)
        if (!fov->data[i]) memset(image->data + i * channels, level, channels);
}

void fv_levels_standardise(fv_image *image, const fv_image *fov) {
    for (int c = 0; c < image->channels; c++) {
        int64_t histogram[LEVELS];
        double count = 0, sum = 0, squares = 0;
        count_levels(image, fov, c, histogram);
        for (int i = 0; i < LEVELS; i++) {
            count += (double)histogram[i];
            sum += (double)(i * histogram[i]);
            squares += (double)((int64_t)i * i * histogram[i]);
        }
        double mean = sum / count, variance = squares / count - mean * mean;
        double gain = variance > 1e-6 ? FV_NORMAL_DEVIATION / sqrt(variance) : 0; /* a plain channel becomes 128 */
        uint8_t table[LEVELS];
        for (int i = 0; i < LEVELS; i++) table[i] = to_level(FV_NORMAL_MEAN + gain * (i - mean));
        map_levels(image, c, table);
    }
    fv_levels_outside(image, fov, FV_NORMAL_MEAN);
}
