#include <string.h>

#include "bench.h"
#include "commands.h"
#include "fovea/base/threads.h"
#include "json_file.h"
#include "options.h"

typedef struct bench_arguments {
    const char *model, *mode, *json, *only;
    long batch, size;
    double seconds; /* 0: not given */
    bool profile, kernels;
} bench_arguments;

static const char summary[] =
    "Times a step of a network on random numbers: to train (forward, loss, backward, Adam) or to infer. With --profile "
    "by "
    "op and\n"
    "layer, with --kernels every op by itself. What is reached stands beside what this machine reaches in plain loops, "
    "measured\n"
    "in the same run. Networks: mobilenetv2_unet, mobilenetv2_se_unet, unet, resunet32, resunet, resunet16, wnet.";

static const char examples[] =
    "  fovea bench --model unet --mode train --batch 8 --size 256 --threads 2 --json unet.json\n"
    "  fovea bench --model runs/od_oc/best.safetensors --mode infer\n"
    "  fovea bench --model mobilenetv2_unet --profile --threads 1\n"
    "  fovea bench --kernels --only depthwise --threads 1\n"
    "  fovea bench                          all networks, both modes: takes minutes";

static fv_status parse_mode(const char *text, bench_mode *mode) {
    *mode = BENCH_MODES;
    for (int i = 0; text && bench_mode_names[i]; i++)
        if (strcmp(bench_mode_names[i], text) == 0) *mode = (bench_mode)i;
    if (text && *mode == BENCH_MODES) return fv_fail(FV_BAD_INPUT, "--mode %s: expected train or infer", text);
    return FV_OK;
}

static fv_status check(const bench_arguments *a) {
    if (a->kernels && (a->model || a->mode || a->size || a->profile))
        return fv_fail(FV_BAD_INPUT,
                       "--kernels has shapes of its own: leave out --model, --mode, --size and --profile");
    if (a->only && !a->kernels)
        return fv_fail(FV_BAD_INPUT, "--only %s chooses among the kernels: give --kernels too", a->only);
    if (a->profile && !a->model)
        return fv_fail(FV_BAD_INPUT, "--profile looks into one network: name it with --model NAME");
    return FV_OK;
}

static fv_status run(const bench_arguments *a) {
    bench_output output = {.table = json_to_stdout(a->json) ? stderr : stdout, .json = a->json};
    bench_request request = {
        .model = a->model, .batch = (int)a->batch, .size = (int)a->size, .seconds = a->seconds > 0 ? a->seconds : 5};
    FV_TRY(check(a));
    FV_TRY(parse_mode(a->mode, &request.mode));
    if (a->kernels) {
        if (!options_threads_given()) fv_threads_set(1);
        return bench_kernels(a->only, a->batch ? (int)a->batch : 1, a->seconds > 0 ? a->seconds : 0.03, &output);
    }
    if (!a->profile) return bench_networks(&request, &output);
    if (request.mode == BENCH_MODES) request.mode = BENCH_TRAIN;
    return bench_profile(&request, &output);
}

fv_status command_bench(int argc, char **argv) {
    bench_arguments a = {0};
    bool done;
    char **words;
    int word_count;
    const option_spec options[] = {
        {"model", OPTION_TEXT, &a.model, "NAME",
         "a network's name, a model file or a run folder (default: all networks)", 0, 0},
        {"mode", OPTION_TEXT, &a.mode, "train|infer", "what to time (default: both; train with --profile)", 0, 0},
        {"batch", OPTION_INTEGER, &a.batch, "N", "images a step (default: 8 to train, resunet and resunet32 2; else 1)",
         1, 1024},
        {"size", OPTION_INTEGER, &a.size, "PX", "side of the input (default 256, or the model file's)", 32, 4096},
        {"seconds", OPTION_NUMBER, &a.seconds, "S",
         "repeat for so long (default 5; --kernels 0.03 a pass); at least 3 steps, 5 to infer", 0, 3600},
        {"json", OPTION_TEXT, &a.json, "FILE", "figures as JSON; - for standard output", 0, 0},
        {"profile", OPTION_FLAG, &a.profile, NULL, "time by op and by layer", 0, 0},
        {"kernels", OPTION_FLAG, &a.kernels, NULL, "time every op by itself (default: one thread)", 0, 0},
        {"only", OPTION_TEXT, &a.only, "NAME", "of the kernels those whose name begins so: \"conv 3x3\", depthwise", 0,
         0},
    };
    const command_line line = {"bench", "[--model NAME] [options]",      summary, examples,
                               options, sizeof options / sizeof *options};
    FV_TRY(options_parse(&line, argc, argv, &words, &word_count, &done));
    if (done) return FV_OK;
    if (word_count > 0)
        return fv_fail(FV_BAD_INPUT, "%s: fovea bench takes options only; a network is named by --model", words[0]);
    stop_on_signals();
    return run(&a);
}
