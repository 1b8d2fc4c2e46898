/* The one line of standard error that is redrawn in place: shared by the log and the progress bar. */
#ifndef SRC_BASE_LOG_LINE_H
#define SRC_BASE_LOG_LINE_H

/* Draws `text` over the transient line. The next log line, or fv_log_line_erase(), wipes it first. Terminals only. */
void fv_log_line_draw(const char *text);
void fv_log_line_erase(void);

#endif
