#include <cjson/cJSON.h>
#include <math.h>

#include "fovea/base/memory.h"
#include "fovea/exchange/ranges.h"

static bool add_range(cJSON *object, const char *name, fv_range range) {
    const double ends[2] = {(double)range.low, (double)range.high};
    cJSON *item = cJSON_CreateDoubleArray(ends, 2);
    if (cJSON_AddItemToObject(object, name, item)) return true;
    cJSON_Delete(item);
    return false;
}

char *fv_ranges_to_json(const fv_folded *folded, const fv_ranges *ranges) {
    cJSON *root = cJSON_CreateObject();
    bool done = add_range(root, "input", ranges->input);
    cJSON *layers = cJSON_AddObjectToObject(root, "layers");
    for (int i = 0; i < folded->count && done; i++)
        done = layers && add_range(layers, folded->layers[i].name, ranges->layers[i]);
    char *text = done ? cJSON_PrintUnformatted(root) : NULL;
    cJSON_Delete(root);
    return text;
}

static fv_status take_range(const cJSON *object, const char *key, const char *name, fv_range *range) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key), *low = cJSON_GetArrayItem(item, 0);
    const cJSON *high = cJSON_GetArrayItem(item, 1);
    *range = (fv_range){(float)cJSON_GetNumberValue(low), (float)cJSON_GetNumberValue(high)};
    bool possible = isfinite(range->low) && isfinite(range->high) && range->low <= 0 && range->high >= 0;
    if (possible && range->high - range->low >= 1e-30F && range->high - range->low < 1e30F) return FV_OK;
    return fv_fail(FV_BAD_INPUT,
                   "%s: no range of \"%s\" (expected two numbers, up to 0 and from 0 on); export it again", name, key);
}

static fv_status take_ranges(const cJSON *root, const char *name, const fv_folded *folded, fv_ranges *ranges) {
    const cJSON *layers = cJSON_GetObjectItemCaseSensitive(root, "layers");
    FV_TRY(take_range(root, "input", name, &ranges->input));
    for (int i = 0; i < folded->count; i++)
        FV_TRY(take_range(layers, folded->layers[i].name, name, &ranges->layers[i]));
    return FV_OK;
}

fv_status fv_ranges_from_json(const char *text, const char *name, const fv_folded *folded, fv_ranges *ranges) {
    *ranges = (fv_ranges){.count = folded->count};
    ranges->layers = fv_allocate((size_t)folded->count, sizeof *ranges->layers, "ranges");
    if (!ranges->layers) return FV_NO_RESOURCE;
    cJSON *root = cJSON_Parse(text);
    fv_status status = take_ranges(root, name, folded, ranges);
    cJSON_Delete(root);
    if (status != FV_OK) fv_ranges_free(ranges);
    return status;
}
