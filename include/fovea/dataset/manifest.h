/* The list of photographs and masks of a run: CSV tables of any column names, one or several sets. See docs/data.md. */
#ifndef FOVEA_DATASET_MANIFEST_H
#define FOVEA_DATASET_MANIFEST_H

#include "fovea/base/config.h"
#include "fovea/base/file.h"
#include "fovea/model/model.h"

typedef enum fv_split { FV_SPLIT_TRAIN, FV_SPLIT_VAL, FV_SPLIT_TEST, FV_SPLIT_NONE } fv_split;
extern const char
    *const fv_split_names[]; /* "train", "val", "test", NULL; indexed by fv_split, FV_SPLIT_NONE gives NULL */

/* One photograph. Paths are complete; "" where the cell is empty. */
typedef struct fv_record {
    char name[128], set[64];
    char *fundus;                 /* owned by the manifest, as all strings below */
    char *mask[FV_MAX_CLASSES];   /* in the order of the classes; "" means not annotated */
    char *second[FV_MAX_CLASSES]; /* a second reader's masks, measured beside a model's; "" means none */
    char *fov;
    char *patient;      /* "" when unknown */
    char *group;        /* cell of the column that the split is balanced by; "" without one */
    double cdr_expert;  /* vertical cup-to-disc ratio 0..1, NAN when unknown */
    double fov_degrees; /* angle that the camera sees, NAN when unknown */
    fv_split split;
} fv_record;

typedef struct fv_manifest {
    fv_record *records;
    int count, capacity;
    int classes;
    char class_names[FV_MAX_CLASSES][32];
} fv_manifest;

/* How one CSV is read. Zeroed but for `csv` it reads the usual names. A column name that is NULL stands for the first
   of the usual names that the table has (none of them: no such column), "" for no column; any other must be in the
   table. The usual names: name names | fundus image_path | fov | split | patient patient_id | cdr_expert cdr_avg vcdr |
   fov_degrees |
   class disc: od od_path fundus_od_seg | cup: oc oc_path fundus_oc_seg | vessel: bv vessel_path bv_seg | others: the
   class's name. A second reader's: the first usual name of the class and "2" (od2, oc2, bv2). Groups have no usual
   name. */
typedef struct fv_manifest_source {
    const char *csv;
    const char *root; /* folder of relative paths; "" or NULL: the CSV's folder */
    /* "/full-fundus/" -> "full-fundus/": mapped when a path begins so; several pairs separated by ';'. */
    const char *prefix_from, *prefix_to;
    const char *column_name, *column_fundus, *column_fov, *column_split, *column_patient, *column_cdr, *column_degrees;
    const char *column_mask[FV_MAX_CLASSES], *column_second[FV_MAX_CLASSES];
    const char *column_group; /* NULL: none */
    const char *set;          /* name of the set; NULL: the name of the CSV's folder */
    double fov_degrees;       /* of the rows without a value in their column, 0: unknown */
    /* Values of the split column, separated by spaces, any case; NULL: "train training", "val valid validation", "test
       testing". */
    const char *train_values, *val_values, *test_values;
    /* Cells that mean "not annotated", separated by ',' or ';', any case; NULL: "Not Visible;NA;N/A;NaN;None;null". */
    const char *missing_values;
} fv_manifest_source;

/* How the rows of a set are parted when its split column leaves validation or test out. */
typedef struct fv_split_settings {
    double val_fraction, test_fraction; /* share of the annotated rows, 0..1; below 0: 0.15, but a set with a split
                                           column keeps no test rows when the column has none */
    int val_count, test_count;          /* rows, instead of the fractions; below 0: not given */
    uint64_t seed;
} fv_split_settings;

/* An empty manifest of the classes of `spec`. */
void fv_manifest_init(fv_manifest *manifest, const fv_model_spec *spec);
void fv_manifest_free(fv_manifest *manifest);
/* Leaves the classes c with keep[c] (manifest->classes flags, at least one set), in their order. */
void fv_manifest_keep_classes(fv_manifest *manifest, const bool *keep);
/* Sets one column of `source` from "column=name in the table", the command line's --column: column is name, fundus,
   fov, split, patient, cdr, degrees, a class of `spec` or its first usual name (od, oc, bv). `source` keeps a pointer
   into `assignment`. */
fv_status fv_manifest_source_column(fv_manifest_source *source, const fv_model_spec *spec, const char *assignment);
/* Appends the rows of a CSV. Rows whose fundus cell is empty are skipped. A missing column or a wrong number of cells
   is FV_BAD_INPUT with file, line and column, and the columns that there are. Splits are those of the split column,
   FV_SPLIT_NONE without one; values of which none is known are FV_BAD_INPUT. On failure the manifest is as it was
   before. */
fv_status fv_manifest_append(fv_manifest *manifest, const fv_manifest_source *source);

/* Parts the records from `first` to the end: one set. Photographs without any mask belong to no split (a log line says
   how many). When no record has a split, all begin in train. Then, where test (val) is empty and its share is not 0,
   rows of train are moved there: whole patients, in the order of a hash of (seed, set, patient or name), so the result
   does not depend on the order of rows; the largest number of rows not above the share that this order gives, but at
   least one patient when there are two or more. Records of several groups (column_group) are drawn equally from each:
   the next patient in that order is one of a group of which fewest rows have been moved. */
fv_status fv_manifest_split(fv_manifest *manifest, int first, const fv_split_settings *settings);
/* Indices of the records of a split, in order (fresh memory, free with free(); NULL when there are none). */
fv_status fv_manifest_select(const fv_manifest *manifest, fv_split split, int **records, int *count);

/* Writes the records as one CSV of the usual columns with complete paths, sets and splits: what a run used, readable
 * again. */
fv_status fv_manifest_write(const fv_manifest *manifest, const char *path);

/* All sets that the INI names: section [data] (one set) or [set.NAME] sections (several). Assigns splits: by column;
   otherwise by fraction
   ([data] val_fraction, test_fraction) with [run] seed, whole patients when a patient column is given; `val_count` of
   the training rows are moved to validation when the split column has no validation rows. One log line a set. See
   docs/data.md. */
fv_status fv_manifest_from_config(fv_config *config, const fv_model_spec *spec, fv_manifest *manifest);

#endif
