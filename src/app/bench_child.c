#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

/* What stands in the pipe before the result. */
typedef struct verdict {
    fv_status status;
    char error[1024];
} verdict;

static bool write_all(int file, const void *data, size_t bytes) {
    for (const char *at = data; bytes > 0;) {
        ssize_t n = write(file, at, bytes);
        if (n < 0 && errno != EINTR) return false;
        if (n > 0) at += n, bytes -= (size_t)n;
    }
    return true;
}

static bool read_all(int file, void *data, size_t bytes) {
    for (char *at = data; bytes > 0;) {
        ssize_t n = read(file, at, bytes);
        if (n == 0 || (n < 0 && errno != EINTR)) return false;
        if (n > 0) at += n, bytes -= (size_t)n;
    }
    return true;
}

static void child(int file, fv_status (*body)(const void *context, void *result), const void *context, void *result,
                  size_t bytes) {
    verdict v = {.status = body(context, result)};
    if (v.status != FV_OK) snprintf(v.error, sizeof v.error, "%s", fv_error());
    bool written = write_all(file, &v, sizeof v) && write_all(file, result, bytes);
    _exit(written ? 0 : 1);
}

static fv_status parent(int file, pid_t pid, void *result, size_t bytes) {
    verdict v;
    int ending = 0;
    bool complete = read_all(file, &v, sizeof v) && read_all(file, result, bytes);
    while (waitpid(pid, &ending, 0) < 0 && errno == EINTR) {
    }
    if (complete && v.status == FV_OK) return FV_OK;
    if (complete) return fv_fail(v.status, "%s", v.error);
    int number = WIFSIGNALED(ending) ? WTERMSIG(ending) : 0;
    if (number == SIGINT || number == SIGTERM) return FV_INTERRUPTED;
    return fv_fail(FV_NO_RESOURCE, "the measuring process ended early%s%s", number ? ": " : "",
                   number == SIGKILL ? "it was killed, probably for want of memory; try a smaller --batch or --size"
                   : number          ? strsignal(number)
                                     : "");
}

fv_status bench_child_run(fv_status (*body)(const void *context, void *result), const void *context, void *result,
                          size_t bytes) {
    int ends[2];
    if (pipe(ends) != 0) return fv_fail(FV_NO_RESOURCE, "no pipe to a measuring process: %s", strerror(errno));
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        child(ends[1], body, context, result, bytes);
    }
    close(ends[1]);
    fv_status status = pid < 0 ? fv_fail(FV_NO_RESOURCE, "no measuring process could be started: %s", strerror(errno))
                               : parent(ends[0], pid, result, bytes);
    close(ends[0]);
    return status;
}
