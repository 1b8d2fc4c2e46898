/* What the command says when settings, data, models or the disk are wrong: one sentence, the right exit code, and
   nothing half-written. And the help of every command. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "command.h"
#include "image_samples.h"
#include "temporary.h"

#define QUIET "--quiet", "--threads", "1"

/* A mount of the tests, were one left behind by a crash, ends with this process. */
static void own_mounts(void) {
    if (geteuid() == 0 && unshare(CLONE_NEWNS) == 0) mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

static int setup(void **state) {
    own_mounts();
    if (command_setup(state) != 0) return -1;
    command_write_tiny_ini();
    command_expect_good(FOVEA("train", "tiny.ini", "run.dir=run", QUIET));
    return 0;
}

/* ---- words ---- */

static void wrong_commands_and_options(void **state) {
    (void)state;
    EXPECT_COMPLAINT(FOVEA("frobnicate"), 2, "there is no command \"frobnicate\"", "fovea --help");
    EXPECT_COMPLAINT(FOVEA("trian", "tiny.ini"), 2, "did you mean \"train\"?");
    EXPECT_COMPLAINT(FOVEA("--quiet", "train"), 2, "--quiet stands where the command should");
    EXPECT_COMPLAINT(FOVEA("train"), 2, "give a configuration");
    EXPECT_COMPLAINT(FOVEA("train", "tiny.ini", "--freshh"), 2, "no option --freshh", "did you mean --fresh?");
    EXPECT_COMPLAINT(FOVEA("train", "tiny.ini", "-quiet"), 2, "no option -quiet; did you mean --quiet?");
    EXPECT_COMPLAINT(FOVEA("train", "-fresh", "tiny.ini", "--quiet"), 2, "no option -fresh; did you mean --fresh?");
    EXPECT_COMPLAINT(FOVEA("train", "tiny.ini", "-q"), 2, "no option -q;");
    EXPECT_COMPLAINT(FOVEA("train", "tiny.ini", "--quiet", "-x", "--fresh"), 2, "no option -x;");
    EXPECT_COMPLAINT(FOVEA("train", "tiny.ini", "--quiet=yes"), 2, "--quiet takes no value");
    EXPECT_COMPLAINT(FOVEA("eval", "run", "--xyzzy"), 2, "no option --xyzzy", "fovea eval --help");
    EXPECT_COMPLAINT(FOVEA("predict", "run", "photo.jpg", "--out"), 2, "--out needs a value");
    EXPECT_COMPLAINT(FOVEA("predict", "run", "photo.jpg", "--out", ""), 2, "--out needs a value");
    EXPECT_COMPLAINT(FOVEA("train", "tiny.ini", "--threads", "0"), 2, "--threads 0: expected a whole number from 1");
    EXPECT_COMPLAINT(FOVEA("train", "tiny.ini", "--threads", "two"), 2, "--threads two: expected a whole number");
}

static void every_command_has_help(void **state) {
    (void)state;
    static const struct {
        const char *words[4];
        const char *options[8];
    } commands[] = {
        {{"train", "--help"}, {"--fresh"}},
        {{"eval", "--help"}, {"--split", "--manifest", "--root", "--column", "--json", "--out", "--flips"}},
        {{"predict", "--help"}, {"--out", "--flips"}},
        {{"data", "check", "--help"}, {"--root", "--column", "--json", "--limit"}},
        {{"data", "augment", "--help"}, {"--out", "--count"}},
        {{"phantom", "--help"}, {"--out", "--count", "--seed", "--side"}},
        {{"inspect", "-h"}, {"--batch"}},
        {{"bench", "--help"},
         {"--model", "--mode", "--batch", "--size", "--seconds", "--json", "--profile", "--kernels"}},
    };
    static const char *const common[] = {"--threads N", "--quiet", "--help", "examples:\n  fovea ",
                                         "exit codes: 0 good"};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        const command_result *result = command_run(commands[i].words);
        command_expect_good(result);
        assert_string_equal(result->err, "");
        for (int k = 0; k < 8 && commands[i].options[k]; k++) {
            char option[64];
            snprintf(option, sizeof option, "\n  %s ", commands[i].options[k]);
            assert_non_null(strstr(result->out, option));
        }
        for (size_t k = 0; k < sizeof common / sizeof *common; k++) assert_non_null(strstr(result->out, common[k]));
    }
}

static void the_program_itself(void **state) {
    (void)state;
    const command_result *result = FOVEA("--help");
    command_expect_good(result);
    static const char *const names[] = {"train", "eval", "predict", "data", "phantom", "inspect", "bench"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) assert_non_null(strstr(result->out, names[i]));
    assert_non_null(strstr(result->out, "not a medical device"));
    command_expect_good(FOVEA("--version"));
    command_expect_good(FOVEA("data", "--help"));
    assert_int_equal(command_run((const char *const[]){NULL})->code, 2);
}

