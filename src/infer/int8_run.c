/* What each step of an 8-bit network does. */
#include <string.h>

#include "fovea/kernel/elementwise.h"
#include "int8_layers.h"

void int8_run_quantise(const fv_int8_net *net, const int8_step *step, int64_t begin, int64_t end) {
    const fv_steps *to = &net->tensors[step->out].steps;
    net->kernels->quantise((size_t)(end - begin), net->input + begin, 1 / to->scale, (float)to->zero,
                           int8_data(net, step->out) + begin);
}

void int8_run_product(const fv_int8_net *net, const int8_step *step, int64_t begin, int64_t end) {
    net->kernels->product(&step->layer, begin, end, int8_data(net, step->in[0]), int8_data(net, step->out));
}

void int8_run_depthwise(const fv_int8_net *net, const int8_step *step, int64_t begin, int64_t end) {
    net->kernels->depthwise(&step->layer, (int)begin, (int)end, int8_data(net, step->in[0]), step->outside,
                            int8_data(net, step->out));
}

void int8_run_logits(const fv_int8_net *net, const int8_step *step, int64_t begin, int64_t end) {
    net->kernels->logits(&step->layer, begin, end, int8_data(net, step->in[0]), net->output);
}

void int8_run_sigmoid(const fv_int8_net *net, const int8_step *step, int64_t begin, int64_t end) {
    (void)step;
    fv_stream stream = {.a = net->output, .y = net->output};
    fv_elementwise_kernels()->sigmoid(&stream, (size_t)begin, (size_t)end);
}

/* The bytes of one window; what lies outside of the picture is zero, and so is what fills up. */
static void gather_window(const int8_tensor *from, const uint8_t *x, const fv_attributes *a, int i, int j, int bytes,
                          uint8_t *window) {
    fv_shape s = from->shape;
    int stride = a->stride ? a->stride : 1, dilation = a->dilation ? a->dilation : 1;
    memset(window, from->steps.zero, (size_t)bytes);
    for (int u = 0; u < a->kernel_h; u++) {
        int row = i * stride + u * dilation - a->padding.top;
        if (row < 0 || row >= s.h) continue;
        for (int v = 0; v < a->kernel_w; v++) {
            int column = j * stride + v * dilation - a->padding.left;
            if (column >= 0 && column < s.w)
                memcpy(window + (u * a->kernel_w + v) * s.c, x + ((int64_t)row * s.w + column) * s.c, (size_t)s.c);
        }
    }
}

void int8_run_gather(const fv_int8_net *net, const int8_step *step, int64_t begin, int64_t end) {
    const int8_tensor *from = &net->tensors[step->in[0]];
    fv_shape to = net->tensors[step->out].shape;
    uint8_t *window = int8_data(net, step->out) + begin * to.w * to.c;
    for (int64_t i = begin; i < end; i++)
        for (int j = 0; j < to.w; j++, window += to.c)
            gather_window(from, int8_data(net, step->in[0]), &step->attributes, (int)i, j, to.c, window);
}

void int8_run_upsample(const fv_int8_net *net, const int8_step *step, int64_t begin, int64_t end) {
    fv_shape to = net->tensors[step->out].shape;
    int scale = step->attributes.scale;
    size_t pixel = (size_t)to.c, row = (size_t)to.w * pixel;
    for (int64_t i = begin; i < end; i++) {
        const uint8_t *x = int8_data(net, step->in[0]) + (size_t)(i / scale) * (row / (size_t)scale);
        uint8_t *y = int8_data(net, step->out) + (size_t)i * row;
        for (int j = 0; j < to.w; j++) memcpy(y + (size_t)j * pixel, x + (size_t)(j / scale) * pixel, pixel);
    }
}

void int8_run_concat(const fv_int8_net *net, const int8_step *step, int64_t begin, int64_t end) {
    const int8_tensor *to = &net->tensors[step->out];
    uint8_t *y = int8_data(net, step->out) + begin * to->shape.c;
    for (int k = 0; k < step->inputs; k++) {
        const int8_tensor *from = &net->tensors[step->in[k]];
        float scale = from->steps.scale / to->steps.scale;
        net->kernels->rescale((size_t)(end - begin), (size_t)from->shape.c,
                              int8_data(net, step->in[k]) + begin * from->shape.c, scale,
                              (float)to->steps.zero - scale * (float)from->steps.zero, y, (size_t)to->shape.c);
        y += from->shape.c;
    }
}

void int8_run_add(const fv_int8_net *net, const int8_step *step, int64_t begin, int64_t end) {
    const fv_steps *a = &net->tensors[step->in[0]].steps, *b = &net->tensors[step->in[1]].steps;
    const fv_steps *to = &net->tensors[step->out].steps;
    float scale_a = a->scale / to->scale, scale_b = b->scale / to->scale;
    float offset = (float)to->zero - scale_a * (float)a->zero - scale_b * (float)b->zero;
    net->kernels->add((size_t)(end - begin), int8_data(net, step->in[0]) + begin, int8_data(net, step->in[1]) + begin,
                      scale_a, scale_b, offset, int8_data(net, step->out) + begin);
}
