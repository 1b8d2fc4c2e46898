/* Between the parts of the data check: one record looked at (check_image.c), all together (check.c). */
#ifndef FOVEA_SRC_DATASET_CHECK_PARTS_H
#define FOVEA_SRC_DATASET_CHECK_PARTS_H

#include "fovea/dataset/check.h"
#include "fovea/image/image.h"

enum { FV_THUMBNAIL_SIDE = 16 };

typedef struct fv_finding_list {
    fv_finding *items;
    int count, capacity;
    bool out_of_memory; /* an item was lost */
} fv_finding_list;

/* What is kept of a record: its findings, and what tells it from others. */
typedef struct fv_record_facts {
    fv_finding_list findings;
    bool readable; /* the photograph was decoded: the fields below hold */
    int width, height;
    uint64_t pixels_hash;
    uint8_t thumbnail[FV_THUMBNAIL_SIDE * FV_THUMBNAIL_SIDE]; /* area means of grey */
    double thumbnail_mean;
} fv_record_facts;

void fv_finding_add(fv_finding_list *list, fv_finding_kind kind, bool spoils, const char *file, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
void fv_finding_list_free(fv_finding_list *list);
/* Reads photograph and masks of a record and fills `facts` (zeroed before). */
void fv_record_examine(const fv_manifest *manifest, int index, const fv_data_check_settings *settings,
                       fv_record_facts *facts);

#endif
