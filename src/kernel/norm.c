#include "fovea/kernel/norm.h"

#include <stdint.h>
#include <string.h>

#include "column_cut.h"
#include "fovea/base/threads.h"

extern const fv_norm_kernels fv_norm_scalar, fv_norm_avx2, fv_norm_avx512;

const fv_norm_kernels *const fv_norm_variants[] = {
#ifdef FV_X86_VARIANTS
    &fv_norm_avx512,
    &fv_norm_avx2,
#endif
    &fv_norm_scalar,
    NULL,
};

const fv_norm_kernels *fv_norm_choose(void) {
    int i = 0;
    while (fv_norm_variants[i]->level > fv_cpu()) i++;
    return fv_norm_variants[i];
}

/* Sums of one chunk: 2 doubles a channel, 3 reals a column. */
static size_t slot_bytes(const column_cut *cut) {
    return fv_align_up(2 * cut->columns.channels * sizeof(double) + 3 * cut->width * sizeof(fv_real));
}

size_t fv_norm_work_bytes(fv_columns columns) {
    size_t bytes = 0;
    for (int side_by_side = 0; side_by_side < 2; side_by_side++) {
        column_cut cut = cut_columns(columns, side_by_side);
        size_t slots = columns.segments * cut.chunks * slot_bytes(&cut);
        /* Sums, or slope and constant. */
        bytes = most(bytes, 3 * folded_bytes(&cut) + most(slots, 2 * folded_bytes(&cut)));
    }
    return bytes;
}

/* One chunk's part of work memory. */
typedef struct norm_slot {
    double *first, *second;      /* per channel: mean and squares, or the two gradient sums */
    fv_real *shift, *sum, *sum2; /* of a block, per column */
} norm_slot;

typedef struct norm_job {
    const fv_norm_kernels *kernels;
    column_cut cut;
    fv_norm_coefficients folded; /* of the first segment */
    fv_norm_block tensors;       /* their beginnings and strides; what is NULL is not looked at */
    char *slots;
} norm_job;

static norm_slot slot_of(const norm_job *job, size_t chunk) {
    size_t channels = job->cut.columns.channels, width = job->cut.width;
    norm_slot slot;
    slot.first = (double *)(void *)(job->slots + chunk * slot_bytes(&job->cut));
    slot.second = slot.first + channels;
    slot.shift = (fv_real *)(void *)(slot.second + channels);
    slot.sum = slot.shift + width;
    slot.sum2 = slot.sum + width;
    return slot;
}

static size_t stride_of(const void *tensor, size_t stride, size_t channels) {
    return tensor && stride ? stride : channels;
}

/* The tensors, of which x, d_out, residual and out are set, with the strides that columns has for them; y, what is
   written, comes with its own. */
static fv_norm_block with_strides(const fv_columns *columns, fv_norm_block tensors, fv_real *y, size_t y_stride) {
    size_t channels = columns->channels;
    tensors.y = y;
    tensors.x_stride = stride_of(tensors.x, columns->x_stride, channels);
    tensors.d_out_stride = stride_of(tensors.d_out, columns->d_out_stride, channels);
    tensors.residual_stride = stride_of(tensors.residual, columns->residual_stride, channels);
    tensors.out_stride = stride_of(tensors.out, columns->y_stride, channels);
    tensors.y_stride = stride_of(y, y_stride, channels);
    return tensors;
}

static bool is_side_by_side(const fv_norm_block *tensors, size_t channels) {
    return tensors->x_stride == channels && tensors->d_out_stride == channels && tensors->residual_stride == channels &&
           tensors->out_stride == channels && tensors->y_stride == channels;
}

static norm_job make_job(fv_columns columns, fv_norm_block tensors, const fv_norm_map *map, const fv_real *slope,
                         const fv_real *constant, void *work) {
    bool side_by_side = is_side_by_side(&tensors, columns.channels);
    norm_job job = {.kernels = fv_norm_choose(), .cut = cut_columns(columns, side_by_side), .tensors = tensors};
    char *cursor = work;
    if (map) {
        job.folded.center = fold_coefficient(&job.cut, map->center, &cursor);
        job.folded.scale = fold_coefficient(&job.cut, map->scale, &cursor);
        job.folded.offset = fold_coefficient(&job.cut, map->offset, &cursor);
        job.folded.slope = fold_coefficient(&job.cut, slope, &cursor);
        job.folded.constant = fold_coefficient(&job.cut, constant, &cursor);
        job.folded.low = map->low;
        job.folded.high = map->high;
    }
    job.slots = cursor;
    return job;
}

