/* Files: read whole, write so that a reader sees the old content or the new, never half of it. */
#ifndef FOVEA_BASE_FILE_H
#define FOVEA_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "fovea/base/status.h"

#define FV_PATH_MAX 4096

/* A file being written under a temporary name in the same folder. */
typedef struct fv_file {
    FILE *stream; /* write here; errors are found at commit */
    char path[FV_PATH_MAX], temporary[FV_PATH_MAX];
} fv_file;

/* FV_BAD_INPUT when the folder does not exist or can't be written, or when the path names a folder or a device. The
   stream is fully buffered. An existing file is replaced, its mode is not kept. */
fv_status fv_file_begin(fv_file *file, const char *path);
/* Flushes, syncs, renames to the final name and syncs the folder. On failure the temporary file is removed:
   FV_BAD_INPUT for a folder that can't be written, FV_NO_RESOURCE for a full disk. */
fv_status fv_file_commit(fv_file *file);
/* Removes the temporary file. Does nothing after a commit and for a zeroed struct. */
void fv_file_abandon(fv_file *file);
/* begin + write + commit. */
fv_status fv_file_write(const char *path, const void *data, size_t bytes);

/* Reads a whole file into fresh memory (free with free()); a 0 byte is put behind the end. Fails when the file is
   larger than `limit` bytes. */
fv_status fv_file_read(const char *path, size_t limit, void **data, size_t *bytes);
/* Anything but a folder. */
bool fv_file_exists(const char *path);
bool fv_folder_exists(const char *path);
/* Removes the temporary files that killed processes left in a folder: those of fv_file_begin() whose process is gone.
 */
void fv_folder_sweep(const char *path);
/* mkdir -p. */
fv_status fv_folder_make(const char *path);
/* Joins folder and name with one '/', name alone when it is absolute or folder is "". Fails when it does not fit. */
fv_status fv_path_join(char out[FV_PATH_MAX], const char *folder, const char *name);
/* The file's name without folder and without its last extension, cut to `size` bytes. */
void fv_path_stem(const char *path, char *out, size_t size);

#endif
