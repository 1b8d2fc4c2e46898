/* What the loader costs training: images/s of the loop beside those of the bare step on one fixed batch, and the
   processor time that preparing an image takes. usage: loader_share CONFIG THREADS ROUNDS      prints
   "loop<tab>bare<tab>loader ms an image" a round: images/s, images/s, ms */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "fovea/base/threads.h"
#include "training_rig.h"

enum { STEPS = 6, SETTLING = 4 /* batches in the loader's window */, LOADER_EPOCHS = 4 };

static double seconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void run_step(training_rig *r, const fv_batch *batch) {
    fv_train_step_run(&r->step, batch, 1, (uint64_t)r->optimizer.step);
    fv_optimizer_step(&r->optimizer, 1e-3);
}

/* Steps as in fv_train(), with the loader at work; the first ones bring its window into its steady state. */
static fv_status run_loop(training_rig *r, double *rate) {
    double begin = 0;
    for (int i = 0; i < SETTLING + STEPS; i++) {
        const fv_batch *batch;
        if (i == SETTLING) begin = seconds(CLOCK_MONOTONIC);
        FV_TRY(training_rig_next(r, &batch));
        run_step(r, batch);
        fv_train_step_dice(&r->step, batch);
    }
    *rate = STEPS * r->settings.loader.batch / (seconds(CLOCK_MONOTONIC) - begin);
    return FV_OK;
}

/* Returns when the loader has filled its window and sleeps. */
static void let_loader_finish(void) {
    for (double used = -1, now = 0; now - used > 1e-3;) {
        used = now;
        nanosleep(&(struct timespec){.tv_nsec = 50 * 1000 * 1000}, NULL);
        now = seconds(CLOCK_PROCESS_CPUTIME_ID);
    }
}

static fv_status run_bare(training_rig *r, double *rate) {
    const fv_batch *batch;
    FV_TRY(training_rig_next(r, &batch));
    let_loader_finish();
    double begin = seconds(CLOCK_MONOTONIC);
    for (int i = 0; i < STEPS; i++) run_step(r, batch);
    *rate = STEPS * r->settings.loader.batch / (seconds(CLOCK_MONOTONIC) - begin);
    return FV_OK;
}

/* Processor time of the loader alone, photographs in its cache. */
static fv_status run_loader(training_rig *r, double *ms) {
    const fv_batch *batch;
    int batches = LOADER_EPOCHS * fv_loader_batches(r->loader);
    let_loader_finish();
    double begin = seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (int i = 0; i < batches; i++) FV_TRY(training_rig_next(r, &batch));
    let_loader_finish();
    *ms = 1e3 * (seconds(CLOCK_PROCESS_CPUTIME_ID) - begin) / (batches * r->settings.loader.batch);
    return FV_OK;
}

static fv_status measure(training_rig *r, int rounds) {
    const fv_batch *batch;
    for (int i = 0; i < fv_loader_batches(r->loader); i++) FV_TRY(training_rig_next(r, &batch)); /* fills the cache */
    for (int i = 0; i < rounds; i++) {
        double loop, bare, ms;
        FV_TRY(run_loop(r, &loop));
        FV_TRY(run_bare(r, &bare));
        FV_TRY(run_loader(r, &ms));
        printf("%.3f\t%.3f\t%.3f\n", loop, bare, ms);
    }
    return FV_OK;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: loader_share CONFIG THREADS ROUNDS\n");
        return FV_BAD_INPUT;
    }
    training_rig r;
    fv_threads_set(atoi(argv[2]));
    fv_status status = training_rig_make(argv[1], NULL, 0, &r);
    if (status == FV_OK) status = measure(&r, atoi(argv[3]));
    if (status != FV_OK) fprintf(stderr, "loader_share: %s\n", fv_error());
    training_rig_free(&r);
    return status;
}