/* ---- settings ---- */

static void wrong_settings(void **state) {
    (void)state;
    command_write_text("key.ini", "[train]\nbatch = 2\n\n# a slip:\nepoch = 3\n");
    EXPECT_COMPLAINT(FOVEA("train", "key.ini", QUIET), 2, "key.ini:5: [train] epoch is not a key",
                     "did you mean \"epochs\"?");
    command_write_text("section.ini", "[trian]\nepochs = 3\n");
    EXPECT_COMPLAINT(FOVEA("train", "section.ini", QUIET), 2, "section.ini:2: [trian]", "did you mean [train]?");
    command_write_text("value.ini", "[train]\nepochs = many\n");
    EXPECT_COMPLAINT(FOVEA("train", "value.ini", QUIET), 2,
                     "value.ini:2: [train] epochs = many: must be a whole number");
    command_write_text("line.ini", "[train]\nepochs 3\n");
    EXPECT_COMPLAINT(FOVEA("train", "line.ini", QUIET), 2, "line.ini:2: this is neither a [section]");
    command_write_text("choice.ini", "[schedule]\nkind = cosinus\n");
    EXPECT_COMPLAINT(FOVEA("train", "choice.ini", QUIET), 2, "choice.ini:2: [schedule] kind = cosinus", "cosine");
    EXPECT_COMPLAINT(FOVEA("train", "no.ini", QUIET), 2, "no.ini: there is no such file");
    EXPECT_COMPLAINT(FOVEA("train", "run", QUIET), 2, "run is a folder; name a file");
    EXPECT_COMPLAINT(FOVEA("train", "runs/phantoms_12_1_96/od/0000.png", QUIET), 2, "0000.png is not a text file");
    assert_false(command_exists("runs/run"));
}

static void wrong_overrides(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"train.epoch=3", "command line: [train] epoch is not a key that fovea knows; did you mean \"epochs\"?"},
        {"train.epochs=0", "command line: [train] epochs = 0: must be a whole number from 1"},
        {"train.epochs", "\"train.epochs\" is not of the form section.key=value"},
        {"run.dir=", "[run] dir = : is empty"},
        {"preprocess.size=33", "command line: [preprocess] size = 33: the input size 33 does not fit"},
        {"model.classes=disc disc", "command line: [model] classes = disc disc: disc is named twice"},
        {"model.classes=disc ../cup", "command line: [model] classes = disc ../cup: the class name \"../cup\""},
        {"model.classes=disc panel", "no class can be named panel"},
        {"preprocess.clahe_clip=0", "command line: [preprocess] clahe_clip = 0: must be a number from 0.01 to 1000"},
        {"model.classes=disc macula", "class macula has no mask in the training split"},
        {"model.network=vgg", "command line: [model] network = vgg"},
        {"model.network=unet", "[model] width = 0.1: the width multiplier 0.1 does not fit: unet has none"},
        {"model.depth=3",
         "command line: [model] depth = 3: the depth of 3 levels does not fit: that of mobilenetv2_unet"},
        {"model.norm=group", "command line: [model] norm = group: group norm does not fit: mobilenetv2_unet"},
        {"loss.auxiliary=-1", "[loss] auxiliary = -1"},
        {"model.base=16", "command line: [model] base = 16: the base of 16 filters does not fit: mobilenetv2_unet"},
        {"model.encoder_weights=no.safetensors",
         "command line: [model] encoder_weights = no.safetensors: no such file"},
        {"data.manifest=no.csv", "command line: [data] manifest = no.csv: there is no file no.csv"},
        {"loss.focal_gamma=-1", "[loss] focal_gamma = -1: must be a number from 0"},
        {"loss.cldice_iterations=51", "[loss] cldice_iterations = 51: must be a whole number from 1 to 50"},
        {"data.phantoms=2", "command line: [data] phantoms = 2: must be a whole number from 8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        EXPECT_COMPLAINT(FOVEA("train", "tiny.ini", "run.dir=never", cases[i][0], QUIET), 2, cases[i][1]);
    EXPECT_COMPLAINT(FOVEA("train", "tiny.ini", "run.dir=never", "loss.bce=0", "loss.dice=0", QUIET), 2,
                     "[loss] bce = 0: bce, dice, focal, tversky and cldice can't all be 0");
    EXPECT_COMPLAINT(
        FOVEA("train", "tiny.ini", "run.dir=never", "optimizer.l2=1e-4", "optimizer.l2_layers=decodr", QUIET), 2,
        "[optimizer] l2_layers: the network has no kernel of the name decodr", "fovea inspect");
    assert_false(command_exists("never"));
}

/* ---- data ---- */