static void run_job(norm_job *job, void (*task)(void *context, int64_t i, int worker)) {
    fv_parallel_for((int64_t)(job->cut.columns.segments * job->cut.chunks), task, job);
}

static const fv_real *advance(const fv_real *tensor, size_t row, size_t stride) {
    return tensor ? tensor + row * stride : NULL;
}

/* The part of the tensors that a block of the cut is, as the kernels take it. */
static fv_norm_block part_of(const norm_job *job, const column_block *block) {
    fv_norm_block part = job->tensors;
    part.rows = block->rows;
    part.width = block->width;
    part.x = advance(part.x, block->first, part.x_stride);
    part.d_out = advance(part.d_out, block->first, part.d_out_stride);
    part.residual = advance(part.residual, block->first, part.residual_stride);
    part.out = advance(part.out, block->first, part.out_stride);
    if (part.y) part.y += block->first * part.y_stride;
    part.x_stride *= block->folds;
    part.d_out_stride *= block->folds;
    part.residual_stride *= block->folds;
    part.out_stride *= block->folds;
    part.y_stride *= block->folds;
    return part;
}

static fv_norm_coefficients segment_coefficients(const norm_job *job, size_t segment) {
    fv_norm_coefficients k = job->folded;
    size_t offset = segment * job->cut.width;
    k.center += offset;
    k.scale += offset;
    k.offset += offset;
    if (k.slope) {
        k.slope += offset;
        k.constant += offset;
    }
    return k;
}

/* ---- moments ---- */

/* Adds a set of `rows` samples, given by its mean and squares, to one of `count`: Chan, Golub and LeVeque 1979. */
static void merge_moments(size_t channels, double count, double *mean, double *squares, double rows,
                          const double *other_mean, const double *other_squares) {
    double share = rows / (count + rows), weight = count * share;
    for (size_t c = 0; c < channels; c++) {
        double delta = other_mean[c] - mean[c];
        mean[c] += delta * share;
        squares[c] += other_squares[c] + delta * delta * weight;
    }
}

static void moments_task(void *context, int64_t i, int worker) {
    (void)worker;
    const norm_job *job = context;
    size_t channels = job->cut.columns.channels;
    norm_slot slot = slot_of(job, (size_t)i);
    memset(slot.first, 0, 2 * channels * sizeof(double));
    double count = 0;
    column_block block = chunk_begin(&job->cut, (size_t)i);
    while (next_block(&job->cut, &block, FV_BLOCK_ROWS)) {
        fv_norm_block part = part_of(job, &block);
        job->kernels->block_moments(&part, slot.shift, slot.sum, slot.sum2);
        for (size_t f = 0; f < block.folds; f++, count += (double)block.rows)
            job->kernels->merge_moments(channels, count, slot.first, slot.second, (double)block.rows,
                                        slot.shift + f * channels, slot.sum + f * channels, slot.sum2 + f * channels);
    }
}

void fv_norm_moments(fv_columns columns, const fv_real *x, double *mean, double *squares, void *work) {
    fv_norm_block tensors = with_strides(&columns, (fv_norm_block){.x = x}, NULL, 0);
    norm_job job = make_job(columns, tensors, NULL, NULL, NULL, work);
    run_job(&job, moments_task);
    memset(mean, 0, columns.segments * columns.channels * sizeof *mean);
    memset(squares, 0, columns.segments * columns.channels * sizeof *squares);
    for (size_t s = 0; s < columns.segments; s++, mean += columns.channels, squares += columns.channels) {
        double count = 0;
        for (size_t i = 0; i < job.cut.chunks; i++) {
            norm_slot slot = slot_of(&job, s * job.cut.chunks + i);
            double rows = (double)least(job.cut.chunk_rows, columns.rows - i * job.cut.chunk_rows);
            merge_moments(columns.channels, count, mean, squares, rows, slot.first, slot.second);
            count += rows;
        }
    }
}

