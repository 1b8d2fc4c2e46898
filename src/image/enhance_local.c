/* Local contrast normalisation. Mean and deviation are smooth, so they are computed on a grid of blocks of about 0.4
   sigma: exact sums of each block, blurred, and interpolated between the centres of blocks. */
#include <math.h>
#include <stdlib.h>

#include "enhance_steps.h"
#include "fovea/base/memory.h"
#include "fovea/image/blur.h"

#define BLOCKS_PER_SIGMA 2.5
#define WIDER 3.0            /* the deviation's neighbourhood against the mean's: vessels do not damp themselves */
#define LEAST_DEVIATION 4.0F /* grey levels: about the noise of a camera, which is not to be blown up */
#define LEAST_WEIGHT 1e-6F

enum { PARTS = 3 }; /* of a block: number of pixels inside, sum of v, sum of v^2 */

typedef struct local_grid {
    int block, width, height; /* px of a block; blocks */
    double sigma;             /* blocks */
    float *sums;              /* {height, width, PARTS} as they are */
    float *blurred;           /* the same behind the blur */
    float *scratch;
    float *mean, *gain; /* {height, width} */
} local_grid;

static void add_block_row(const fv_image *image, const fv_image *fov, int channel, int y, int block, float *sums) {
    size_t start = (size_t)y * (size_t)image->width;
    for (int x0 = 0; x0 < image->width; x0 += block, sums += PARTS) {
        int end = x0 + block < image->width ? x0 + block : image->width;
        int64_t count = 0, sum = 0, squares = 0;
        for (int x = x0; x < end; x++) {
            size_t i = start + (size_t)x;
            int inside = !fov || fov->data[i], v = inside * image->data[i * (size_t)image->channels + (size_t)channel];
            count += inside;
            sum += v;
            squares += v * v;
        }
        sums[0] += (float)count;
        sums[1] += (float)sum;
        sums[2] += (float)squares;
    }
}

static void sum_blocks(const local_grid *grid, const fv_image *image, const fv_image *fov, int channel) {
    size_t row_length = (size_t)grid->width * PARTS;
    for (size_t i = 0; i < row_length * (size_t)grid->height; i++) grid->sums[i] = 0;
    for (int y = 0; y < image->height; y++)
        add_block_row(image, fov, channel, y, grid->block, grid->sums + (size_t)(y / grid->block) * row_length);
}

/* The mean of each block's neighbourhood, and the squared distance of the block's pixels to it in place of v^2. */
static void find_means(const local_grid *grid) {
    size_t count = (size_t)grid->width * (size_t)grid->height;
    for (size_t i = 0; i < count * PARTS; i++) grid->blurred[i] = grid->sums[i];
    fv_blur(grid->blurred, grid->width, grid->height, PARTS, grid->sigma, grid->scratch);
    for (size_t i = 0; i < count; i++) {
        const float *near = grid->blurred + i * PARTS;
        float *own = grid->sums + i * PARTS;
        double mean = near[0] > LEAST_WEIGHT ? near[1] / near[0] : 0;
        grid->mean[i] = (float)mean;
        double distance = own[2] - 2 * mean * own[1] + mean * mean * own[0];
        own[2] = (float)(distance > 0 ? distance : 0);
    }
}

static void find_gains(const local_grid *grid) {
    size_t count = (size_t)grid->width * (size_t)grid->height;
    fv_blur(grid->sums, grid->width, grid->height, PARTS, grid->sigma * WIDER, grid->scratch);
    for (size_t i = 0; i < count; i++) {
        const float *near = grid->sums + i * PARTS;
        float deviation = near[0] > LEAST_WEIGHT ? sqrtf(near[2] / near[0]) : 0;
        grid->gain[i] = FV_NORMAL_DEVIATION / (deviation > LEAST_DEVIATION ? deviation : LEAST_DEVIATION);
    }
}

/* Place between the centres of blocks: index of the first, share of the second. */
static int block_place(int pixel, int block, int count, float *share) {
    float place = ((float)pixel + 0.5F) / (float)block - 0.5F;
    if (place < 0 || count == 1) return *share = 0, 0;
    int first = (int)place < count - 2 ? (int)place : count - 2;
    *share = place - (float)first < 1 ? place - (float)first : 1;
    return first;
}

static void mix_rows(const local_grid *grid, const float *plane, int y, float *restrict out) {
    float share;
    int first = block_place(y, grid->block, grid->height, &share);
    const float *upper = plane + (size_t)first * (size_t)grid->width;
    const float *lower = share > 0 ? upper + grid->width : upper;
    for (int x = 0; x < grid->width; x++) out[x] = upper[x] + share * (lower[x] - upper[x]);
}

static void normalise_row(const local_grid *grid, const float *mean, const float *gain, int width, int channels,
                          uint8_t *row) {
    for (int x = 0; x < width; x++) {
        float share;
        int first = block_place(x, grid->block, grid->width, &share), second = first + (share > 0);
        float middle = mean[first] + share * (mean[second] - mean[first]);
        float slope = gain[first] + share * (gain[second] - gain[first]);
        float level = FV_NORMAL_MEAN + slope * ((float)row[x * channels] - middle);
        row[x * channels] = (uint8_t)(int)((level < 0 ? 0 : level > 255 ? 255 : level) + 0.5F);
    }
}

static void normalise_channel(const local_grid *grid, fv_image *image, const fv_image *fov, int channel) {
    float *mean = grid->scratch, *gain = grid->scratch + grid->width;
    sum_blocks(grid, image, fov, channel);
    find_means(grid);
    find_gains(grid);
    for (int y = 0; y < image->height; y++) {
        uint8_t *row = image->data + (size_t)y * (size_t)image->width * (size_t)image->channels + channel;
        mix_rows(grid, grid->mean, y, mean);
        mix_rows(grid, grid->gain, y, gain);
        normalise_row(grid, mean, gain, image->width, image->channels, row);
    }
}

/* Blocks and interpolation between them widen the Gaussian by 1/12 and 1/6 of a squared block, which is taken off. */
static void lay_grid(const fv_image *image, double sigma, local_grid *grid) {
    int block = (int)(sigma / BLOCKS_PER_SIGMA);
    grid->block = block > 1 ? block : 1;
    grid->width = (image->width + grid->block - 1) / grid->block;
    grid->height = (image->height + grid->block - 1) / grid->block;
    double squared = sigma * sigma / grid->block / grid->block;
    grid->sigma = sqrt(grid->block > 1 ? squared - 0.25 : squared);
}

fv_status fv_local_normalise(fv_image *image, const fv_image *fov, double sigma) {
    local_grid grid;
    lay_grid(image, sigma, &grid);
    size_t count = (size_t)grid.width * (size_t)grid.height;
    float *memory = fv_allocate(count * (3 * PARTS + 2), sizeof *memory, "local means of an image");
    if (!memory) return FV_NO_RESOURCE;
    grid.sums = memory;
    grid.blurred = grid.sums + count * PARTS;
    grid.scratch = grid.blurred + count * PARTS;
    grid.mean = grid.scratch + count * PARTS;
    grid.gain = grid.mean + count;
    for (int c = 0; c < image->channels; c++) normalise_channel(&grid, image, fov, c);
    free(memory);
    fv_levels_outside(image, fov, FV_NORMAL_MEAN);
    return FV_OK;
}