/* Writes table.csv whose only bad row has these photograph and mask, and trains on it. */
static const command_result *train_on(const char *photo, const char *mask) {
    char table[2048] = "fundus,od,oc,split\n";
    for (int i = 0; i < 8; i++)
        snprintf(table + strlen(table), sizeof table - strlen(table), "%s,%s,oc/%04d.png,%s\n",
                 i == 3 ? photo : "images/0000.png", i == 3 ? mask : "od/0000.png", 0, i < 6 ? "train" : "val");
    command_write_text("table.csv", table);
    return FOVEA("train", "tiny.ini", "data.manifest=table.csv", "data.root=runs/phantoms_12_1_96", "run.dir=spoiled",
                 QUIET);
}

static void wrong_data(void **state) {
    (void)state;
    char here[512];
    snprintf(here, sizeof here, "%s", temporary_path("cut.jpg"));
    sample_file jpeg = sample_jpeg(SAMPLE_JPEG_PROGRESSIVE), png;
    command_write("cut.jpg", jpeg.data, jpeg.bytes / 2);
    EXPECT_COMPLAINT(train_on(here, "od/0000.png"), 2, "cut.jpg: the JPEG image ends too early");
    free(jpeg.data);

    png = sample_png(30000, 30000, 8, 0, NULL, 0); /* the size in its header is enough */
    command_write("huge.png", png.data, png.bytes);
    free(png.data);
    snprintf(here, sizeof here, "%s", temporary_path("huge.png"));
    EXPECT_COMPLAINT(train_on(here, "od/0000.png"), 2, "huge.png", "30000");

    command_write_text("empty.png", "");
    snprintf(here, sizeof here, "%s", temporary_path("empty.png"));
    EXPECT_COMPLAINT(train_on("images/0001.png", here), 2, "empty.png is empty (0 bytes");

    command_expect_good(FOVEA("phantom", "--out", "big", "--count", "1", "--side", "128", "--quiet"));
    snprintf(here, sizeof here, "%s", temporary_path("big/od/0000.png"));
    EXPECT_COMPLAINT(train_on("images/0001.png", here), 2, "big/od/0000.png", "128 x 128", "96 x 96");

    EXPECT_COMPLAINT(train_on("images/nothing.png", "od/0000.png"), 2, "images/nothing.png: there is no such file");
    assert_false(command_exists("spoiled/last.safetensors"));
    assert_false(command_exists("spoiled/best.safetensors"));

    command_write_text("table.csv", "photo,od,oc\nimages/0000.png,od/0000.png,oc/0000.png\n");
    EXPECT_COMPLAINT(FOVEA("train", "tiny.ini", "data.manifest=table.csv", QUIET), 2, "table.csv", "fundus", "photo");
}

/* ---- checkpoints ---- */

static void wrong_checkpoints(void **state) {
    (void)state;
    const char *const more[] = {"train", "tiny.ini", "train.epochs=9", "run.dir=cut", "--quiet", "--threads",
                                "1",     NULL};
    assert_int_equal(mkdir(temporary_path("cut"), 0777), 0);
    command_copy("run/last.safetensors", "cut/last.safetensors");
    command_cut("cut/last.safetensors", 1000000);
    EXPECT_COMPLAINT(command_run(more), 2, "cut/last.safetensors: ", "the file is cut off", "--fresh");
    command_cut("cut/last.safetensors", 0);
    EXPECT_COMPLAINT(command_run(more), 2, "cut/last.safetensors: 0 bytes are too few", "--fresh");
    command_copy("run/best.safetensors", "cut/last.safetensors");
    EXPECT_COMPLAINT(command_run(more), 2, "cut/last.safetensors is a model but no checkpoint", "--fresh");
    assert_int_equal(command_count("cut"), 1); /* nothing came to it */

    command_copy("run/last.safetensors", "before");
    EXPECT_COMPLAINT(FOVEA("train", "tiny.ini", "run.dir=run", "train.epochs=9", "model.width=0.2", QUIET), 2,
                     "run/last.safetensors is no checkpoint of this training", "--fresh");
    command_expect_same_file("before", "run/last.safetensors");
}

/* ---- disk ---- */

/* A disk of 1 MB below the working folder, or false where mounting isn't allowed. */
static bool mount_small_disk(const char *name) {
    assert_int_equal(mkdir(temporary_path(name), 0777), 0);
    return geteuid() == 0 && mount("tmpfs", temporary_path(name), "tmpfs", 0, "size=1m") == 0;
}

/* Fills all but `free_bytes` of a disk of 1 MB. */
static void fill_disk(const char *name, size_t free_bytes) {
    size_t bytes = (1 << 20) - free_bytes;
    char *zeros = calloc(1, bytes);
    assert_non_null(zeros);
    command_write(name, zeros, bytes);
    free(zeros);
}

