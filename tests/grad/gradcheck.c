#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
#include <cmocka.h>

#include "fovea/base/memory.h"
#include "fovea/base/rng.h"
#include "fovea/base/threads.h"
#include "gradcheck.h"
#include "gradcheck_parts.h"

#define GUARD_BYTES 256 /* before and behind every buffer */
#define GUARD_BYTE 0xA5
#define RUBBISH_BYTE 0xFF /* eight of them are a NaN */
#define CORNER_MARGIN 1e-3

void fv_gradcheck_complain(const fv_gradcheck *check, const char *format, ...) {
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    const fv_attributes *a = &check->attributes;
    print_error("%s, case \"%s\", seed %llu, %s: %s\n", check->op->name, check->name ? check->name : "",
                (unsigned long long)check->seed, check->training ? "training" : "inference", message);
    for (int i = 0; i < check->inputs; i++) {
        fv_shape s = check->in[i].shape;
        print_error("  in[%d] %dx%dx%dx%d, fill %d, %g..%g%s%s\n", i, s.n, s.h, s.w, s.c, (int)check->in[i].fill,
                    check->in[i].low, check->in[i].high, check->in[i].fixed ? ", fixed" : "",
                    check->in[i].updated ? ", updated" : "");
    }
    print_error("  kernel %dx%d stride %d dilation %d groups %d padding %s %d %d %d %d activation %d scale %d\n",
                a->kernel_h, a->kernel_w, a->stride, a->dilation, a->groups,
                a->padding.mode == FV_PAD_SAME ? "same" : "explicit", a->padding.top, a->padding.left,
                a->padding.bottom, a->padding.right, (int)a->activation, a->scale);
    print_error("  epsilon %g momentum %g rate %g smooth %g dice_over_batch %d\n", a->epsilon, a->momentum, a->rate,
                a->smooth, (int)a->dice_over_batch);
    print_error("  weights: bce %g dice %g focal %g tversky %g cldice %g; focal %g %g, tversky %g %g, cldice %d\n",
                a->weight_bce, a->weight_dice, a->weight_focal, a->weight_tversky, a->weight_cldice, a->focal_alpha,
                a->focal_gamma, a->tversky_alpha, a->tversky_beta, a->cldice_iterations);
    fail();
    abort(); /* not reached: fail() jumps out of the test */
}

static void guarded_make(fv_guarded *g, size_t bytes) {
    size_t total = fv_align_up(bytes) + 2 * GUARD_BYTES;
    *g = (fv_guarded){.block = aligned_alloc(FV_ALIGNMENT, total), .bytes = bytes};
    assert_non_null(g->block);
    memset(g->block, GUARD_BYTE, total);
    g->data = bytes ? (char *)g->block + GUARD_BYTES : NULL;
}

static void guarded_check(const fv_guarded *g, const fv_gradcheck *check, const char *what, int index) {
    if (!g->block) return;
    const unsigned char *bytes = g->block;
    size_t total = fv_align_up(g->bytes) + 2 * GUARD_BYTES;
    for (size_t i = 0; i < total; i++) {
        bool inside = i >= GUARD_BYTES && i < GUARD_BYTES + g->bytes;
        if (!inside && bytes[i] != GUARD_BYTE)
            fv_gradcheck_complain(check, "wrote outside %s[%d], %lld bytes from its start (it has %zu)", what, index,
                                  (long long)i - GUARD_BYTES, g->bytes);
    }
}

static void guarded_free(fv_guarded *g) {
    free(g->block);
    *g = (fv_guarded){0};
}

static void fill_rubbish(const fv_guarded *g) {
    if (g->data) memset(g->data, RUBBISH_BYTE, g->bytes);
}

static bool near_corner(double value, double margin) {
    return fabs(value) < margin || fabs(value - 6) < margin;
}

