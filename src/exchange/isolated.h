/* Reading a file in a process of its own: for a library that was not written with hostile files in mind. */
#ifndef SRC_EXCHANGE_ISOLATED_H
#define SRC_EXCHANGE_ISOLATED_H

#include <stddef.h>

#include "fovea/exchange/foreign.h"

typedef fv_status (*fv_foreign_reader)(const void *data, size_t bytes, fv_foreign *file);

/* Runs `reader` in a child process that may open no file, write none and take only so much time and
   memory as a good file of that size needs, and takes over what it has read through a
   pipe, with the same checks as of a file. Where the child crashes or does not end, the file is damaged: FV_BAD_INPUT.
   What the child's reader fails with is the failure here. `library` is named in sentences. */
fv_status fv_foreign_isolate(fv_foreign_reader reader, const char *library, const void *data, size_t bytes,
                             fv_foreign *file);

#endif
