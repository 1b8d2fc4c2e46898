/* What importing an encoder and importing a model have in common. */
#ifndef SRC_EXCHANGE_IMPORT_PARTS_H
#define SRC_EXCHANGE_IMPORT_PARTS_H

#include "convert.h"
#include "fovea/exchange/import.h"

/* A file read and understood, before it is matched. */
typedef struct fv_import {
    fv_foreign file;
    fv_foreign_layers layers;
    fv_file_layout layout;
} fv_import;

/* `network` NULL for an encoder alone. */
fv_status fv_import_open(const char *path, const char *network, fv_import *import);
void fv_import_close(fv_import *import);
/* The width multiplier at which an encoder has the file's shapes: the widths that are published, then others from 0.1
   to 4; 0 when none fits. Leaves no sentence. */
double fv_import_find_width(fv_import *import);
/* Matches, checks and writes all layers into `values`, and fills the report but for the width. */
fv_status fv_import_values(fv_import *import, const fv_own_layers *own, bool whole, double epsilon, fv_real *values,
                           fv_import_report *report);

#endif