static void fill_input(const fv_gradcheck_input *input, fv_real *data, fv_rng *rng) {
    size_t count = fv_shape_count(input->shape);
    bool standard = input->low == 0 && input->high == 0;
    double low = standard ? -1 : input->low, high = standard ? 1 : input->high;
    for (size_t i = 0; i < count; i++) {
        if (input->fill == FV_FILL_DISTINCT) {
            data[i] = (fv_real)(low + (high - low) * ((double)i + 0.5) / (double)count);
        } else if (input->fill == FV_FILL_BINARY) {
            data[i] = (fv_real)fv_rng_below(rng, 2);
        } else {
            do data[i] = (fv_real)fv_rng_range(rng, low, high);
            while (input->fill == FV_FILL_OFF_CORNERS && near_corner((double)data[i], 0.05));
        }
    }
    if (input->fill != FV_FILL_DISTINCT) return;
    for (size_t i = count; i > 1; i--) {
        size_t j = fv_rng_below(rng, (uint32_t)i);
        fv_real kept = data[i - 1];
        data[i - 1] = data[j];
        data[j] = kept;
    }
}

/* ---- one op with its memory ---- */

static void make_spec(fv_op_spec *spec, const fv_gradcheck *check) {
    *spec = (fv_op_spec){.kind = check->kind, .inputs = check->inputs, .attributes = check->attributes};
    for (int i = 0; i < check->inputs; i++) spec->in[i] = check->in[i].shape;
}

static void draw_inputs(fv_op_run *run, uint64_t attempt) {
    fv_rng rng = fv_rng_make(run->check->seed, attempt, 0, FV_PURPOSE_TEST);
    for (int i = 0; i < run->check->inputs; i++) fill_input(&run->check->in[i], run->in[i].data, &rng);
    fv_real *d_out = run->d_out.data;
    for (size_t i = 0; i < fv_shape_count(run->spec.out); i++) d_out[i] = (fv_real)fv_rng_range(&rng, -1, 1);
}

void fv_op_run_start(fv_op_run *run, const fv_gradcheck *check) {
    *run = (fv_op_run){.check = check};
    make_spec(&run->spec, check);
    if (check->op->infer(&run->spec, "layer") != FV_OK) fv_gradcheck_complain(check, "infer refused: %s", fv_error());
    for (int i = 0; i < check->inputs; i++) {
        guarded_make(&run->in[i], fv_shape_count(check->in[i].shape) * sizeof(fv_real));
        guarded_make(&run->d_in[i], run->in[i].bytes);
        run->call.in[i] = run->in[i].data;
        run->call.d_in[i] = check->in[i].fixed ? NULL : run->d_in[i].data;
    }
    guarded_make(&run->out, fv_shape_count(run->spec.out) * sizeof(fv_real));
    guarded_make(&run->d_out, run->out.bytes);
    guarded_make(&run->saved, check->op->saved_bytes ? check->op->saved_bytes(&run->spec) : 0);
    run->call.spec = &run->spec;
    run->call.out = run->out.data;
    run->call.d_out = run->d_out.data;
    run->call.saved = run->saved.data;
    run->call.training = check->training;
    run->call.seed = check->seed;
    draw_inputs(run, 0);
}

static void run_check_guards(const fv_op_run *run) {
    for (int i = 0; i < run->check->inputs; i++) {
        guarded_check(&run->in[i], run->check, "in", i);
        guarded_check(&run->d_in[i], run->check, "d_in", i);
    }
    guarded_check(&run->out, run->check, "out", 0);
    guarded_check(&run->d_out, run->check, "d_out", 0);
    guarded_check(&run->saved, run->check, "saved", 0);
    guarded_check(&run->work, run->check, "work", 0);
}

/* Fresh work memory, for its size may depend on the number of threads. */
static void run_make_work(fv_op_run *run, bool backward) {
    const fv_op *op = run->check->op;
    guarded_free(&run->work);
    guarded_make(&run->work, op->work_bytes ? op->work_bytes(&run->spec, backward) : 0);
    fill_rubbish(&run->work);
    run->call.work = run->work.data;
}

