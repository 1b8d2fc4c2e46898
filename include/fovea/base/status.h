/* Results of library functions, and the one sentence that explains a failure. */
#ifndef FOVEA_BASE_STATUS_H
#define FOVEA_BASE_STATUS_H

#include "fovea/base/public.h" /* fv_status, fv_error() */

/* Records what went wrong for fv_error() of this thread and returns `code`. The sentence says what was found, where
   (file, line, field), what was expected and how to mend it; no trailing newline. Up to 1023 bytes are kept. */
fv_status fv_fail(fv_status code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Returns `status`; puts "path: " before the sentence of a FV_BAD_INPUT that does not name the file yet. */
fv_status fv_fail_about(fv_status status, const char *path);

/* FV_NO_RESOURCE for a failed allocation of `bytes` needed for `what`. */
fv_status fv_fail_memory(const char *what, unsigned long long bytes);

/* Returns from the caller with the status of `call` unless it is FV_OK. */
#define FV_TRY(call)                                                                                                   \
    do {                                                                                                               \
        fv_status fv_try_status_ = (call);                                                                             \
        if (fv_try_status_ != FV_OK) return fv_try_status_;                                                            \
    } while (0)

#endif
