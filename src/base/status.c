#include "fovea/base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SENTENCE_BYTES 1024

static _Thread_local char sentence[SENTENCE_BYTES];

fv_status fv_fail(fv_status code, const char *format, ...) {
    char fresh[SENTENCE_BYTES]; /* the old sentence may be one of the arguments */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fresh, sizeof fresh, format, arguments);
    va_end(arguments);
    memcpy(sentence, fresh, sizeof sentence);
    return code;
}

fv_status fv_fail_about(fv_status status, const char *path) {
    if (status != FV_BAD_INPUT || strstr(sentence, path)) return status;
    return fv_fail(status, "%s: %s", path, sentence);
}

fv_status fv_fail_memory(const char *what, unsigned long long bytes) {
    return fv_fail(FV_NO_RESOURCE,
                   "not enough memory for %s: %.1f MiB could not be reserved; close other programs or ask for less "
                   "(a smaller batch or size)",
                   what, (double)bytes / (1024.0 * 1024.0));
}

const char *fv_error(void) {
    return sentence;
}