void fv_op_run_forward(fv_op_run *run) {
    run_make_work(run, false);
    fill_rubbish(&run->saved);
    if (run->call.out == run->out.data) fill_rubbish(&run->out);
    run->check->op->forward(&run->call);
    run_check_guards(run);
}

/* Calls backward with only what it declared to read. */
static void call_backward(const fv_op_run *run) {
    const fv_op *op = run->check->op;
    fv_op_call call = run->call;
    unsigned reads = op->reads ? op->reads(&run->spec) : op->backward_reads;
    for (int i = 0; i < run->check->inputs; i++)
        if (!(reads & FV_READS_IN(i))) call.in[i] = NULL;
    if (!(reads & FV_READS_OUT)) call.out = NULL;
    op->backward(&call);
}

void fv_op_run_backward(fv_op_run *run) {
    run_make_work(run, true);
    for (int i = 0; i < run->check->inputs; i++)
        if (run->call.d_in[i] == run->d_in[i].data && !run->call.add[i] && run->call.d_in[i] != run->call.d_out)
            fill_rubbish(&run->d_in[i]);
    call_backward(run);
    run_check_guards(run);
}

void fv_op_run_end(fv_op_run *run) {
    for (int i = 0; i < FV_MAX_INPUTS; i++) {
        guarded_free(&run->in[i]);
        guarded_free(&run->d_in[i]);
    }
    guarded_free(&run->out);
    guarded_free(&run->d_out);
    guarded_free(&run->saved);
    guarded_free(&run->work);
}

/* ---- the check ---- */

static fv_real *copy_of(const fv_guarded *g) {
    fv_real *copy = malloc(g->bytes ? g->bytes : 1);
    assert_non_null(copy);
    if (g->data) memcpy(copy, g->data, g->bytes);
    return copy;
}

static double largest(const fv_real *data, size_t count) {
    double most = 0;
    for (size_t i = 0; i < count; i++) most = fmax(most, fabs((double)data[i]));
    return most;
}

static void reference_free(reference *ref) {
    for (int i = 0; i < FV_MAX_INPUTS; i++) {
        free(ref->in[i]);
        free(ref->d_in[i]);
        free(ref->in_after[i]);
    }
    free(ref->out);
    free(ref->d_out);
}

void fv_op_run_restore(fv_op_run *run, const reference *ref) {
    for (int i = 0; i < run->check->inputs; i++) memcpy(run->in[i].data, ref->in[i], run->in[i].bytes);
}

static void expect_same_bits(const fv_op_run *run, const fv_guarded *found, const fv_real *expected, const char *what,
                             int index, const char *when) {
    const fv_real *data = found->data;
    for (size_t i = 0; i < found->bytes / sizeof(fv_real); i++)
        if (memcmp(&data[i], &expected[i], sizeof(fv_real)) != 0)
            fv_gradcheck_complain(run->check, "%s[%d] %s: element %zu is %.17g, expected %.17g", what, index, when, i,
                                  (double)data[i], (double)expected[i]);
}

static void expect_inputs_kept(const fv_op_run *run, const reference *ref, const char *when) {
    for (int i = 0; i < run->check->inputs; i++)
        if (!run->check->in[i].updated) expect_same_bits(run, &run->in[i], ref->in[i], "in", i, when);
    expect_same_bits(run, &run->d_out, ref->d_out, "d_out", 0, when);
}

static bool all_finite(const fv_real *data, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!isfinite(data[i])) return false;
    return true;
}

