/* SIDE x SIDE, dilation 1, stride 1 and 2: what the kernels of each instruction set have in common.

   Work goes tile by tile: a few neighbouring rows of a few pixels, over all channels, one vector of channels at a time,
   the tile's sums in registers. So memory is read in order, and a pixel of the picture is loaded once for all windows
   of the tile that it lies in: row by row it would come from second-level cache SIDE times, so (3x3) one and a half
   times or less. At the picture's edges a tile leaves out the rows and columns that there are not.

   The file that includes this one defines SIDE, the kernel's, and for its vectors of LANES floats
   (depthwise_vector_*.h): vector, lanes (a mask of the first lanes), first_lanes(count), load(p, whole, mask), store(p,
   value, whole, mask), zero(), broadcast(x), add(a, b), multiply_add(a, b, c) = a b + c, and minimum(a, b) and
   maximum(a, b), which are b where that is NaN. With `whole` the mask is ignored; without, memory behind the mask is
   not touched. It defines too, to suit its number of registers, the size of a tile of results of the slide (SLIDE_ROWS,
   which is even, and SLIDE_PIXELS), of the spread (SPREAD_ROWS, SPREAD_PIXELS, both even), and of the tile of dy that
   the weight gradient takes at once (WEIGHT_ROWS, WEIGHT_PIXELS). */
#include "fovea/kernel/depthwise.h"

#define TAPS (SIDE * SIDE)

/* Sums and indices below stay in registers only when the loops over them are unrolled. */
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

/* Runs BLOCK(c, whole, mask) for c = 0, LANES, ..., the last one masked when channels are left over. */
#define FOR_CHANNELS(channels, BLOCK)                                                                                  \
    do {                                                                                                               \
        int64_t c_ = 0;                                                                                                \
        for (; c_ + LANES <= (channels); c_ += LANES) BLOCK(c_, true, first_lanes(LANES));                             \
        if (c_ < (channels)) BLOCK(c_, false, first_lanes((int)((channels)-c_)));                                      \
    } while (0)

/* Those of the `count` rows (or columns) from `start` on that lie in a picture of `size`. */
static inline fv_tap_range inside(int start, int count, int size) {
    return fv_window_clip(start, 1, count, size);
}

static inline bool within(fv_tap_range range, int i) {
    return i >= range.begin && i < range.end;
}

static bool accepts(const fv_window *w, int channels) {
    (void)channels;
    return w->kernel_h == SIDE && w->kernel_w == SIDE && w->dilation == 1 && (w->stride == 1 || w->stride == 2);
}
