/* Lines for the user on standard error, silenced by --quiet. */
#ifndef FOVEA_BASE_LOG_H
#define FOVEA_BASE_LOG_H

#include <stdbool.h>

void fv_log_set_quiet(bool quiet);
bool fv_log_is_quiet(void);
/* One line of information (a newline is added); nothing when quiet. */
void fv_log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* One line that begins with "warning: "; shown even when quiet. */
void fv_log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
