#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "fovea/base/nearest.h"
#include "fovea/base/version.h"

typedef struct command {
    const char *name;
    fv_status (*run)(int argc, char **argv);
    const char *summary;
} command;

static const command commands[] = {
    {"train", command_train, "train a network as an INI file says; goes on by itself where it stopped"},
    {"eval", command_eval, "measure a model on photographs with known masks"},
    {"predict", command_predict, "masks, overlay, panel and measures of photographs"},
    {"measure", command_measure, "density, length, width and branchings of vessel masks"},
    {"data", command_data, "check a data set, show augmented samples"},
    {"phantom", command_phantom, "draw fundus phantoms with exact masks"},
    {"inspect", command_inspect, "layers, shapes, parameters, MACs and memory of a network"},
    {"export", command_export, "write a model for other runtimes: ONNX in float32, float16 or int8"},
    {"bench", command_bench, "time networks and kernels beside this machine's limits"},
};
#define COMMAND_COUNT (sizeof commands / sizeof *commands)

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

static void print_help(void) {
    printf("fovea %s: segmentation of retinal photographs on CPUs\n\nusage: fovea COMMAND ...\n\n", fv_version());
    for (size_t i = 0; i < COMMAND_COUNT; i++) printf("  %-10s %s\n", commands[i].name, commands[i].summary);
    printf("\nexamples:\n"
           "  fovea train configs/od_oc.ini\n"
           "  fovea eval runs/od_oc --split test\n"
           "  fovea predict runs/od_oc/best.safetensors photo.jpg --out results\n"
           "  fovea COMMAND --help\n\n"
           "Research software, not a medical device. Not cleared or certified anywhere, not validated for diagnosis, "
           "screening\n"
           "decisions or patient care. Numbers are estimates from image masks; have a qualified clinician judge the "
           "eye.\n");
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
    const char *word = argc > 1 ? argv[1] : "--help";
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(word, commands[i].name) == 0) return finish(commands[i].run(argc - 1, argv + 1));
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        print_help();
        return argc > 1 ? finish(FV_OK) : FV_BAD_INPUT;
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
