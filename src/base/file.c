#include "fovea/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STREAM_BUFFER ((size_t)1 << 16)
#define NAME_TRIES 100

/* The folder part of a path: "." for a bare name, "/" for a file of the root. */
static void folder_of(const char *path, char folder[FV_PATH_MAX]) {
    const char *slash = strrchr(path, '/');
    if (!slash)
        snprintf(folder, FV_PATH_MAX, ".");
    else if (slash == path)
        snprintf(folder, FV_PATH_MAX, "/");
    else
        snprintf(folder, FV_PATH_MAX, "%.*s", (int)(slash - path), path);
}

static fv_status fail_reading(const char *path, int error) {
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return fv_fail(FV_BAD_INPUT, "%s: there is no such file; check the path", path);
    case EISDIR:
        return fv_fail(FV_BAD_INPUT, "%s is a folder; name a file", path);
    case EACCES:
    case EPERM:
        return fv_fail(FV_BAD_INPUT, "%s: reading is not permitted; change the permissions of the file or its folder",
                       path);
    case ENOMEM:
    case EMFILE:
    case ENFILE:
        return fv_fail(FV_NO_RESOURCE, "%s: cannot be read: %s", path, strerror(error));
    default:
        return fv_fail(FV_BAD_INPUT, "%s: cannot be read: %s", path, strerror(error));
    }
}

static fv_status fail_writing(const char *path, int error) {
    char folder[FV_PATH_MAX];
    folder_of(path, folder);
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return fv_fail(FV_BAD_INPUT, "%s: cannot be written: the folder %s does not exist; make it or name another",
                       path, folder);
    case EACCES:
    case EPERM:
    case EROFS:
        return fv_fail(FV_BAD_INPUT,
                       "%s: cannot be written: %s; change the permissions of the folder %s or name another", path,
                       strerror(error), folder);
    case EISDIR:
        return fv_fail(FV_BAD_INPUT, "%s: cannot be written: it is a folder; name a file", path);
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return fv_fail(FV_NO_RESOURCE,
                       "%s: cannot be written: no space left (%s); free some space or name another folder, what stood "
                       "there before is unchanged",
                       path, strerror(error));
    case EIO:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
        return fv_fail(FV_NO_RESOURCE, "%s: cannot be written: %s; what stood there before is unchanged", path,
                       strerror(error));
    default:
        return fv_fail(FV_BAD_INPUT, "%s: cannot be written: %s", path, strerror(error));
    }
}