/* Draws inputs until no output before the activation stands near a corner, where differences mean nothing. */
static void avoid_corners(fv_op_run *run) {
    fv_activation activation = run->spec.attributes.activation;
    if (activation == FV_ACT_NONE) return;
    run->spec.attributes.activation = FV_ACT_NONE;
    bool clear = false;
    for (uint64_t attempt = 0; attempt < 1000 && !clear; attempt++) {
        draw_inputs(run, attempt);
        fv_op_run_forward(run);
        clear = true;
        const fv_real *out = run->out.data;
        for (size_t i = 0; i < fv_shape_count(run->spec.out) && clear; i++)
            clear = !near_corner((double)out[i], CORNER_MARGIN);
        draw_inputs(run, attempt); /* forward may have updated running statistics */
    }
    run->spec.attributes.activation = activation;
    if (!clear)
        fv_gradcheck_complain(run->check,
                              "no inputs found that keep away from the activation's corners: use a smaller tensor");
}

static void first_run(fv_op_run *run, reference *ref) {
    avoid_corners(run);
    ref->d_out = copy_of(&run->d_out);
    for (int i = 0; i < run->check->inputs; i++) ref->in[i] = copy_of(&run->in[i]);
    fv_op_run_forward(run);
    expect_inputs_kept(run, ref, "after forward");
    for (int i = 0; i < run->check->inputs; i++) ref->in_after[i] = copy_of(&run->in[i]);
    size_t outputs = fv_shape_count(run->spec.out);
    if (!all_finite(run->out.data, outputs)) fv_gradcheck_complain(run->check, "out holds values that are not finite");
    ref->out = copy_of(&run->out);
    ref->largest_out = largest(ref->out, outputs);
    fv_op_run_restore(run, ref);
    fv_op_run_backward(run);
    expect_inputs_kept(run, ref, "after backward");
    expect_same_bits(run, &run->out, ref->out, "out", 0, "after backward");
    for (int i = 0; i < run->check->inputs; i++) {
        if (!run->call.d_in[i]) continue;
        if (!all_finite(run->d_in[i].data, fv_shape_count(run->spec.in[i])))
            fv_gradcheck_complain(run->check, "d_in[%d] holds values that are not finite", i);
        ref->d_in[i] = copy_of(&run->d_in[i]);
    }
}

/* Derivative of sum(out * d_out) when in[input] moves along `direction` (NULL: along element `at`). The differences are
   taken output by output, so that the outputs that do not move cancel exactly. */
static double difference(fv_op_run *run, const reference *ref, int input, size_t at, const double *direction) {
    static const double steps[4] = {1, -1, 2, -2}, weights[4] = {8, -8, -1, 1};
    size_t count = fv_shape_count(run->spec.in[input]), outputs = fv_shape_count(run->spec.out);
    fv_real *moved = run->in[input].data;
    const fv_real *out = run->out.data;
    double *sums = calloc(outputs, sizeof *sums);
    assert_non_null(sums);
    for (int k = 0; k < 4; k++) {
        fv_op_run_restore(run, ref);
        double step = steps[k] * FV_GRADCHECK_STEP;
        if (direction)
            for (size_t i = 0; i < count; i++) moved[i] += (fv_real)(step * direction[i]);
        else
            moved[at] += (fv_real)step;
        fv_op_run_forward(run);
        for (size_t i = 0; i < outputs; i++) sums[i] += weights[k] * (double)out[i];
    }
    double derivative = 0;
    for (size_t i = 0; i < outputs; i++) derivative += sums[i] * (double)ref->d_out[i];
    free(sums);
    fv_op_run_restore(run, ref);
    return derivative / (12 * FV_GRADCHECK_STEP);
}

static void compare_element(fv_op_run *run, const reference *ref, int input, size_t at, double allowed) {
    double found = (double)ref->d_in[input][at], expected = difference(run, ref, input, at, NULL);
    if (fabs(found - expected) > allowed) {
        fv_shape s = run->spec.in[input];
        size_t c = (size_t)s.c, w = (size_t)s.w, h = (size_t)s.h;
        fv_gradcheck_complain(run->check,
                              "d_in[%d] at (n %zu, y %zu, x %zu, c %zu) is %.12g, differences say %.12g (allowed %.1g)",
                              input, at / c / w / h, at / c / w % h, at / c % w, at % c, found, expected, allowed);
    }
}

