#include "fovea/base/progress.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "fovea/base/log.h"
#include "log_line.h"

#define TERMINAL_INTERVAL_S 0.1
#define PLAIN_INTERVAL_S 5.0
#define PLAIN_FIRST_S 2.0
#define BAR_CELLS 24
#define LINE_BYTES 256

double fv_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static bool on_terminal(void) {
    const char *kind = getenv("TERM");
    return isatty(STDERR_FILENO) && kind && strcmp(kind, "dumb");
}

void fv_duration_text(double seconds, char text[32]) {
    long whole = seconds > 0 ? seconds < 3.6e7 ? (long)(seconds + 0.5) : 36000000 : 0; /* at most 10000 h; NaN: 0 */
    if (whole < 60)
        snprintf(text, 32, "%ld s", whole);
    else if (whole < 3600)
        snprintf(text, 32, "%ld min %02ld s", whole / 60, whole % 60);
    else
        snprintf(text, 32, "%ld h %02ld min", whole / 3600, whole % 3600 / 60);
}

void fv_progress_start(fv_progress *progress, const char *label, int64_t total) {
    double now = fv_seconds();
    *progress = (fv_progress){.label = label, .total = total, .started_s = now, .shown_s = now};
    progress->shown_s -=
        on_terminal() ? TERMINAL_INTERVAL_S : PLAIN_INTERVAL_S - PLAIN_FIRST_S; /* the first comes early */
}

/* Cuts the text to the terminal's width, in front of a UTF-8 character: a wrapped line could not be redrawn. */
static void cut_to_terminal(char *text) {
    struct winsize window;
    size_t columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &window) || window.ws_col < 2 ? 80 : window.ws_col;
    size_t used = 0;
    for (char *at = text; *at; at++) {
        if (((unsigned char)*at & 0xc0) == 0x80) continue; /* inside a character */
        if (++used < columns) continue;
        *at = 0;
        break;
    }
}

static void bar_text(double part, char bar[BAR_CELLS + 1]) {
    int full = (int)(part * BAR_CELLS);
    memset(bar, '.', BAR_CELLS);
    memset(bar, '#', (size_t)full);
    bar[BAR_CELLS] = 0;
}

void fv_progress_resume(fv_progress *progress, int64_t before) {
    progress->before = progress->done = before;
}

void fv_progress_update(fv_progress *progress, int64_t done, const char *note) {
    progress->done = done;
    if (fv_log_is_quiet()) return;
    bool terminal = on_terminal();
    double now = fv_seconds();
    if (now - progress->shown_s < (terminal ? TERMINAL_INTERVAL_S : PLAIN_INTERVAL_S)) return;
    progress->shown_s = now;

    double part = progress->total > 0 ? (double)done / (double)progress->total : 0;
    part = part < 0 ? 0 : part > 1 ? 1 : part;
    char left[32] = "?", line[LINE_BYTES], bar[BAR_CELLS + 1];
    double here = (double)(done - progress->before), rest = (double)(progress->total - done);
    if (here > 0 && rest >= 0) fv_duration_text((now - progress->started_s) * rest / here, left);
    const char *gap = note && *note ? "  " : "";
    if (!note) note = "";
    if (!terminal) {
        fv_log_info("%s: %lld of %lld (%.0f %%), %s left%s%s", progress->label, (long long)done,
                    (long long)progress->total, 100 * part, left, gap, note);
        return;
    }
    bar_text(part, bar);
    snprintf(line, sizeof line, "%s [%s] %3.0f %%  %s left%s%s", progress->label, bar, 100 * part, left, gap, note);
    cut_to_terminal(line);
    fv_log_line_draw(line);
}

void fv_progress_end(fv_progress *progress) {
    (void)progress;
    fv_log_line_erase();
}
