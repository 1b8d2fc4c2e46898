#include "fovea/kernel/skeleton.h"

#include "fovea/base/threads.h"

#define TASK_ELEMENTS 8192 /* of a task, about */
#define TILE 64

extern const fv_skeleton_kernels fv_skeleton_scalar, fv_skeleton_avx2, fv_skeleton_avx512;

const fv_skeleton_kernels *const fv_skeleton_variants[] = {
#ifdef FV_X86_VARIANTS
    &fv_skeleton_avx512,
    &fv_skeleton_avx2,
#endif
    &fv_skeleton_scalar,
    NULL,
};

static const fv_skeleton_kernels *choose_kernels(void) {
    int i = 0;
    while (fv_skeleton_variants[i]->level > fv_cpu()) i++;
    return fv_skeleton_variants[i];
}

/* ---- rows of all samples, several to a task ---- */

typedef struct skeleton_job {
    const fv_skeleton_kernels *kernels;
    size_t rows, row_count, height, channels; /* rows of all samples, elements of one */
    size_t plane;                             /* elements */
    int levels, level;                        /* iterations + 1; the one at work */
    const fv_real *image, *eroded;            /* E_j, E_{j+1}; in the gradient, what belongs to them */
    fv_real *out;
    fv_real *opened;   /* O_j, then D_j; in the gradient, that by O_{j-1} */
    fv_real *skeleton; /* S_j */
    const fv_real *d_skeleton;
    const fv_skeleton_trace *trace;
    void (*row)(const struct skeleton_job *job, size_t row);
} skeleton_job;

static skeleton_job job_make(fv_shape shape, int iterations, const fv_skeleton_trace *trace) {
    return (skeleton_job){.kernels = choose_kernels(),
                          .rows = (size_t)shape.n * (size_t)shape.h,
                          .row_count = (size_t)shape.w * (size_t)shape.c,
                          .height = (size_t)shape.h,
                          .channels = (size_t)shape.c,
                          .plane = fv_shape_count(shape),
                          .levels = iterations + 1,
                          .trace = trace};
}

static size_t rows_of_task(const skeleton_job *job) {
    return TASK_ELEMENTS / job->row_count + 1;
}

static void run_task(void *context, int64_t task, int worker) {
    (void)worker;
    const skeleton_job *job = context;
    size_t step = rows_of_task(job), begin = (size_t)task * step;
    for (size_t row = begin; row < begin + step && row < job->rows; row++) job->row(job, row);
}

static void run_rows(skeleton_job *job, void (*row)(const skeleton_job *job, size_t row)) {
    job->row = row;
    size_t step = rows_of_task(job);
    fv_parallel_for((int64_t)((job->rows + step - 1) / step), run_task, job);
}

/* The row and its neighbours in `plane`, with their origins where there are any. */
static fv_skeleton_rows neighbours(const skeleton_job *job, const fv_real *plane, const uint8_t *origin, size_t row) {
    fv_skeleton_rows rows = {.count = job->row_count, .channels = job->channels};
    size_t y = row % job->height;
    for (int dy = -1; dy <= 1; dy++) {
        if ((dy < 0 && y == 0) || (dy > 0 && y + 1 == job->height)) continue;
        size_t at = (row + (size_t)(1 + dy) - 1) * job->row_count;
        rows.row[1 + dy] = plane + at;
        rows.origin[1 + dy] = origin ? origin + at : NULL;
    }
    return rows;
}

/* ---- the skeleton ---- */

static size_t place_in_level(const skeleton_job *job, size_t row) {
    return (size_t)job->level * job->plane + row * job->row_count;
}

static void erode_row(const skeleton_job *job, size_t row) {
    fv_skeleton_rows rows = neighbours(job, job->image, NULL, row);
    uint8_t *origin = job->trace ? job->trace->erosion + place_in_level(job, row) : NULL;
    job->kernels->extreme(&rows, false, job->out + row * job->row_count, origin);
}

/* O_j, D_j from it in the same place, and S_j. */
static void open_row(const skeleton_job *job, size_t row) {
    fv_skeleton_rows rows = neighbours(job, job->eroded, NULL, row);
    size_t at = row * job->row_count;
    uint8_t *origin = job->trace ? job->trace->dilation + place_in_level(job, row) : NULL;
    fv_real *opened = job->opened + at, *skeleton = job->skeleton + at;
    const fv_real *image = job->image + at;
    job->kernels->extreme(&rows, true, opened, origin);
    for (size_t i = 0; i < job->row_count; i++) {
        fv_real taken = image[i] - opened[i];
        opened[i] = taken > 0 ? taken : 0;
    }
    if (job->level == 0)
        for (size_t i = 0; i < job->row_count; i++) skeleton[i] = opened[i];
    else
        for (size_t i = 0; i < job->row_count; i++) skeleton[i] += opened[i] * (1 - skeleton[i]);
}

