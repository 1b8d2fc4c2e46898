#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "fovea/base/nearest.h"
#include "fovea/base/version.h"

static const command commands[] = {
    {"train", command_train, "train a network as an INI file says; goes on by itself where it stopped"},
    {"eval", command_eval, "measure a model on photographs with known masks"},
    {"predict", command_predict, "masks, overlay, panel and measures of photographs"},
    {"measure", command_measure, "density, length, width and branchings of vessel masks"},
    {"data", command_data, "check a data set, show augmented samples"},
    {"phantom", command_phantom, "draw fundus phantoms with exact masks"},
    {"import", command_import, "take over weights of Keras or PyTorch: an encoder to train from, or a whole model"},
    {"inspect", command_inspect, "layers, shapes, parameters, MACs and memory of a network"},
    {"export", command_export,
     "write a model as ONNX, TensorFlow Lite or a smaller model file: float32, float16, int8"},
    {"bench", command_bench, "time networks and kernels beside this machine's limits"},
    {"help", command_help, "this text, a command's, the manual page, completions for shells"},
    {NULL, NULL, NULL},
};
#define COMMAND_COUNT (sizeof commands / sizeof *commands - 1)

const command *command_list(void) {
    return commands;
}

const command *command_verbs(const char *name) {
    return strcmp(name, "data") == 0 ? data_verbs : NULL;
}

static volatile sig_atomic_t stop;

static void on_signal(int number) {
    if (stop) _exit(128 + number);
    stop = 1;
}

void stop_on_signals(void) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool stop_requested(void) {
    return stop != 0;
}

static int finish(fv_status status) {
    bool told = status == FV_OK || status == FV_INTERRUPTED || status == FV_FINDINGS;
    if (!told) fprintf(stderr, "fovea: %s\n", fv_error());
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == FV_OK) {
        fprintf(stderr, "fovea: the results could not be written to standard output; is the disk full?\n");
        return FV_NO_RESOURCE;
    }
    return status;
}

int main(int argc, char **argv) {
    const char *word = argc > 1 ? argv[1] : "";
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(word, commands[i].name) == 0) return finish(commands[i].run(argc - 1, argv + 1));
    if (argc < 2 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        int status = finish(command_help(1, argv));
        return argc < 2 && status == FV_OK ? FV_BAD_INPUT : status;
    }
    if (strcmp(word, "--version") == 0) {
        printf("fovea %s (%s)\n", fv_version(), fv_revision());
        return finish(FV_OK);
    }
    if (word[0] == '-')
        return finish(fv_fail(FV_BAD_INPUT, "%s stands where the command should: fovea COMMAND %s ...", word, word));
    const char *names[COMMAND_COUNT];
    for (size_t i = 0; i < COMMAND_COUNT; i++) names[i] = commands[i].name;
    int near = fv_nearest(word, names, (int)COMMAND_COUNT);
    if (near >= 0)
        return finish(fv_fail(FV_BAD_INPUT, "there is no command \"%s\"; did you mean \"%s\"?", word, names[near]));
    return finish(fv_fail(FV_BAD_INPUT, "there is no command \"%s\"; fovea --help lists them", word));
}
