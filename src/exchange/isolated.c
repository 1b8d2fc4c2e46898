#include "isolated.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Processor time that a child may take, in seconds: a hundred times what a good file does. libhdf5 can go in circles.
 */
#define FEWEST_SECONDS 2
#define BYTES_A_SECOND ((size_t)10 << 20)
/* Memory that a child may add to what the process has: HDF5 holds the file several times, and numbers of 16 bits become
   float32. A list of names in libhdf5's own memory may else claim a thousand times the file. */
#define MEMORY_PER_BYTE 8
#define MEMORY_AT_LEAST ((size_t)256 << 20)
#define SENTENCE 1024

/* What comes through the pipe first; then each tensor: this header, its name, its values. */
typedef struct summary {
    fv_status status;
    char sentence[SENTENCE];
    int count, passed;
} summary;

typedef struct tensor_header {
    int dims;
    int64_t shape[FV_FOREIGN_MAX_DIMS];
    char name[FV_FOREIGN_NAME_MAX];
} tensor_header;

/* ---- the child ---- */

static bool send_bytes(int pipe_end, const void *data, size_t bytes) {
    for (const char *at = data; bytes > 0;) {
        ssize_t sent = write(pipe_end, at, bytes);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return false;
        at += sent;
        bytes -= (size_t)sent;
    }
    return true;
}

static bool send_tensor(int pipe_end, const fv_foreign_tensor *tensor) {
    tensor_header header = {.dims = tensor->dims};
    memcpy(header.shape, tensor->shape, sizeof header.shape);
    snprintf(header.name, sizeof header.name, "%s", tensor->name);
    return send_bytes(pipe_end, &header, sizeof header) &&
           send_bytes(pipe_end, tensor->values, tensor->count * sizeof *tensor->values);
}

/* Address space of the process now, sanitizers' shadows included; 0: not known. */
static size_t memory_now(void) {
    unsigned long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    if (statm && fscanf(statm, "%lu", &pages) != 1) pages = 0;
    if (statm) fclose(statm);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Below what the process itself was started with, which only root may raise. */
static void limit(int resource, size_t most) {
    struct rlimit set;
    if (getrlimit(resource, &set) != 0 || set.rlim_cur <= most) return;
    set.rlim_cur = most;
    setrlimit(resource, &set);
}

/* The library may crash as it likes: without the program's handlers, dumps and files. */
static void shut_in(size_t bytes) {
    static const int signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGINT, SIGTERM, SIGALRM, SIGXCPU};
    const struct rlimit nothing = {0, 0};
    size_t memory = memory_now();
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) signal(signals[i], SIG_DFL);
    signal(SIGXFSZ, SIG_IGN); /* its last words to a file are not worth a signal */
    limit(RLIMIT_CPU, FEWEST_SECONDS + bytes / BYTES_A_SECOND);
    if (memory) limit(RLIMIT_AS, memory + MEMORY_AT_LEAST + MEMORY_PER_BYTE * bytes);
    setrlimit(RLIMIT_CORE, &nothing);
    setrlimit(RLIMIT_NOFILE, &nothing);
    setrlimit(RLIMIT_FSIZE, &nothing);
}

static void run_child(fv_foreign_reader reader, const void *data, size_t bytes, fv_foreign *file, int pipe_end) {
    shut_in(bytes);
    summary result = {.status = reader(data, bytes, file)};
    if (result.status != FV_OK) snprintf(result.sentence, sizeof result.sentence, "%s", fv_error());
    if (result.status == FV_OK) result.count = file->count;
    result.passed = file->passed;
    bool sent = send_bytes(pipe_end, &result, sizeof result);
    for (int i = 0; sent && i < result.count; i++) sent = send_tensor(pipe_end, &file->list[i]);
    _exit(0);
}

/* ---- the parent ---- */

static bool receive(int pipe_end, void *data, size_t bytes) {
    for (char *at = data; bytes > 0;) {
        ssize_t got = read(pipe_end, at, bytes);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        at += got;
        bytes -= (size_t)got;
    }
    return true;
}

/* *whole is false when the child stopped in the midst. */
static fv_status receive_tensors(int pipe_end, fv_foreign *file, bool *whole) {
    summary result;
    *whole = receive(pipe_end, &result, sizeof result);
    if (!*whole) return FV_OK;
    result.sentence[SENTENCE - 1] = '\0';
    if (result.status != FV_OK)
        return fv_fail(result.status == FV_NO_RESOURCE ? FV_NO_RESOURCE : FV_BAD_INPUT, "%s", result.sentence);
    file->passed = result.passed;
    for (int i = 0; i < result.count && *whole; i++) {
        tensor_header header;
        fv_foreign_tensor *tensor;
        *whole = receive(pipe_end, &header, sizeof header);
        if (!*whole) return FV_OK;
        header.name[FV_FOREIGN_NAME_MAX - 1] = '\0';
        FV_TRY(fv_foreign_add(file, header.name, header.dims, header.shape, &tensor));
        *whole = receive(pipe_end, tensor->values, tensor->count * sizeof *tensor->values);
    }
    return FV_OK;
}

static fv_status tell_crash(const char *library, const char *path, int ended) {
    char how[48] = "";
    if (WIFSIGNALED(ended))
        snprintf(how, sizeof how, "signal %d", WTERMSIG(ended));
    else
        snprintf(how, sizeof how, "code %d", WEXITSTATUS(ended));
    return fv_fail(FV_BAD_INPUT, "%s is damaged, and %s broke down over it (%s); copy or download it again", path,
                   library, how);
}

static fv_status no_process(const char *path) {
    return fv_fail(FV_NO_RESOURCE, "%s can't be read: no process could be started for it (%s)", path, strerror(errno));
}

fv_status fv_foreign_isolate(fv_foreign_reader reader, const char *library, const void *data, size_t bytes,
                             fv_foreign *file) {
    int ends[2], ended = 0;
    bool whole;
    if (pipe(ends) != 0) return no_process(file->path);
    fflush(NULL); /* or the child would have it too */
    pid_t child = fork();
    if (child == 0) run_child(reader, data, bytes, file, ends[1]);
    close(ends[1]);
    if (child < 0) {
        close(ends[0]);
        return no_process(file->path);
    }
    fv_status status = receive_tensors(ends[0], file, &whole);
    close(ends[0]); /* a child that is still writing ends by SIGPIPE */
    while (waitpid(child, &ended, 0) < 0 && errno == EINTR) {
    }
    return status == FV_OK && !whole ? tell_crash(library, file->path, ended) : status;
}
