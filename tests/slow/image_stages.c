/* Times of the stages between a photograph's file and a network's input, and back to PNG, on one thread.
   usage: image_stages PHOTO.jpg PHOTO.png      prints "stage<tab>best ms<tab>median ms<tab>bytes of what was encoded" a
   line image_stages.py runs it in turn with OpenCV. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../src/image/lab.h"
#include "fovea/image/resize.h"
#include "fovea/base/file.h"
#include "fovea/base/threads.h"
#include "fovea/image/clahe.h"
#include "fovea/image/image_file.h"
#include "fovea/image/mask.h"
#include "fovea/image/warp.h"

enum { WORK = 512, INPUT = 256, MOST_RUNS = 200, LEAST_RUNS = 7 };
#define SECONDS_EACH 0.25

static const char mask_path[] = "image_stages_mask.png", photo_path[] = "image_stages_photo.png";

/* What the stages work at: all made by the first run of each. */
static struct {
    void *jpeg, *png;
    size_t jpeg_bytes, png_bytes, encoded_bytes, pixels;
    fv_image photo, lightness, equalised, back, work, mask, mask_work;
    uint8_t *ab;
    float *input;
} data;

static fv_status decode(const void *file, size_t bytes) {
    fv_image image;
    fv_status status = fv_image_decode(file, bytes, "the photograph", 3, &image);
    fv_image_free(&image);
    return status;
}

static fv_status decode_jpeg(void) {
    return decode(data.jpeg, data.jpeg_bytes);
}

static fv_status decode_png(void) {
    return decode(data.png, data.png_bytes);
}

static fv_status rgb_to_lab(void) {
    fv_lab_from_rgb(data.photo.data, data.pixels, data.lightness.data, data.ab);
    return FV_OK;
}

static fv_status clahe(void) {
    memcpy(data.equalised.data, data.lightness.data, data.pixels);
    return fv_clahe(&data.equalised, 2.0, 8);
}

static fv_status lab_to_rgb(void) {
    fv_lab_to_rgb(data.equalised.data, data.ab, data.pixels, data.back.data);
    return FV_OK;
}

static fv_status resize_photo(void) {
    return fv_resize_into(&data.photo, &data.work, (fv_place){0, 0, WORK, WORK});
}

static fv_status resize_mask(void) {
    return fv_resize_into(&data.mask, &data.mask_work, (fv_place){0, 0, WORK, WORK});
}

static fv_status warp_photo(void) { /* turned by about 12 degrees */
    static const fv_affine map = {1.956, 0.416, -45.7, -0.416, 1.956, 61.3};
    fv_warp(&data.work, &map, INPUT, 1, data.input, 3);
    return FV_OK;
}

static fv_status encode(const fv_image *image, const char *path) {
    FV_TRY(fv_image_write_png(image, path));
    FILE *file = fopen(path, "rb");
    if (!file) return fv_fail(FV_NO_RESOURCE, "%s can't be read back", path);
    fseek(file, 0, SEEK_END);
    data.encoded_bytes = (size_t)ftell(file);
    fclose(file);
    return FV_OK;
}

static fv_status encode_photo(void) {
    return encode(&data.back, photo_path);
}

static fv_status encode_mask(void) {
    return encode(&data.mask, mask_path);
}

static const struct {
    const char *name;
    fv_status (*run)(void);
} stages[] = {
    {"decode JPEG", decode_jpeg},        {"decode PNG", decode_png},      {"RGB to LAB", rgb_to_lab},
    {"CLAHE 8x8 of L", clahe},           {"LAB to RGB", lab_to_rgb},      {"resize to 512, area", resize_photo},
    {"resize mask to 512", resize_mask}, {"warp 512 to 256", warp_photo}, {"write PNG, photograph", encode_photo},
    {"write PNG, mask", encode_mask},
};

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static fv_status time_stage(int stage) {
    double times[MOST_RUNS], begin = now_ms();
    int count = 0;
    data.encoded_bytes = 0;
    while (count < MOST_RUNS && (count < LEAST_RUNS || now_ms() - begin < 1e3 * SECONDS_EACH)) {
        double start = now_ms();
        FV_TRY(stages[stage].run());
        times[count++] = now_ms() - start;
    }
    qsort(times, (size_t)count, sizeof *times, compare);
    printf("%s\t%.4f\t%.4f\t%zu\n", stages[stage].name, times[0], times[count / 2], data.encoded_bytes);
    return FV_OK;
}

/* A disc and noise-free ground: what a mask looks like. */
static void draw_mask(fv_image *mask) {
    int radius = mask->height / 6;
    for (int y = 0; y < mask->height; y++)
        for (int x = 0; x < mask->width; x++) {
            int64_t dx = x - mask->width / 3, dy = y - mask->height / 2;
            mask->data[(size_t)y * (size_t)mask->width + (size_t)x] =
                dx * dx + dy * dy < (int64_t)radius * radius ? 255 : 0;
        }
}

static fv_status prepare(const char *path, const char *png_path) {
    FV_TRY(fv_file_read(png_path, (size_t)1 << 30, &data.png, &data.png_bytes));
    FV_TRY(fv_file_read(path, (size_t)1 << 30, &data.jpeg, &data.jpeg_bytes));
    FV_TRY(fv_image_decode(data.jpeg, data.jpeg_bytes, path, 3, &data.photo));
    int width = data.photo.width, height = data.photo.height;
    data.pixels = (size_t)width * (size_t)height;
    FV_TRY(fv_image_make(width, height, 1, &data.lightness));
    FV_TRY(fv_image_make(width, height, 1, &data.equalised));
    FV_TRY(fv_image_make(width, height, 1, &data.mask));
    FV_TRY(fv_image_make(width, height, 3, &data.back));
    FV_TRY(fv_image_make(WORK, WORK, 3, &data.work));
    FV_TRY(fv_image_make(WORK, WORK, 1, &data.mask_work));
    draw_mask(&data.mask);
    data.ab = malloc(2 * data.pixels);
    data.input = malloc((size_t)INPUT * INPUT * 3 * sizeof *data.input);
    return data.ab && data.input ? FV_OK : fv_fail_memory("the stages", 2 * data.pixels);
}

static fv_status run(const char *path, const char *png_path) {
    FV_TRY(prepare(path, png_path));
    for (int i = 0; i < (int)(sizeof stages / sizeof *stages); i++) FV_TRY(time_stage(i));
    return FV_OK;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: image_stages PHOTO.jpg PHOTO.png\n");
        return FV_BAD_INPUT;
    }
    fv_threads_set(1);
    fv_status status = run(argv[1], argv[2]);
    if (status != FV_OK) fprintf(stderr, "image_stages: %s\n", fv_error());
    remove(photo_path);
    remove(mask_path);
    return status;
}
