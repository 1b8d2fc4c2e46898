#include "json_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/file.h"

bool json_to_stdout(const char *path) {
    return path && strcmp(path, "-") == 0;
}

static fv_status write_file(const char *text, const char *path) {
    fv_file file;
    FV_TRY(fv_file_begin(&file, path));
    fprintf(file.stream, "%s\n", text);
    return fv_file_commit(&file);
}

fv_status json_write(char *text, const char *path) {
    if (!text) return fv_fail_memory("a JSON text", 65536);
    fv_status status = FV_OK;
    if (json_to_stdout(path))
        printf("%s\n", text);
    else
        status = write_file(text, path);
    free(text);
    return status;
}