static void compare_direction(fv_op_run *run, const reference *ref, int input, fv_rng *rng) {
    size_t count = fv_shape_count(run->spec.in[input]);
    double *direction = calloc(count, sizeof *direction);
    assert_non_null(direction);
    double found = 0, length2 = 0;
    for (size_t i = 0; i < count; i++) {
        direction[i] = fv_rng_range(rng, -1, 1);
        double part = (double)ref->d_in[input][i] * direction[i];
        found += part;
        length2 += part * part;
    }
    double expected = difference(run, ref, input, 0, direction);
    free(direction);
    double outputs = (double)fv_shape_count(run->spec.out);
    double allowed = fmax(FV_GRADCHECK_TOLERANCE * sqrt(length2), 1e-9 * ref->largest_out * sqrt(outputs));
    if (fabs(found - expected) > allowed)
        fv_gradcheck_complain(run->check,
                              "d_in[%d] along a random direction is %.12g, differences say %.12g (allowed %.1g)", input,
                              found, expected, allowed);
}

/* How many elements of in[input] to compare: all of a small tensor, fewer where each difference takes long. */
static size_t sample_count(const fv_op_run *run, int input) {
    size_t count = fv_shape_count(run->spec.in[input]), outputs = fv_shape_count(run->spec.out);
    size_t cost = count > outputs ? count : outputs;
    if (count <= FV_GRADCHECK_ALL && count * cost <= 1000000) return count;
    size_t samples = 1000000 / cost;
    return samples < 4 ? 4 : samples > FV_GRADCHECK_SAMPLES ? FV_GRADCHECK_SAMPLES : samples;
}

static void compare_with_differences(fv_op_run *run, const reference *ref) {
    fv_threads_set(1);
    fv_rng rng = fv_rng_make(run->check->seed, 0, 1, FV_PURPOSE_TEST);
    for (int i = 0; i < run->check->inputs; i++) {
        if (!ref->d_in[i]) continue;
        size_t count = fv_shape_count(run->spec.in[i]), samples = sample_count(run, i);
        double allowed = fmax(FV_GRADCHECK_TOLERANCE * largest(ref->d_in[i], count), 1e-9 * ref->largest_out);
        for (size_t k = 0; k < samples; k++)
            compare_element(run, ref, i, samples == count ? k : fv_rng_below(&rng, (uint32_t)count), allowed);
        if (samples < count) compare_direction(run, ref, i, &rng);
    }
}

static void compare_threads(fv_op_run *run, const reference *ref) {
    for (int threads = 1; threads <= 3; threads++) {
        char when[32];
        snprintf(when, sizeof when, "with %d threads", threads);
        fv_threads_set(threads);
        fv_op_run_restore(run, ref);
        fv_op_run_forward(run);
        expect_same_bits(run, &run->out, ref->out, "out", 0, when);
        for (int i = 0; i < run->check->inputs; i++)
            expect_same_bits(run, &run->in[i], ref->in_after[i], "in", i, when);
        fv_op_run_restore(run, ref);
        fv_op_run_backward(run);
        for (int i = 0; i < run->check->inputs; i++)
            if (ref->d_in[i]) expect_same_bits(run, &run->d_in[i], ref->d_in[i], "d_in", i, when);
    }
    fv_threads_set(1);
}

/* d_in[input] of the last backward against base + factor-free reference, to rounding: another order of sums is allowed.
 */
static void expect_gradient(const fv_op_run *run, const reference *ref, int input, double base, const char *when) {
    size_t count = fv_shape_count(run->spec.in[input]);
    const fv_real *found = run->d_in[input].data;
    double allowed = 1e-12 * (fabs(base) + largest(ref->d_in[input], count));
    for (size_t i = 0; i < count; i++) {
        double expected = base + (double)ref->d_in[input][i];
        if (!(fabs((double)found[i] - expected) <= allowed))
            fv_gradcheck_complain(run->check, "d_in[%d] %s: element %zu is %.17g, expected %.17g", input, when, i,
                                  (double)found[i], expected);
    }
}

