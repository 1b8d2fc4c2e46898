/* What is wrong with a data set, found before hours are spent on it: `fovea data check`. */
#ifndef FOVEA_DATASET_CHECK_H
#define FOVEA_DATASET_CHECK_H

#include <stdio.h>

#include "fovea/dataset/manifest.h"

typedef enum fv_finding_kind {
    FV_FINDING_MISSING_FILE,     /* spoils: a file of the manifest does not exist */
    FV_FINDING_UNREADABLE,       /* spoils: truncated, damaged or no image */
    FV_FINDING_SIZE_MISMATCH,    /* spoils: a mask has not its photograph's size */
    FV_FINDING_EMPTY_MASK,       /* spoils: no pixel above the threshold */
    FV_FINDING_FULL_MASK,        /* spoils: more than 95 % of the pixels above it (black and white exchanged) */
    FV_FINDING_CUP_OUTSIDE_DISC, /* more than 0.1 % of the cup outside the disc: a warning, above 1 % it spoils */
    FV_FINDING_NOT_BINARY,       /* warning: more than two grey levels (not looked at with soft_masks) */
    FV_FINDING_SAME_PHOTO,       /* the same pixels twice: a warning, on two sides of the split it spoils */
    FV_FINDING_ALIKE_PHOTO,      /* the same picture at another size or quality, or the same eye taken twice: warning */
    FV_FINDING_PATIENT_LEAK,     /* spoils: a patient on two sides of the split */
    FV_FINDING_CLASS_MISSING,    /* spoils: a class without any mask, in all or in train; in val or test a warning */
    FV_FINDING_SMALL_PHOTO,      /* warning: both sides below the network's input */
    FV_FINDING_KINDS
} fv_finding_kind;

extern const char *const fv_finding_names[]; /* "missing_file", ..., NULL */

typedef struct fv_finding {
    fv_finding_kind kind;
    bool spoils;    /* false: a warning */
    char *file;     /* "" when it is about the whole manifest */
    char *sentence; /* names the file too */
} fv_finding;

typedef struct fv_data_check_settings {
    int mask_threshold; /* mask pixels above this (0..255) belong to the class */
    bool soft_masks;    /* masks of many grey levels are meant so */
    int input_size;     /* px, side of the network's input; 0: not looked at */
} fv_data_check_settings;

/* Counts of one set. Splits by fv_split, FV_SPLIT_NONE included. */
typedef struct fv_set_summary {
    char set[64];
    int photos[4];                    /* photographs of each split */
    int annotated[4][FV_MAX_CLASSES]; /* of these with a mask of the class */
    int readable;                     /* photographs that could be decoded: the sizes below are theirs, 0 without any */
    int smallest_px[2], median_px[2], largest_px[2]; /* width and height, ordered by number of pixels */
} fv_set_summary;

typedef struct fv_data_report {
    fv_finding *findings; /* in the order of records, those about several records last */
    int count, capacity;
    int counts[FV_FINDING_KINDS];
    int spoiling; /* findings that spoil; the others are warnings */
    fv_set_summary *sets;
    int set_count;
    int photos;
    int classes;
    char class_names[FV_MAX_CLASSES][32];
} fv_data_report;

/* Reads every photograph and mask, in parallel and with a progress line. FV_OK: nothing, or warnings only; FV_FINDINGS:
   something would spoil training, fv_error() says how much; the report is filled in both cases. FV_NO_RESOURCE,
   FV_BAD_INPUT (empty manifest): it is empty.

   The same photograph is told by a 64-bit hash (FNV-1a) of size and decoded RGB pixels; alike ones by 16 x 16 area
   means of grey whose mean difference is at most 1.5 and largest at most 8 grey levels. */
fv_status fv_data_check(const fv_manifest *manifest, const fv_data_check_settings *settings, fv_data_report *report);
void fv_data_report_free(fv_data_report *report);

/* The table of sets, the findings (at most `limit` of each kind, 0: all) and the counts, as text. */
void fv_data_report_print(const fv_data_report *report, int limit, FILE *stream);
/* The whole report as JSON text; free with free(). */
fv_status fv_data_report_json(const fv_data_report *report, char **json);

#endif