/* D_j of all levels becomes the product of all other (1 - D_i), or 0 where D_j is 0. All is read before anything is
   written: planes are often a multiple of 4 KiB apart, and loads then wait for the stores of other levels. */
static void slope_tile(const skeleton_job *job, fv_real *levels, size_t count) {
    fv_real taken[FV_SKELETON_MOST_ITERATIONS + 1][TILE], behind[FV_SKELETON_MOST_ITERATIONS + 1][TILE];
    fv_real before[TILE];
    int last = job->levels - 1;
    for (int j = last; j >= 0; j--)
        for (size_t i = 0; i < count; i++) taken[j][i] = levels[(size_t)j * job->plane + i];
    for (size_t i = 0; i < count; i++) behind[last][i] = before[i] = 1;
    for (int j = last; j > 0; j--)
        for (size_t i = 0; i < count; i++) behind[j - 1][i] = behind[j][i] * (1 - taken[j][i]);
    for (int j = 0; j <= last; j++) {
        fv_real *slope = levels + (size_t)j * job->plane;
#pragma omp simd
        for (size_t i = 0; i < count; i++) {
            fv_real others = before[i] * behind[j][i]; /* without a condition, so that the loop becomes vectors */
            slope[i] = taken[j][i] > 0 ? others : 0;
            before[i] *= 1 - taken[j][i];
        }
    }
}

static void slope_row(const skeleton_job *job, size_t row) {
    fv_real *levels = job->trace->slopes + row * job->row_count;
    for (size_t first = 0; first < job->row_count; first += TILE)
        slope_tile(job, levels + first, job->row_count - first < TILE ? job->row_count - first : TILE);
}

void fv_skeleton_run(fv_shape shape, int iterations, const fv_real *image, fv_real *skeleton,
                     const fv_skeleton_trace *trace, fv_real *work) {
    skeleton_job job = job_make(shape, iterations, trace);
    job.image = image;
    job.skeleton = skeleton;
    for (job.level = 0; job.level < job.levels; job.level++) {
        job.out = work + (size_t)(job.level % 2) * job.plane;
        job.opened = trace ? trace->slopes + (size_t)job.level * job.plane : work + 2 * job.plane;
        run_rows(&job, erode_row);
        job.eroded = job.out;
        run_rows(&job, open_row);
        job.image = job.eroded;
    }
    if (trace) run_rows(&job, slope_row);
}

/* ---- its gradient ---- */

/* The gradient by O_{j-1}: minus that by D_{j-1}. */
static void opened_gradient_row(const skeleton_job *job, size_t row) {
    size_t at = row * job->row_count;
    const fv_real *slopes = job->trace->slopes + (size_t)(job->level - 1) * job->plane + at;
    const fv_real *d_skeleton = job->d_skeleton + at;
    fv_real *opened = job->opened + at;
    for (size_t i = 0; i < job->row_count; i++) opened[i] = -d_skeleton[i] * slopes[i];
}

/* The gradient by E_j: of D_j directly, of E_{j+1}, which was eroded from it, and of O_{j-1}, dilated from it. */
static void image_gradient_row(const skeleton_job *job, size_t row) {
    size_t at = row * job->row_count;
    fv_real *out = job->out + at;
    if (job->level < job->levels) {
        const fv_real *slopes = job->trace->slopes + place_in_level(job, row), *d_skeleton = job->d_skeleton + at;
        for (size_t i = 0; i < job->row_count; i++) out[i] = d_skeleton[i] * slopes[i];
        const uint8_t *origin = job->trace->erosion + (size_t)job->level * job->plane;
        fv_skeleton_rows rows = neighbours(job, job->eroded, origin, row);
        job->kernels->gather(&rows, false, out);
    } else {
        for (size_t i = 0; i < job->row_count; i++) out[i] = 0;
    }
    if (job->level == 0) return;
    const uint8_t *origin = job->trace->dilation + (size_t)(job->level - 1) * job->plane;
    fv_skeleton_rows rows = neighbours(job, job->opened, origin, row);
    job->kernels->gather(&rows, true, out);
}

void fv_skeleton_gradient(fv_shape shape, int iterations, const fv_skeleton_trace *trace, const fv_real *d_skeleton,
                          fv_real *d_image, fv_real *work) {
    skeleton_job job = job_make(shape, iterations, trace);
    job.d_skeleton = d_skeleton;
    job.opened = work + job.plane;
    for (job.level = job.levels; job.level >= 0; job.level--) {
        job.out = job.level % 2 == 0 ? d_image : work;
        if (job.level > 0) run_rows(&job, opened_gradient_row);
        run_rows(&job, image_gradient_row);
        job.eroded = job.out;
    }
}
