/* `fovea train`: what the run folder holds, going on, stopping, starting over. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "command.h"
#include "temporary.h"

/* The run that others are compared with: 12 epochs with all losses, never disturbed. */
#define EVERY_LOSS "loss.focal=0.2", "loss.tversky=0.2", "loss.cldice=0.1", "optimizer.l2=1e-4"
#define LONG_RUN "train.epochs=12", "train.checkpoint_every=2", EVERY_LOSS

static int setup(void **state) {
    if (command_setup(state) != 0) return -1;
    command_write_tiny_ini();
    command_expect_good(
        FOVEA("train", "tiny.ini", LONG_RUN, "run.dir=whole", "train.picture_every=5", "--quiet", "--threads", "1"));
    return 0;
}

static int count_lines(const char *text) {
    int lines = 0;
    for (; *text; text++) lines += *text == '\n';
    return lines;
}

/* Finished epochs according to history.csv. */
static int epochs_in(const char *history) {
    size_t bytes;
    if (!command_exists(history)) return 0;
    char *text = command_file(history, &bytes);
    int rows = count_lines(text) - 1;
    free(text);
    return rows;
}

static void nap(long milliseconds) {
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static void expect_ended_as_whole(const char *dir) {
    char last[256], best[256];
    snprintf(last, sizeof last, "%s/last.safetensors", dir);
    snprintf(best, sizeof best, "%s/best.safetensors", dir);
    command_expect_same_tensors("whole/last.safetensors", last);
    command_expect_same_tensors("whole/best.safetensors", best);
}

static void expect_png(const char *name) {
    size_t bytes;
    char *data = command_file(name, &bytes);
    assert_true(bytes > 1000);
    assert_memory_equal(data, "\x89PNG\r\n\x1a\n", 8);
    free(data);
}

static void run_folder_holds_everything(void **state) {
    (void)state;
    static const char *const pictures[] = {"whole/curves.png",
                                           "whole/epochs/epoch_0001.png",
                                           "whole/epochs/epoch_0005.png",
                                           "whole/epochs/epoch_0010.png",
                                           "whole/epochs/epoch_0012.png",
                                           "whole/test/worst.png"};
    for (size_t i = 0; i < sizeof pictures / sizeof *pictures; i++) expect_png(pictures[i]);
    assert_int_equal(command_count("whole"), 7); /* config, history, curves, last, best, epochs/, test/ */
    assert_int_equal(command_count("whole/epochs"), 4);
    assert_int_equal(command_count("whole/test"), 3);
    size_t bytes;
    char *text = command_file("whole/config.ini", &bytes);
    assert_non_null(strstr(text, "[train]\nbatch = 2\nepochs = 12\n"));
    assert_non_null(strstr(text, "dir = whole\n"));
    free(text);
    text = command_file("whole/test/images.csv", &bytes);
    assert_int_equal(count_lines(text), 3); /* 12 phantoms: 8 train, 2 val, 2 test */
    free(text);
}

static void history_has_a_row_an_epoch(void **state) {
    (void)state;
    static const char head[] =
        "epoch,rate,train_loss,train_dice,val_loss,val_dice_disc,val_dice_cup,val_iou_disc,val_iou_cup,seconds\n";
    size_t bytes;
    char *text = command_file("whole/history.csv", &bytes);
    assert_memory_equal(text, head, sizeof head - 1);
    const char *line = text + sizeof head - 1;
    for (int epoch = 1; epoch <= 12; epoch++) {
        double row[10];
        for (int k = 0; k < 10; k++) {
            char *end;
            row[k] = strtod(line, &end);
            assert_true(end > line && *end == (k < 9 ? ',' : '\n'));
            line = end + 1;
        }
        assert_true(row[0] == epoch);
        assert_true(row[2] > 0 && row[4] > 0 && row[5] >= 0 && row[5] <= 1 && row[7] <= row[5] && row[9] > 0);
    }
    assert_int_equal(*line, '\0');
    free(text);
}

static void trained_already(void **state) {
    (void)state;
    command_copy("whole/last.safetensors", "before");
    const command_result *result = FOVEA("train", "whole/config.ini", "--threads", "1");
    command_expect_good(result);
    assert_non_null(strstr(result->err, "whole is trained already (12 epochs, best "));
    assert_null(strstr(result->err, "going on"));
    assert_null(strstr(result->err, "changed"));
    command_expect_same_file("before", "whole/last.safetensors");
}

static void more_epochs_go_on(void **state) {
    (void)state;
    const char *const tail[] = {"run.dir=more", "--threads", "1", NULL};
    command_expect_good(FOVEA("train", "tiny.ini", "train.epochs=1", tail[0], tail[1], tail[2]));
    const command_result *result =
        FOVEA("train", "tiny.ini", "train.epochs=2", "preprocess.clahe_clip=3", tail[0], tail[1], tail[2]);
    command_expect_good(result);
    assert_non_null(strstr(result->err, "going on from more/last.safetensors: epoch 2 of 2\n"));
    assert_non_null(strstr(result->err, "changed since the checkpoint: [train] epochs = 2\n"));
    assert_non_null(strstr(result->err, "changed since the checkpoint: [preprocess] clahe_clip = 3\n"));
    assert_int_equal(epochs_in("more/history.csv"), 2);
}

/* Starts a run, waits until so many epochs are done and a little longer, and sends the signal. */
static const command_result *disturb(const char *dir_override, const char *history, int epochs, long milliseconds,
                                     int number) {
    pid_t pid = command_start(
        (const char *const[]){"train", "tiny.ini", LONG_RUN, dir_override, "--quiet", "--threads", "1", NULL});
    for (int i = 0; i < 60000 && epochs_in(history) < epochs && kill(pid, 0) == 0; i++) nap(1);
    nap(milliseconds);
    kill(pid, number);
    return command_wait(pid);
}

static void sigterm_saves_and_says_how_to_go_on(void **state) {
    (void)state;
    const command_result *result = disturb("run.dir=stopped", "stopped/history.csv", 3, 3, SIGTERM);
    command_expect_good(result);
    assert_int_equal(count_lines(result->err), 1);
    assert_memory_equal(result->err, "stopped in epoch ", 17);
    assert_non_null(strstr(result->err, " of 12, all is saved; go on with: fovea train stopped/config.ini\n"));
    assert_true(epochs_in("stopped/history.csv") < 12);
    command_expect_good(FOVEA("train", "stopped/config.ini", "--quiet", "--threads", "1"));
    assert_int_equal(epochs_in("stopped/history.csv"), 12);
    expect_ended_as_whole("stopped");
}

/* Waits until the program catches SIGTERM, which it does before it reads its settings. */
static void wait_for_handler(pid_t pid) {
    char path[64], line[512];
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    for (int i = 0; i < 60000; i++) {
        unsigned long long caught = 0;
        FILE *file = fopen(path, "r");
        while (file && fgets(line, sizeof line, file))
            if (sscanf(line, "SigCgt: %llx", &caught) == 1) break;
        if (file) fclose(file);
        if (caught & 1ULL << (SIGTERM - 1)) return;
        nap(1);
    }
}

/* Nine runs that are stopped before their first batch, and so do one each: the saved states lie at the beginning, in
   the midst and at the end of epochs. */
static void stops_after_any_batch(void **state) {
    (void)state;
    for (int i = 0; i < 9; i++) {
        pid_t pid = command_start(
            (const char *const[]){"train", "tiny.ini", LONG_RUN, "run.dir=steps", "--quiet", "--threads", "1", NULL});
        wait_for_handler(pid);
        kill(pid, SIGTERM);
        command_expect_good(command_wait(pid));
    }
    assert_true(epochs_in("steps/history.csv") >= 2); /* 9 batches and more */
    assert_true(epochs_in("steps/history.csv") < 12);
    command_expect_good(FOVEA("train", "steps/config.ini", "--quiet", "--threads", "1"));
    expect_ended_as_whole("steps");
}

static void sigkill_at_random_moments(void **state) {
    (void)state;
    int killed = 0;
    srand(7);
    for (int i = 0; i < 4; i++)
        killed += disturb("run.dir=killed", "killed/history.csv", 3 * i, rand() % 25, SIGKILL)->code == 128 + SIGKILL;
    assert_true(killed >= 2); /* a run that was quicker than the signal counts as a good one */
    command_expect_good(FOVEA("train", "tiny.ini", LONG_RUN, "run.dir=killed", "--quiet", "--threads", "1"));
    expect_ended_as_whole("killed");
}

static void two_threads_end_in_the_same_bits(void **state) {
    (void)state;
    command_expect_good(
        FOVEA("train", "tiny.ini", LONG_RUN, "run.dir=two", "data.workers=2", "--quiet", "--threads", "2"));
    expect_ended_as_whole("two");
}

static void fresh_starts_over(void **state) {
    (void)state;
    const char *const words[] = {
        "train", "tiny.ini", "train.epochs=1", "run.dir=again", "--fresh", "--quiet", "--threads", "1", NULL};
    command_expect_good(command_run(words));
    command_copy("again/last.safetensors", "first");
    command_expect_good(command_run(words));
    command_expect_same_tensors("first", "again/last.safetensors");
    assert_int_equal(epochs_in("again/history.csv"), 1);
    command_expect_good(FOVEA("train", "tiny.ini", "train.epochs=1", "run.dir=again", "run.seed=2", "--fresh",
                              "--quiet", "--threads", "1"));
    size_t bytes;
    char *text = command_file("again/config.ini", &bytes);
    assert_non_null(strstr(text, "seed = 2\n"));
    free(text);
}

static void exploding_loss_names_the_layer(void **state) {
    (void)state;
    command_expect_good(FOVEA("train", "tiny.ini", "train.epochs=1", "run.dir=explodes", "--quiet", "--threads", "1"));
    command_copy("explodes/last.safetensors", "before");
    /* each step multiplies the weights by 1 - rate * decay = -9 */
    const command_result *result =
        FOVEA("train", "tiny.ini", "train.epochs=30", "run.dir=explodes", "optimizer.kind=adamw", "optimizer.rate=10",
              "optimizer.weight_decay=1", "train.checkpoint_every=100", "--quiet", "--threads", "1");
    EXPECT_COMPLAINT(result, 2, "the loss or its gradient is not a finite number at epoch ", ", batch ", " of layer ",
                     "lower optimizer.rate");
    command_expect_same_file("before", "explodes/last.safetensors");
}

/* Some values are computed twice then, into the same bits. */
static void a_memory_limit_ends_in_the_same_bits(void **state) {
    (void)state;
    command_expect_good(
        FOVEA("train", "tiny.ini", LONG_RUN, "run.dir=limited", "train.memory=1.8MiB", "--quiet", "--threads", "1"));
    expect_ended_as_whole("limited");
    EXPECT_COMPLAINT(FOVEA("train", "tiny.ini", "run.dir=small", "train.memory=100kB", "--threads", "1"), 3,
                     "the limit is 0.1 MiB; raise train.memory");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_folder_holds_everything),
        cmocka_unit_test(history_has_a_row_an_epoch),
        cmocka_unit_test(trained_already),
        cmocka_unit_test(more_epochs_go_on),
        cmocka_unit_test(sigterm_saves_and_says_how_to_go_on),
        cmocka_unit_test(stops_after_any_batch),
        cmocka_unit_test(sigkill_at_random_moments),
        cmocka_unit_test(two_threads_end_in_the_same_bits),
        cmocka_unit_test(fresh_starts_over),
        cmocka_unit_test(a_memory_limit_ends_in_the_same_bits),
        cmocka_unit_test(exploding_loss_names_the_layer),
    };
    return cmocka_run_group_tests(tests, setup, command_teardown);
}