/* ---- maps ---- */

static void apply_task(void *context, int64_t i, int worker) {
    (void)worker;
    const norm_job *job = context;
    fv_norm_coefficients k = segment_coefficients(job, (size_t)i / job->cut.chunks);
    column_block block = chunk_begin(&job->cut, (size_t)i);
    while (next_block(&job->cut, &block, SIZE_MAX)) {
        fv_norm_block part = part_of(job, &block);
        job->kernels->apply(&part, &k);
    }
}

void fv_norm_apply(fv_columns columns, const fv_norm_map *map, const fv_real *x, const fv_real *residual, fv_real *y,
                   void *work) {
    fv_norm_block tensors = {.x = x, .residual = residual};
    tensors = with_strides(&columns, tensors, y, columns.y_stride);
    norm_job job = make_job(columns, tensors, map, NULL, NULL, work);
    run_job(&job, apply_task);
}

static void gradient_sums_task(void *context, int64_t i, int worker) {
    (void)worker;
    const norm_job *job = context;
    size_t channels = job->cut.columns.channels;
    fv_norm_coefficients k = segment_coefficients(job, (size_t)i / job->cut.chunks);
    norm_slot slot = slot_of(job, (size_t)i);
    memset(slot.first, 0, 2 * channels * sizeof(double));
    column_block block = chunk_begin(&job->cut, (size_t)i);
    while (next_block(&job->cut, &block, FV_BLOCK_ROWS)) {
        fv_norm_block part = part_of(job, &block);
        job->kernels->block_gradient_sums(&part, &k, slot.sum, slot.sum2);
        for (size_t f = 0; f < block.folds; f++) {
            job->kernels->add_sums(channels, slot.sum + f * channels, slot.first);
            job->kernels->add_sums(channels, slot.sum2 + f * channels, slot.second);
        }
    }
}

void fv_norm_gradient_sums(fv_columns columns, const fv_norm_map *map, const fv_real *x, const fv_real *out,
                           const fv_real *d_out, fv_real *d_residual, double *sums, double *sums_x, void *work) {
    fv_norm_block tensors = {.x = x, .d_out = d_out, .out = out};
    tensors = with_strides(&columns, tensors, d_residual, columns.d_residual_stride);
    norm_job job = make_job(columns, tensors, map, NULL, NULL, work);
    run_job(&job, gradient_sums_task);
    memset(sums, 0, columns.segments * columns.channels * sizeof *sums);
    memset(sums_x, 0, columns.segments * columns.channels * sizeof *sums_x);
    for (size_t i = 0; i < columns.segments * job.cut.chunks; i++) {
        norm_slot slot = slot_of(&job, i);
        size_t column = i / job.cut.chunks * columns.channels;
        for (size_t c = 0; c < columns.channels; c++) {
            sums[column + c] += slot.first[c];
            sums_x[column + c] += slot.second[c];
        }
    }
}

static void gradient_apply_task(void *context, int64_t i, int worker) {
    (void)worker;
    const norm_job *job = context;
    fv_norm_coefficients k = segment_coefficients(job, (size_t)i / job->cut.chunks);
    column_block block = chunk_begin(&job->cut, (size_t)i);
    while (next_block(&job->cut, &block, SIZE_MAX)) {
        fv_norm_block part = part_of(job, &block);
        job->kernels->gradient_apply(&part, &k);
    }
}

void fv_norm_gradient_apply(fv_columns columns, const fv_norm_map *map, const fv_real *slope, const fv_real *constant,
                            const fv_real *x, const fv_real *out, const fv_real *d_out, fv_real *d_x, bool add,
                            void *work) {
    fv_norm_block tensors = {.x = x, .d_out = d_out, .out = out, .add = add};
    tensors = with_strides(&columns, tensors, d_x, columns.d_x_stride);
    norm_job job = make_job(columns, tensors, map, slope, constant, work);
    run_job(&job, gradient_apply_task);
}