static void compare_add(fv_op_run *run, const reference *ref) {
    const double base = 0.75;
    for (int i = 0; i < run->check->inputs; i++) {
        if (!ref->d_in[i]) continue;
        run->call.add[i] = true;
        fv_real *data = run->d_in[i].data;
        for (size_t k = 0; k < fv_shape_count(run->spec.in[i]); k++) data[k] = (fv_real)base;
    }
    fv_op_run_backward(run);
    for (int i = 0; i < run->check->inputs; i++) {
        if (ref->d_in[i]) expect_gradient(run, ref, i, base, "with add");
        run->call.add[i] = false;
    }
}

/* Each input in turn is the only one whose gradient is wanted. */
static void compare_single(fv_op_run *run, const reference *ref) {
    for (int only = 0; only < run->check->inputs; only++) {
        if (!ref->d_in[only]) continue;
        for (int i = 0; i < run->check->inputs; i++) run->call.d_in[i] = i == only ? run->d_in[i].data : NULL;
        fv_op_run_backward(run);
        expect_gradient(run, ref, only, 0, "alone");
    }
    for (int i = 0; i < run->check->inputs; i++) run->call.d_in[i] = ref->d_in[i] ? run->d_in[i].data : NULL;
}

static void compare_in_place(fv_op_run *run, const reference *ref) {
    if (!run->check->op->in_place) return;
    run->call.out = run->call.in[0];
    fv_op_run_forward(run);
    expect_same_bits(run, &run->in[0], ref->out, "out", 0, "in place");
    run->call.out = run->out.data;
    if (!ref->d_in[0]) return;
    fv_op_run_restore(run, ref);
    fv_op_run_forward(run);
    memcpy(run->d_in[0].data, ref->d_out, run->d_out.bytes);
    run->call.d_out = run->d_in[0].data;
    fv_op_run_restore(run, ref);
    fv_op_run_backward(run);
    for (int i = 0; i < run->check->inputs; i++)
        if (ref->d_in[i]) expect_same_bits(run, &run->d_in[i], ref->d_in[i], "d_in", i, "in place");
    run->call.d_out = run->d_out.data;
}

void fv_gradcheck_run(const fv_gradcheck *check) {
    fv_op_run run;
    reference ref = {0};
    fv_threads_set(1);
    fv_op_run_start(&run, check);
    first_run(&run, &ref);
    compare_threads(&run, &ref);
    compare_add(&run, &ref);
    compare_single(&run, &ref);
    compare_in_place(&run, &ref);
    fv_gradcheck_contract(&run, &ref);
    compare_with_differences(&run, &ref);
    reference_free(&ref);
    fv_op_run_end(&run);
}

void fv_gradcheck_refused(const fv_gradcheck *check, const char *part) {
    fv_op_spec spec;
    make_spec(&spec, check);
    fv_status status = check->op->infer(&spec, "decoder.layer");
    if (status != FV_BAD_INPUT) fv_gradcheck_complain(check, "infer returned %d, expected FV_BAD_INPUT", (int)status);
    if (!strstr(fv_error(), part))
        fv_gradcheck_complain(check, "infer said \"%s\", expected \"%s\" in it", fv_error(), part);
    if (!strstr(fv_error(), "decoder.layer"))
        fv_gradcheck_complain(check, "infer said \"%s\" without the layer's name", fv_error());
}

void fv_expect_near(double found, double expected, double tolerance, const char *what, const char *file, int line) {
    if (fabs(found - expected) <= tolerance) return;
    print_error("%s:%d: %s is %.17g, expected %.17g within %g\n", file, line, what, found, expected, tolerance);
    fail();
}
