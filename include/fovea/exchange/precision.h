/* In which numbers an exported network is stored and computes. */
#ifndef FOVEA_EXCHANGE_PRECISION_H
#define FOVEA_EXCHANGE_PRECISION_H

typedef enum fv_export_precision {
    FV_PRECISION_FLOAT32,
    FV_PRECISION_FLOAT16,         /* weights and every layer's result; input and output stay float32 */
    FV_PRECISION_FLOAT16_STORAGE, /* weights; the runtime computes in float32 */
    FV_PRECISION_INT8,            /* weights per filter, results by the ranges they take on photographs (ranges.h) */
    FV_PRECISIONS
} fv_export_precision;

extern const char *const fv_precision_names[]; /* "float32", "float16", "float16_storage", "int8", NULL */

#endif
