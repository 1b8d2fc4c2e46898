#include "stage_times.h"

#include <stdio.h>
#include <time.h>

const char *const stage_names[] = {"start",    "read_model",  "decode",  "enhance", "network", "masks",
                                   "measures", "write_masks", "overlay", "panel",   NULL};

static double clock_ms(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

void stage_begin(stage_times *times) {
    times->mark_ms = clock_ms(CLOCK_MONOTONIC);
}

void stage_end(stage_times *times, stage ended) {
    double now = clock_ms(CLOCK_MONOTONIC);
    times->ms[ended] += now - times->mark_ms;
    times->mark_ms = now;
}

void stage_note_start(stage_times *times) {
    times->ms[STAGE_START] = clock_ms(CLOCK_PROCESS_CPUTIME_ID);
}

double stage_total_ms(const stage_times *times) {
    double total = 0;
    for (int i = 0; i < STAGE_COUNT; i++) total += times->ms[i];
    return total;
}

void stage_print(const stage_times *times, int photos) {
    stage_times mean = *times;
    for (int i = STAGE_FIRST_OF_PHOTO; i < STAGE_COUNT && photos > 1; i++) mean.ms[i] /= photos;
    fprintf(stderr, "%-12s %8s\n", "stage", photos > 1 ? "ms, mean" : "ms");
    for (int i = 0; i < STAGE_COUNT; i++) fprintf(stderr, "%-12s %8.1f\n", stage_names[i], mean.ms[i]);
    fprintf(stderr, "%-12s %8.1f\n", "total", stage_total_ms(&mean));
}
