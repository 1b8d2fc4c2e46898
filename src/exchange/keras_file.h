/* HDF5 with a narrow gate: only what a file of weights needs is let through to libhdf5. */
#ifndef SRC_EXCHANGE_KERAS_FILE_H
#define SRC_EXCHANGE_KERAS_FILE_H

#include <hdf5.h>
#include <stdbool.h>
#include <stddef.h>

#include "fovea/base/status.h"
#include "fovea/exchange/foreign.h"

/* A list of texts from an attribute. */
typedef struct fv_keras_names {
    char **list;
    int count;
} fv_keras_names;

void fv_keras_names_free(fv_keras_names *names);
/* Opens a file in memory, which is copied; libhdf5 says nothing on standard error. -1 and a sentence when it is
 * damaged.
 */
fv_status fv_keras_open(const void *data, size_t bytes, const char *path, hid_t *file);
/* The group at `name`, a path of plain links below `from`: soft and external links, which can lead in circles or to
   other files, are refused. */
fv_status fv_keras_group(hid_t from, const char *name, const char *path, hid_t *group);
/* Whether `from` has a plain link called `name` (no path). */
bool fv_keras_has(hid_t from, const char *name);
/* The texts of the attribute `name`, or, as Keras writes more than 64 KiB, of name0, name1 and so on. */
fv_status fv_keras_attribute(hid_t group, const char *name, const char *path, fv_keras_names *names);
/* Reads the data set at `name` below the group and appends it as tensor "<prefix>/<name>". Numbers are float16, 32 or
   64, plain, or packed with gzip, shuffle and checksum; data in other files and virtual ones are refused. */
fv_status fv_keras_dataset(hid_t group, const char *prefix, const char *name, fv_foreign *file);

#endif