static void full_disk(void **state) {
    (void)state;
    if (!mount_small_disk("disk")) {
        print_message("skip: mounting a small disk is not allowed here\n");
        skip();
    }
    fill_disk("disk/filler", 64 << 10); /* room for config.ini and folders, not for weights of 2.5 MB */
    const command_result *result = FOVEA("train", "tiny.ini", "run.dir=disk/run", QUIET);
    EXPECT_COMPLAINT(result, 3, "disk/run/", "no space left");
    assert_false(command_exists("disk/run/best.safetensors"));
    assert_false(command_exists("disk/run/last.safetensors"));
    result = FOVEA("predict", "run", "runs/phantoms_12_1_96/images/0000.png", "--out", "disk/out", QUIET);
    EXPECT_COMPLAINT(result, 3, "disk/out/0000_", "no space left");
    assert_false(command_exists("disk/out/0000.json"));
    unlink(temporary_path("disk/filler"));
    command_expect_good(FOVEA("predict", "run", "runs/phantoms_12_1_96/images/0000.png", "--out", "disk/out", QUIET));
    assert_int_equal(command_count("disk/out"), 5); /* no temporary file stayed */
    assert_int_equal(umount(temporary_path("disk")), 0);
}

/* The same where nothing can be mounted: no file may grow beyond 100 KB. The old files stay as they were. */
static void files_that_can_not_grow(void **state) {
    (void)state;
    assert_int_equal(mkdir(temporary_path("grown"), 0777), 0);
    command_copy("run/last.safetensors", "grown/last.safetensors");
    command_copy("run/best.safetensors", "grown/best.safetensors");
    command_limit_files(100000);
    const command_result *result = FOVEA("train", "tiny.ini", "run.dir=grown", "train.epochs=9", QUIET);
    EXPECT_COMPLAINT(result, 3, "grown/", "what stood there before is unchanged");
    command_expect_same_file("run/last.safetensors", "grown/last.safetensors");
    command_expect_same_file("run/best.safetensors", "grown/best.safetensors");
    command_expect_good(FOVEA("train", "tiny.ini", "run.dir=grown", "train.epochs=4", QUIET));
}

static void folders_that_can_not_be_written(void **state) {
    (void)state;
    static const char photo[] = "runs/phantoms_12_1_96/images/0000.png";
    EXPECT_COMPLAINT(FOVEA("train", "tiny.ini", "run.dir=tiny.ini/run", QUIET), 2, "tiny.ini/run cannot be made",
                     "a file of that name is in the way");
    EXPECT_COMPLAINT(FOVEA("predict", "run", photo, "--out", "tiny.ini", QUIET), 2, "tiny.ini cannot be made");
    EXPECT_COMPLAINT(FOVEA("phantom", "--out", "tiny.ini/x", "--count", "1", "--quiet"), 2, "tiny.ini/x");
    EXPECT_COMPLAINT(FOVEA("phantom", "--sheet", "nowhere/x.png", "--count", "1", "--quiet"), 2,
                     "nowhere/x.png: cannot be written: the folder nowhere does not exist");
    EXPECT_COMPLAINT(FOVEA("data", "augment", "tiny.ini", "--out", "run", "--count", "1", "--quiet"), 2,
                     "run: cannot be written: it is a folder");
}

static void read_only_folder(void **state) {
    (void)state;
    if (!mount_small_disk("sealed") || mount("", temporary_path("sealed"), "", MS_REMOUNT | MS_RDONLY, NULL) != 0) {
        print_message("skip: mounting a read-only folder is not allowed here\n");
        skip();
    }
    EXPECT_COMPLAINT(FOVEA("train", "tiny.ini", "run.dir=sealed/run", QUIET), 2, "sealed/run", "Read-only");
    const command_result *result = FOVEA("eval", "run", "--json", "sealed/x.json", QUIET);
    assert_int_equal(result->code, 2);
    assert_non_null(strstr(result->err, "fovea: sealed/x.json: cannot be written: Read-only"));
    assert_non_null(strstr(result->out, "disc     Dice")); /* the figures are not lost */
    assert_int_equal(umount(temporary_path("sealed")), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_commands_and_options),
        cmocka_unit_test(every_command_has_help),
        cmocka_unit_test(the_program_itself),
        cmocka_unit_test(wrong_settings),
        cmocka_unit_test(wrong_overrides),
        cmocka_unit_test(wrong_data),
        cmocka_unit_test(wrong_checkpoints),
        cmocka_unit_test(full_disk),
        cmocka_unit_test(files_that_can_not_grow),
        cmocka_unit_test(folders_that_can_not_be_written),
        cmocka_unit_test(read_only_folder),
    };
    return cmocka_run_group_tests(tests, setup, command_teardown);
}
