#include "fovea/kernel/loss.h"

#include <stdint.h>

#include "column_cut.h"
#include "fovea/base/threads.h"

extern const fv_loss_kernels fv_loss_scalar, fv_loss_avx2, fv_loss_avx512;

const fv_loss_kernels *const fv_loss_variants[] = {
#ifdef FV_X86_VARIANTS
    &fv_loss_avx512,
    &fv_loss_avx2,
#endif
    &fv_loss_scalar,
    NULL,
};

static const fv_loss_kernels *choose_kernels(void) {
    int i = 0;
    while (fv_loss_variants[i]->level > fv_cpu()) i++;
    return fv_loss_variants[i];
}

/* One chunk's part of work memory: its sums, and those of a block. */
static size_t slot_bytes(const column_cut *cut) {
    return fv_align_up(cut->columns.channels * sizeof(fv_loss_sums) + FV_LOSS_SUMS * cut->width * sizeof(fv_real));
}

size_t fv_loss_work_bytes(fv_columns columns) {
    column_cut cut = cut_columns(columns, true);
    return most(4 * folded_bytes(&cut), columns.segments * cut.chunks * slot_bytes(&cut));
}

typedef struct loss_job {
    const fv_loss_kernels *kernels;
    column_cut cut;
    fv_loss_slopes folded; /* of the first segment */
    const fv_real *z, *t;
    fv_real *d_z;
    bool add;
    double gamma; /* of measuring */
    char *slots;
} loss_job;

static fv_loss_sums *slot_of(const loss_job *job, size_t chunk) {
    return (fv_loss_sums *)(void *)(job->slots + chunk * slot_bytes(&job->cut));
}

static void measure_task(void *context, int64_t i, int worker) {
    (void)worker;
    const loss_job *job = context;
    size_t channels = job->cut.columns.channels;
    fv_loss_sums *sums = slot_of(job, (size_t)i);
    fv_real *block_sums = (fv_real *)(void *)(sums + channels);
    memset(sums, 0, channels * sizeof *sums);
    column_block block = chunk_begin(&job->cut, (size_t)i);
    while (next_block(&job->cut, &block, FV_BLOCK_ROWS)) {
        size_t offset = block.first * channels;
        job->kernels->block_sums(job->gamma, job->z + offset, job->t + offset, block.rows, block.width, block_sums);
        for (size_t k = 0; k < block.width; k++) {
            fv_loss_sums *sum = &sums[k % channels];
            sum->cross_entropy += (double)block_sums[k];
            sum->overlap += (double)block_sums[block.width + k];
            sum->probability += (double)block_sums[2 * block.width + k];
            sum->target += (double)block_sums[3 * block.width + k];
            sum->focal += (double)block_sums[4 * block.width + k];
        }
    }
}

void fv_loss_measure(fv_columns columns, double gamma, const fv_real *z, const fv_real *t, fv_loss_sums *sums,
                     void *work) {
    loss_job job = {
        .kernels = choose_kernels(), .cut = cut_columns(columns, true), .z = z, .t = t, .gamma = gamma, .slots = work};
    fv_parallel_for((int64_t)(columns.segments * job.cut.chunks), measure_task, &job);
    memset(sums, 0, columns.segments * columns.channels * sizeof *sums);
    for (size_t i = 0; i < columns.segments * job.cut.chunks; i++) {
        const fv_loss_sums *part = slot_of(&job, i);
        fv_loss_sums *whole = sums + i / job.cut.chunks * columns.channels;
        for (size_t c = 0; c < columns.channels; c++) {
            whole[c].cross_entropy += part[c].cross_entropy;
            whole[c].overlap += part[c].overlap;
            whole[c].probability += part[c].probability;
            whole[c].target += part[c].target;
            whole[c].focal += part[c].focal;
        }
    }
}

static void gradient_task(void *context, int64_t i, int worker) {
    (void)worker;
    const loss_job *job = context;
    size_t column = (size_t)i / job->cut.chunks * job->cut.width;
    fv_loss_slopes slopes = job->folded;
    slopes.cross_entropy += column;
    slopes.overlap += column;
    slopes.whole += column;
    if (slopes.focal) slopes.focal += column;
    column_block block = chunk_begin(&job->cut, (size_t)i);
    while (next_block(&job->cut, &block, SIZE_MAX)) {
        size_t offset = block.first * job->cut.columns.channels;
        job->kernels->gradient(job->z + offset, job->t + offset, block.rows, block.width, &slopes, job->d_z + offset,
                               job->add);
    }
}

void fv_loss_gradient(fv_columns columns, const fv_loss_slopes *slopes, const fv_real *z, const fv_real *t,
                      fv_real *d_z, bool add, void *work) {
    loss_job job = {
        .kernels = choose_kernels(), .cut = cut_columns(columns, true), .z = z, .t = t, .d_z = d_z, .add = add};
    char *cursor = work;
    job.folded.cross_entropy = fold_coefficient(&job.cut, slopes->cross_entropy, &cursor);
    job.folded.overlap = fold_coefficient(&job.cut, slopes->overlap, &cursor);
    job.folded.whole = fold_coefficient(&job.cut, slopes->whole, &cursor);
    job.folded.focal = fold_coefficient(&job.cut, slopes->focal, &cursor);
    job.folded.gamma = slopes->gamma;
    fv_parallel_for((int64_t)(columns.segments * job.cut.chunks), gradient_task, &job);
}
