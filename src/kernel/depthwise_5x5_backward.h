/* Backward of 5x5: the data gradient of stride 1 slides as forward does; the rest, which only training of such a
   network would want, is plain C's. To be included behind depthwise_slide.h. */
extern const fv_depthwise fv_depthwise_direct_scalar;

static void data(const fv_window *w, int channels, const float *dy, const float *weight, int row, int row_end,
                 bool add_to, float *dx, int64_t x_stride) {
    (w->stride == 1 ? data_stride_1 : fv_depthwise_direct_scalar.data)(w, channels, dy, weight, row, row_end, add_to,
                                                                       dx, x_stride);
}

static void weight_gradient(const fv_window *w, int channels, const float *x, int64_t x_stride, const float *dy,
                            int row, int row_end, float *dw) {
    fv_depthwise_direct_scalar.weight(w, channels, x, x_stride, dy, row, row_end, dw);
}
