#include "fovea/kernel/gemm.h"
#include "op_window.h"

enum { INPUT, WEIGHT, BIAS };

static fv_status infer(fv_op_spec *spec, const char *layer) {
    FV_TRY(fv_infer_inputs(spec, layer, 2, 3));
    fv_shape in = spec->in[INPUT], weight = spec->in[WEIGHT];
    char in_text[FV_SHAPE_TEXT], weight_text[FV_SHAPE_TEXT];
    size_t features = fv_shape_count((fv_shape){1, in.h, in.w, in.c});
    if (weight.n != 1 || weight.h != 1 || (size_t)weight.w != features) {
        return fv_fail(
            FV_BAD_INPUT,
            "layer %s: the weight of dense has the shape %s, expected 1x1x%zux%d (numbers of a sample, units) for "
            "the input %s",
            layer, fv_shape_text(weight, weight_text), features, weight.c, fv_shape_text(in, in_text));
    }
    FV_TRY(fv_op_check_bias(spec, layer, "dense", weight.c));
    spec->out = (fv_shape){in.n, 1, 1, weight.c};
    return FV_OK;
}

/* Each step of backward starts over with all of the work memory. */
static size_t work_bytes(const fv_op_spec *spec, bool backward) {
    int rows = spec->in[INPUT].n, features = spec->in[WEIGHT].w, units = spec->out.c;
    if (!backward) return fv_gemm_rows_work(rows, units, features);
    size_t bias = spec->inputs > BIAS ? fv_column_sums_work(rows, units) : 0;
    return fv_larger(bias,
                     fv_larger(fv_gemm_rows_work(rows, features, units), fv_gemm_weight_work(rows, features, units)));
}

static void forward(const fv_op_call *call) {
    const fv_op_spec *spec = call->spec;
    fv_gemm_rows product = {.m = spec->out.n,
                            .n = spec->out.c,
                            .k = spec->in[WEIGHT].w,
                            .x = call->in[INPUT],
                            .x_stride = spec->in[WEIGHT].w,
                            .b = call->in[WEIGHT],
                            .result = fv_op_result(call, spec->inputs > BIAS ? call->in[BIAS] : NULL),
                            .work = call->work};
    fv_gemm_rows_run(&product);
}

static void backward(const fv_op_call *call) {
    const fv_op_spec *spec = call->spec;
    int rows = spec->out.n, features = spec->in[WEIGHT].w, units = spec->out.c;
    if (call->d_in[INPUT]) {
        fv_gemm_rows product = {.m = rows,
                                .n = features,
                                .k = units,
                                .x = call->d_out,
                                .x_stride = units,
                                .b = call->in[WEIGHT],
                                .transpose_b = true,
                                .result = {.c = call->d_in[INPUT], .ld = features, .add = call->add[INPUT]},
                                .work = call->work};
        fv_gemm_rows_run(&product);
    }
    if (call->d_in[WEIGHT]) {
        fv_gemm_weight product = {.m = rows,
                                  .c = features,
                                  .f = units,
                                  .x = call->in[INPUT],
                                  .x_stride = features,
                                  .dy = call->d_out,
                                  .dy_stride = units,
                                  .add = call->add[WEIGHT],
                                  .dw = call->d_in[WEIGHT],
                                  .work = call->work};
        fv_gemm_weight_run(&product);
    }
    if (spec->inputs > BIAS && call->d_in[BIAS]) {
        fv_column_sums(rows, units, call->d_out, units, call->add[BIAS], call->d_in[BIAS], call->work);
    }
}

static double macs(const fv_op_spec *spec) {
    return (double)spec->in[INPUT].n * spec->in[WEIGHT].w * spec->out.c;
}

const fv_op fv_op_dense = {.name = "dense",
                           .backward_reads = FV_READS_IN(INPUT) | FV_READS_IN(WEIGHT),
                           .infer = infer,
                           .work_bytes = work_bytes,
                           .forward = forward,
                           .backward = backward,
                           .macs = macs};
