#include "command.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "temporary.h"

#define TIME_LIMIT_S 240 /* of one run: generous, the machine may be busy */

static char program[4096];
static long file_limit;
static char output[4096];
static command_result last;

static void find_program(void) {
    const char *given = getenv("FOVEA");
    char self[2048];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(length > 0);
    self[length] = '\0';
    snprintf(program, sizeof program, "%s/../fovea", dirname(self));
    if (given && realpath(given, program) == NULL) fail_msg("FOVEA=%s: there is no such program", given);
    if (access(program, X_OK) != 0) fail_msg("%s: build the program first (make all)", program);
}

int command_setup(void **state) {
    find_program();
    unsetenv("FOVEA_WEIGHTS");
    unsetenv("FOVEA_CPU");
    /* A leak checker's remark about what it passes over is no sentence of the program. */
    const char *leaks = getenv("LSAN_OPTIONS");
    char options[4096];
    snprintf(options, sizeof options, "%s:print_suppressions=0", leaks ? leaks : "");
    setenv("LSAN_OPTIONS", options, 1);
    return temporary_setup(state);
}

int command_teardown(void **state) {
    return temporary_teardown(state);
}

/* ---- running ---- */

static void redirect(const char *path, int descriptor) {
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (file < 0 || dup2(file, descriptor) < 0) _exit(127);
    close(file);
}

static void child(const char *const *words) {
    const char *arguments[64] = {"fovea"};
    for (int i = 0; i < 62 && words[i]; i++) arguments[i + 1] = words[i];
    redirect(output[0] ? output : temporary_path(".out"), STDOUT_FILENO);
    redirect(temporary_path(".err"), STDERR_FILENO);
    if (chdir(temporary_path("")) != 0) _exit(127);
    if (file_limit > 0) {
        struct rlimit limit = {(rlim_t)file_limit, (rlim_t)file_limit};
        signal(SIGXFSZ, SIG_IGN); /* write() then fails with EFBIG */
        setrlimit(RLIMIT_FSIZE, &limit);
    }
    execv(program, (char *const *)arguments);
    _exit(127);
}

pid_t command_start(const char *const *words) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) child(words);
    file_limit = 0;
    return pid;
}

static int wait_with_limit(pid_t pid) {
    struct timespec nap = {.tv_nsec = 2000000};
    for (long waited_ms = 0; waited_ms < TIME_LIMIT_S * 1000L; waited_ms += 2) {
        int status;
        pid_t done = waitpid(pid, &status, WNOHANG);
        if (done == pid) return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        nanosleep(&nap, NULL);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    fail_msg("the program did not end within %d s", TIME_LIMIT_S);
    return -1;
}

static void read_text(const char *path, char text[COMMAND_TEXT]) {
    FILE *file = fopen(path, "r");
    size_t bytes = file ? fread(text, 1, COMMAND_TEXT - 1, file) : 0;
    text[bytes] = '\0';
    if (file) fclose(file);
    unlink(path);
}

const command_result *command_wait(pid_t pid) {
    last.code = wait_with_limit(pid);
    read_text(temporary_path(".out"), last.out);
    read_text(temporary_path(".err"), last.err);
    output[0] = '\0';
    return &last;
}

const command_result *command_run(const char *const *words) {
    return command_wait(command_start(words));
}

void command_limit_files(long bytes) {
    file_limit = bytes;
}

void command_output_to(const char *path) {
    snprintf(output, sizeof output, "%s", path);
}

/* ---- expecting ---- */

void command_expect_good(const command_result *result) {
    if (result->code != 0) fail_msg("exit code %d, expected 0: %s", result->code, result->err);
}

void command_expect_complaint(const command_result *result, int code, const char *const *texts) {
    const char *end = strchr(result->err, '\n');
    if (result->code != code) fail_msg("exit code %d, expected %d: %s", result->code, code, result->err);
    if (strncmp(result->err, "fovea: ", 7) != 0 || !end || end[1] != '\0')
        fail_msg("expected one line \"fovea: ...\" on standard error: \"%s\"", result->err);
    for (; *texts; texts++)
        if (!strstr(result->err, *texts)) fail_msg("\"%s\" is missing in: %s", *texts, result->err);
    assert_string_equal(result->out, "");
}

/* ---- training ---- */

void command_write_tiny_ini(void) {
    static const char text[] = "[run]\nname = tiny\n\n"
                               "[model]\nwidth = 0.1\n\n"
                               "[data]\nphantoms = 12\nphantom_side = 96\n\n"
                               "[preprocess]\nsize = 32\nwork_size = 64\n\n"
                               "[optimizer]\naverage_decay = 0.9\n\n"
                               "[schedule]\nwarmup_steps = 2\n\n"
                               "[train]\nbatch = 2\nepochs = 3\ncheckpoint_every = 1\npicture_every = 0\n";
    command_write_text("tiny.ini", text);
}

/* ---- files ---- */

char *command_file(const char *name, size_t *bytes) {
    struct stat about;
    FILE *file = fopen(temporary_path(name), "rb");
    if (!file || fstat(fileno(file), &about) != 0) fail_msg("%s: %s", name, strerror(errno));
    char *data = malloc((size_t)about.st_size + 1);
    assert_non_null(data);
    *bytes = fread(data, 1, (size_t)about.st_size, file);
    data[*bytes] = '\0';
    fclose(file);
    return data;
}

bool command_exists(const char *name) {
    return access(temporary_path(name), F_OK) == 0;
}

void command_write(const char *name, const void *data, size_t bytes) {
    FILE *file = fopen(temporary_path(name), "wb");
    if (!file) fail_msg("%s: %s", name, strerror(errno));
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

void command_write_text(const char *name, const char *text) {
    command_write(name, text, strlen(text));
}

void command_cut(const char *name, long bytes) {
    assert_int_equal(truncate(temporary_path(name), bytes), 0);
}

void command_copy(const char *from, const char *to) {
    size_t bytes;
    char *data = command_file(from, &bytes);
    command_write(to, data, bytes);
    free(data);
}

static void expect_same(const char *a_name, const char *b_name, bool tensors_only) {
    size_t a_bytes, b_bytes, a_start = 0, b_start = 0;
    char *a = command_file(a_name, &a_bytes), *b = command_file(b_name, &b_bytes);
    if (tensors_only) {
        uint64_t header;
        assert_true(a_bytes > 8 && b_bytes > 8);
        memcpy(&header, a, 8);
        a_start = 8 + (size_t)header;
        memcpy(&header, b, 8);
        b_start = 8 + (size_t)header;
    }
    assert_true(a_start < a_bytes && b_start < b_bytes);
    bool same = a_bytes - a_start == b_bytes - b_start && memcmp(a + a_start, b + b_start, a_bytes - a_start) == 0;
    free(a);
    free(b);
    if (!same) fail_msg("%s and %s differ", a_name, b_name);
}

void command_expect_same_file(const char *a, const char *b) {
    expect_same(a, b, false);
}

void command_expect_same_tensors(const char *a, const char *b) {
    expect_same(a, b, true);
}

int command_count(const char *folder) {
    DIR *entries = opendir(temporary_path(folder));
    int count = -2; /* . and .. */
    if (!entries) return -1;
    while (readdir(entries)) count++;
    closedir(entries);
    return count;
}
