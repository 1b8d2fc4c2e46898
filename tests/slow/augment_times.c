/* Time of augmenting a sample (photograph and one vessel mask), on one thread, change by change.
   usage: augment_times      prints docs/results/augment.md */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "fovea/base/cpu.h"
#include "fovea/dataset/augment.h"

enum { RUNS = 60 };

static const struct {
    const char *name;
    fv_augment augment;
} rows[] = {
    {"only sampled", {.flip_horizontal = 0}},
    {"flip, rotation, shift, scale",
     {.flip_horizontal = 0.5,
      .rotate_probability = 1,
      .rotate_degrees = 25,
      .shift_probability = 1,
      .shift_fraction = 0.05,
      .scale_probability = 1,
      .scale_low = 0.85,
      .scale_high = 1.15}},
    {"elastic, sigma 10", {.elastic_probability = 1, .elastic_low = 1, .elastic_high = 3, .elastic_sigma = 10}},
    {"grid", {.grid_probability = 1, .grid_limit = 0.3, .grid_steps = 5}},
    {"optical", {.optical_probability = 1, .optical_limit = 0.2}},
    {"rotation and the three distortions",
     {.rotate_probability = 1,
      .rotate_degrees = 25,
      .elastic_probability = 1,
      .elastic_low = 1,
      .elastic_high = 3,
      .elastic_sigma = 10,
      .grid_probability = 1,
      .grid_limit = 0.3,
      .grid_steps = 5,
      .optical_probability = 1,
      .optical_limit = 0.2}},
    {"blur, sigma 1", {.blur_probability = 1, .blur_low = 1, .blur_high = 1}},
    {"noise", {.noise_probability = 1, .noise_low = 5, .noise_high = 5}},
};

static const struct { int work, size; } columns[] = {{256, 256}, {512, 256}, {512, 512}, {1024, 512}};

enum { ROWS = sizeof rows / sizeof *rows, COLUMNS = sizeof columns / sizeof *columns };

/* Of this thread alone: the machine may have other work. */
static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Noise as photograph, slanted lines over the whole image as vessels. */
static fv_status draw(int side, fv_image *photo, fv_image *mask) {
    FV_TRY(fv_image_make(side, side, 3, photo));
    FV_TRY(fv_image_make(side, side, 1, mask));
    fv_rng rng = fv_rng_make(1, 0, 0, FV_PURPOSE_TEST);
    for (int i = 0; i < side * side; i++) {
        for (int c = 0; c < 3; c++) photo->data[3 * i + c] = (uint8_t)fv_rng_below(&rng, 256);
        mask->data[i] = (i % side + i / side / 3) % 40 < 4 ? 255 : 0;
    }
    return FV_OK;
}

static fv_status time_sample(int row, int column, float *floats, double *median) {
    int work = columns[column].work, size = columns[column].size;
    size_t pixels = (size_t)size * (size_t)size;
    const fv_preprocess settings = {.size = size, .work_size = work};
    const fv_window whole = {0, 0, work, work};
    fv_image photo, mask;
    double times[RUNS];
    FV_TRY(draw(work, &photo, &mask));
    for (int i = -3; i < RUNS; i++) { /* the first ones warm up */
        fv_rng rng = fv_rng_make(2, 0, (uint64_t)(i + 3), FV_PURPOSE_TEST);
        double start = now_ms();
        fv_augment_apply(&rows[row].augment, &settings, &photo, &mask, 1, &whole, &rng, floats, floats + 3 * pixels,
                         floats + 4 * pixels);
        if (i >= 0) times[i] = now_ms() - start;
    }
    qsort(times, RUNS, sizeof *times, compare);
    *median = times[RUNS / 2];
    fv_image_free(&photo);
    fv_image_free(&mask);
    return FV_OK;
}

static fv_status print_table(float *floats) {
    printf(
        "# Time of an augmented sample\n\n"
        "`make bench-augment`: photograph and one vessel mask, work image -> input, one thread (%s, %s), milliseconds\n"
        "of processor time, medians of %d.\n\n| change |",
        fv_cpu_model(), fv_cpu_name(fv_cpu()), RUNS);
    for (int c = 0; c < COLUMNS; c++) printf(" %d -> %d |", columns[c].work, columns[c].size);
    printf("\n|---|");
    for (int c = 0; c < COLUMNS; c++) printf("---|");
    for (int r = 0; r < ROWS; r++) {
        printf("\n| %s |", rows[r].name);
        for (int c = 0; c < COLUMNS; c++) {
            double median;
            FV_TRY(time_sample(r, c, floats, &median));
            printf(" %.2f |", median);
        }
    }
    printf("\n");
    return FV_OK;
}

int main(void) {
    int largest = columns[COLUMNS - 1].size;
    size_t count = 4 * (size_t)largest * (size_t)largest + fv_augment_scratch_floats(largest);
    float *floats = malloc(count * sizeof *floats);
    fv_status status = floats ? print_table(floats) : fv_fail_memory("the samples", count * sizeof *floats);
    if (status != FV_OK) fprintf(stderr, "augment_times: %s\n", fv_error());
    free(floats);
    return status;
}
