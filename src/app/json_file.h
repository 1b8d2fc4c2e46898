/* Results as JSON, to a file or to standard output. */
#ifndef FOVEA_APP_JSON_FILE_H
#define FOVEA_APP_JSON_FILE_H

#include <stdbool.h>

#include "fovea/base/status.h"

/* Whether `path` asks for standard output ("-"). NULL is none. */
bool json_to_stdout(const char *path);
/* Writes the text and a line end to the file, or to standard output for "-". Frees the text; NULL counts as out of
   memory. */
fv_status json_write(char *text, const char *path);

#endif
