#include "fovea/base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#include "log_line.h"

static atomic_bool quiet, drawn;

void fv_log_set_quiet(bool value) {
    atomic_store(&quiet, value);
}

bool fv_log_is_quiet(void) {
    return atomic_load(&quiet);
}

void fv_log_line_draw(const char *text) {
    atomic_store(&drawn, true);
    fprintf(stderr, "\r%s\033[K", text);
    fflush(stderr);
}

void fv_log_line_erase(void) {
    if (!atomic_exchange(&drawn, false)) return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
}

/* The whole line under one lock: lines of several threads do not mix. */
static void put_line(const char *prefix, const char *format, va_list arguments) {
    flockfile(stderr);
    fv_log_line_erase();
    fputs(prefix, stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    funlockfile(stderr);
}

void fv_log_info(const char *format, ...) {
    if (fv_log_is_quiet()) return;
    va_list arguments;
    va_start(arguments, format);
    put_line("", format, arguments);
    va_end(arguments);
}

void fv_log_warning(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    put_line("warning: ", format, arguments);
    va_end(arguments);
}
