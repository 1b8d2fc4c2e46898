/* The file formats of `fovea export`, one line each in a table: adding one is adding its option and its writer. */
#ifndef FOVEA_APP_EXPORT_FORMATS_H
#define FOVEA_APP_EXPORT_FORMATS_H

#include "fovea/exchange/metadata.h"
#include "fovea/exchange/ranges.h"

/* What is to be written, whatever the format. */
typedef struct export_job {
    const fv_model_spec *spec;
    const fv_folded *folded; /* at shape.height x shape.width, or, where those are free, at some size */
    fv_export_shape shape;
    const fv_ranges *ranges; /* of FV_PRECISION_INT8, else NULL */
    const fv_metadata *metadata;
    const char *model_path; /* of the model file that is exported */
    const char *path;
} export_job;

typedef struct export_format {
    const char *option; /* without the dashes: "onnx" */
    const char *help;
    const char *layout; /* fv_export_shape.layout */
    bool free_size;     /* the file can leave height and width open */
    bool integer_ends;  /* the file's input and output can be int8 */
    bool own;           /* fovea's model file: computed with by fovea, in float32 */
    /* What can be refused before the work, when the job has no ranges and no metadata yet; NULL: nothing. */
    fv_status (*check)(const export_job *job);
    fv_status (*write)(const export_job *job);
} export_format;

extern const export_format export_formats[];
extern const int export_format_count;

#endif
