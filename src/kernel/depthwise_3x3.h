/* 3x3, dilation 1, stride 1 and 2: what the kernels of each instruction set have in common. Work goes strip by strip: a
   few neighbouring pixels of a row, over all channels, one vector of channels at a time. So memory is read in order,
   the nine weights of a channel serve every pixel of the strip, and the columns that its windows share are loaded once.
   Pixels whose window leaves the image at the left or right are done one by one.

   The file that includes this one, and then depthwise_3x3_slide.h or depthwise_3x3_weight.h or both, defines for its
   vectors of LANES floats: vector, lanes (a mask of the first lanes), first_lanes(count), load(p, whole, mask),
   store(p, value, whole, mask), multiply_add(a, b, c) = a b + c and, for the slide, zero(). With `whole` the mask is
   ignored; without, memory behind the mask is not touched. */
#include "fovea/kernel/depthwise.h"

/* Sums and indices below stay in registers only when the loops over them are unrolled. */
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* Runs BLOCK(c, whole, mask) for c = 0, LANES, ..., the last one masked when channels are left over. */
#define FOR_CHANNELS(channels, BLOCK)                                                                                  \
    do {                                                                                                               \
        int64_t c_ = 0;                                                                                                \
        for (; c_ + LANES <= (channels); c_ += LANES) BLOCK(c_, true, first_lanes(LANES));                             \
        if (c_ < (channels)) BLOCK(c_, false, first_lanes((int)((channels)-c_)));                                      \
    } while (0)

/* The positions [begin, end) whose three columns all lie inside. */
static fv_tap_range whole_windows(int w, int stride, int left, int positions) {
    fv_tap_range range = {left > 0 ? (left + stride - 1) / stride : 0, w + left >= 3 ? (w + left - 3) / stride + 1 : 0};
    if (range.end > positions) range.end = positions;
    if (range.begin > range.end) range.begin = range.end;
    return range;
}

static bool accepts(const fv_window *w, int channels) {
    (void)channels;
    return w->kernel_h == 3 && w->kernel_w == 3 && w->dilation == 1 && (w->stride == 1 || w->stride == 2);
}
