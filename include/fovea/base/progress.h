/* A progress line with the time left: redrawn in place on a terminal, a plain line every few seconds elsewhere, nothing
   when quiet. */
#ifndef FOVEA_BASE_PROGRESS_H
#define FOVEA_BASE_PROGRESS_H

#include <stdint.h>

typedef struct fv_progress {
    const char *label; /* kept by reference */
    int64_t total, done;
    int64_t before;            /* done by an earlier process: no measure of this one's speed */
    double started_s, shown_s; /* fv_seconds() of the start and of the last line */
} fv_progress;

/* Seconds of a monotonic clock. */
double fv_seconds(void);

void fv_progress_start(fv_progress *progress, const char *label, int64_t total);
/* Right after the start: `before` of `total` were done earlier. */
void fv_progress_resume(fv_progress *progress, int64_t before);
/* `done` of `total` are finished; `note` (may be NULL) stands behind the bar, for example "loss 0.31". Draws at most
   ten times a second on a terminal and once in five seconds elsewhere. */
void fv_progress_update(fv_progress *progress, int64_t done, const char *note);
/* Clears the line (terminal), so that the next log line starts clean. */
void fv_progress_end(fv_progress *progress);
/* Writes seconds as "42 s", "3 min 05 s", "2 h 10 min" into text. */
void fv_duration_text(double seconds, char text[32]);

#endif
