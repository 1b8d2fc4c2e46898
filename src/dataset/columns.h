/* Which column of a table holds what. */
#ifndef FOVEA_SRC_DATASET_COLUMNS_H
#define FOVEA_SRC_DATASET_COLUMNS_H

#include "fovea/base/csv.h"
#include "fovea/dataset/manifest.h"

/* Column numbers of a table, -1 where there is none. */
typedef struct fv_table_columns {
    int name, fundus, fov, split, patient, cdr, degrees, group, mask[FV_MAX_CLASSES], second[FV_MAX_CLASSES];
} fv_table_columns;

/* Finds the columns that `source` names, and the usual ones (manifest.h) where it names none; there is always a fundus.
 */
fv_status fv_columns_find(const fv_csv *csv, const fv_manifest_source *source, const fv_manifest *manifest,
                          fv_table_columns *found);
/* The first usual name for the masks of a class: "od" for "disc"; the class's own when it has none. */
const char *fv_usual_mask_column(const char *class_name);
/* The usual name for a second reader's: "od2" for "disc". */
#define FV_SECOND_COLUMN 40 /* bytes */
void fv_usual_second_column(const char *class_name, char name[FV_SECOND_COLUMN]);

#endif
