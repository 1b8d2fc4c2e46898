/* safetensors files of other programs, and fovea's own files of encoder weights. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/tensor/safetensors.h"
#include "names.h"
#include "readers.h"

static fv_foreign_type type_of(const char *dtype) {
    static const char *const names[] = {"F16", "BF16", "F32", "F64"};
    static const fv_foreign_type types[] = {FV_FOREIGN_F16, FV_FOREIGN_BF16, FV_FOREIGN_F32, FV_FOREIGN_F64};
    for (int i = 0; i < 4; i++)
        if (strcmp(names[i], dtype) == 0) return types[i];
    return FV_FOREIGN_WHOLE;
}

static fv_status add(const fv_safetensor *tensor, fv_foreign *file) {
    fv_foreign_tensor *added;
    fv_foreign_type type = type_of(tensor->dtype);
    if (type == FV_FOREIGN_WHOLE) {
        file->passed++;
        return FV_OK;
    }
    FV_TRY(fv_foreign_add(file, tensor->name, tensor->dims, tensor->shape, &added));
    fv_foreign_convert(type, tensor->data, added->count, added->values);
    return FV_OK;
}

static int compare(const void *a, const void *b) {
    return fv_names_compare(((const fv_safetensor *)a)->name, ((const fv_safetensor *)b)->name);
}

static void take_metadata(const fv_safetensors *source, const char *key, char *out, size_t size) {
    const char *text = fv_safetensors_metadata(source, key);
    if (text && strlen(text) < size) strcpy(out, text);
}

fv_status fv_safetensors_to_foreign(const void *data, size_t bytes, fv_foreign *file) {
    fv_safetensors source;
    file->kind = FV_FOREIGN_SAFETENSORS;
    FV_TRY(fv_safetensors_parse(data, bytes, file->path, &source));
    if (fv_safetensors_metadata(&source, "fovea.model")) {
        fv_safetensors_free(&source);
        return fv_fail(FV_BAD_INPUT, "%s is a model of fovea's own: use it as it is, there is nothing to import",
                       file->path);
    }
    /* The format has no order of its own: JSON objects have none, and writers sort by alignment. */
    qsort(source.list, (size_t)source.count, sizeof *source.list, compare);
    fv_status status = FV_OK;
    for (int i = 0; i < source.count && status == FV_OK; i++) status = add(&source.list[i], file);
    take_metadata(&source, "padding", file->padding, sizeof file->padding);
    take_metadata(&source, "width", file->width, sizeof file->width);
    fv_safetensors_free(&source);
    return status;
}