/* Opens a fresh file beside `path`. The counter keeps threads apart, O_EXCL what a killed process left behind. */
static int open_temporary(fv_file *file, const char *folder, const char *name) {
    static atomic_uint counter;
    int descriptor = -1;
    for (int try = 0; try < NAME_TRIES && descriptor < 0; try++) {
        int length = snprintf(file->temporary, sizeof file->temporary, "%s/.%.100s.%ld.%u.tmp", folder, name,
                              (long)getpid(), atomic_fetch_add(&counter, 1));
        if (length >= (int)sizeof file->temporary) {
            errno = ENAMETOOLONG;
            return -1;
        }
        descriptor = open(file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (descriptor < 0 && errno != EEXIST) return -1;
    }
    return descriptor;
}

/* Whether the name is ".NAME.PID.N.tmp" of a process that does not exist. */
static bool is_orphan(const char *name) {
    long pid;
    int end = 0;
    size_t length = strlen(name);
    if (name[0] != '.' || length < 8 || strcmp(name + length - 4, ".tmp") != 0) return false;
    const char *at = name + length - 4;
    for (int dots = 0; dots < 2; dots++) /* back over ".N" and ".PID" */
        do {
            if (--at == name) return false;
        } while (*at != '.');
    bool ours = sscanf(at, ".%ld.%*u.tmp%n", &pid, &end) == 1 && at[end] == 0 && end > 0 && pid > 0;
    return ours && kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

void fv_folder_sweep(const char *path) {
    DIR *folder = opendir(path);
    if (!folder) return;
    for (struct dirent *entry; (entry = readdir(folder));)
        if (is_orphan(entry->d_name)) unlinkat(dirfd(folder), entry->d_name, 0);
    closedir(folder);
}

fv_status fv_file_begin(fv_file *file, const char *path) {
    memset(file, 0, sizeof *file);
    if (strlen(path) >= FV_PATH_MAX) return fv_fail(FV_BAD_INPUT, "%.60s...: the path is too long", path);
    struct stat old;
    if (!stat(path, &old) && !S_ISREG(old.st_mode)) {
        if (S_ISDIR(old.st_mode)) return fail_writing(path, EISDIR);
        return fv_fail(FV_BAD_INPUT, "%s: cannot be written: it is a device or a pipe; name a regular file", path);
    }
    char folder[FV_PATH_MAX];
    folder_of(path, folder);
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    if (!*name) return fv_fail(FV_BAD_INPUT, "\"%s\" cannot be written: it names no file", path);
    int descriptor = open_temporary(file, folder, name);
    if (descriptor < 0) return fail_writing(path, errno);
    file->stream = fdopen(descriptor, "w");
    if (!file->stream) {
        int error = errno;
        close(descriptor);
        unlink(file->temporary);
        return fail_writing(path, error);
    }
    setvbuf(file->stream, NULL, _IOFBF, STREAM_BUFFER);
    snprintf(file->path, sizeof file->path, "%s", path);
    return FV_OK;
}

/* Without this a power cut could bring the old name back. The content is safe either way and some network file systems
   refuse it, so that its result decides nothing. */
static void sync_folder(const char *path) {
    char folder[FV_PATH_MAX];
    folder_of(path, folder);
    int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return;
    fsync(descriptor);
    close(descriptor);
}

fv_status fv_file_commit(fv_file *file) {
    int error = 0;
    bool earlier = ferror(file->stream); /* its errno is gone: a full disk is the likely reason */
    if (fflush(file->stream) || fsync(fileno(file->stream))) error = errno;
    if (fclose(file->stream) && !error) error = errno;
    file->stream = NULL;
    if (earlier && !error) error = ENOSPC;
    if (!error && rename(file->temporary, file->path)) error = errno;
    if (error) {
        unlink(file->temporary);
        return fail_writing(file->path, error);
    }
    sync_folder(file->path);
    return FV_OK;
}

void fv_file_abandon(fv_file *file) {
    if (!file->stream) return;
    fclose(file->stream);
    unlink(file->temporary);
    file->stream = NULL;
}

fv_status fv_file_write(const char *path, const void *data, size_t bytes) {
    fv_file file;
    FV_TRY(fv_file_begin(&file, path));
    if (bytes && fwrite(data, 1, bytes, file.stream) != bytes) {
        int error = errno;
        fv_file_abandon(&file);
        return fail_writing(path, error);
    }
    return fv_file_commit(&file);
}

/* Reads to the end, at most limit + 1 bytes: pipes and /proc files do not tell their size. */
static int read_all(int descriptor, size_t expected, size_t limit, char **data, size_t *bytes) {
    size_t capacity = (expected < limit ? expected : limit) + 2, used = 0;
    char *buffer = malloc(capacity);
    while (buffer && used <= limit) {
        if (used + 1 == capacity) {
            capacity = capacity > (limit + 2) / 2 ? limit + 2 : capacity * 2;
            char *larger = realloc(buffer, capacity);
            if (!larger) free(buffer);
            buffer = larger;
            continue;
        }
        ssize_t got = read(descriptor, buffer + used, capacity - 1 - used);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            int error = errno;
            free(buffer);
            return error;
        }
        if (got == 0) break;
        used += (size_t)got;
    }
    if (!buffer) return ENOMEM;
    buffer[used] = 0;
    *data = buffer;
    *bytes = used;
    return 0;
}

static fv_status fail_size(const char *path, size_t limit) {
    return fv_fail(FV_BAD_INPUT, "%s is larger than %.1f MiB, the most that is read of such a file", path,
                   (double)limit / (1024.0 * 1024.0));
}

fv_status fv_file_read(const char *path, size_t limit, void **data, size_t *bytes) {
    *data = NULL;
    *bytes = 0;
    if (limit > PTRDIFF_MAX / 2) limit = PTRDIFF_MAX / 2;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return fail_reading(path, errno);
    struct stat about;
    int error = fstat(descriptor, &about) ? errno : S_ISDIR(about.st_mode) ? EISDIR : 0;
    bool large = !error && S_ISREG(about.st_mode) && (unsigned long long)about.st_size > limit;
    char *content = NULL;
    if (!error && !large) error = read_all(descriptor, (size_t)about.st_size, limit, &content, bytes);
    close(descriptor);
    if (error) return fail_reading(path, error);
    if (large || *bytes > limit) {
        free(content);
        *bytes = 0;
        return fail_size(path, limit);
    }
    *data = content;
    return FV_OK;
}

bool fv_file_exists(const char *path) {
    struct stat about;
    return !stat(path, &about) && !S_ISDIR(about.st_mode);
}

bool fv_folder_exists(const char *path) {
    struct stat about;
    return !stat(path, &about) && S_ISDIR(about.st_mode);
}

fv_status fv_folder_make(const char *path) {
    char part[FV_PATH_MAX];
    size_t length = strlen(path);
    if (length >= sizeof part) return fv_fail(FV_BAD_INPUT, "%.60s...: the path is too long", path);
    memcpy(part, path, length + 1);
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != 0) continue;
        part[i] = 0;
        int error = mkdir(part, 0777) ? errno : 0; /* kept from stat(), which sets its own */
        if (error && !fv_folder_exists(part)) {
            bool full = error == ENOSPC || error == EDQUOT;
            return fv_fail(full ? FV_NO_RESOURCE : FV_BAD_INPUT, "the folder %s cannot be made: %s: %s; %s", path, part,
                           error == EEXIST ? "a file of that name is in the way" : strerror(error),
                           full ? "free some space" : "name another folder");
        }
        part[i] = path[i];
    }
    return FV_OK;
}

fv_status fv_path_join(char out[FV_PATH_MAX], const char *folder, const char *name) {
    size_t length = strlen(folder);
    bool alone = length == 0 || name[0] == '/';
    const char *between = alone || folder[length - 1] == '/' ? "" : "/";
    int written = snprintf(out, FV_PATH_MAX, "%s%s%s", alone ? "" : folder, between, name);
    if (written >= 0 && written < FV_PATH_MAX) return FV_OK;
    out[0] = 0;
    return fv_fail(FV_BAD_INPUT, "%.60s...: the path is longer than %d bytes", alone ? name : folder, FV_PATH_MAX - 1);
}

void fv_path_stem(const char *path, char *out, size_t size) {
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    size_t length = dot && dot != name ? (size_t)(dot - name) : strlen(name); /* ".hidden" has no extension */
    if (size == 0) return;
    if (length > size - 1) length = size - 1;
    memcpy(out, name, length);
    out[length] = 0;
}
