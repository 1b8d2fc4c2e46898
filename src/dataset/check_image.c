/* The data check of one record: its files, one after the other. */
#include "check_parts.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/file.h"
#include "fovea/image/image_file.h"
#include "fovea/image/mask.h"

#define CUP_OUTSIDE_WARNS 0.001 /* share of the cup's pixels */
#define CUP_OUTSIDE_SPOILS 0.01
#define FULL_MASK_SHARE 0.95

void fv_finding_add(fv_finding_list *list, fv_finding_kind kind, bool spoils, const char *file, const char *format,
                    ...) {
    if (list->count == list->capacity) {
        int capacity = list->capacity ? list->capacity * 2 : 4;
        fv_finding *grown = realloc(list->items, (size_t)capacity * sizeof *grown);
        if (!grown) {
            list->out_of_memory = true;
            return;
        }
        list->items = grown;
        list->capacity = capacity;
    }
    fv_finding made = {.kind = kind, .spoils = spoils, .file = strdup(file)};
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&made.sentence, format, arguments) < 0) made.sentence = NULL;
    va_end(arguments);
    if (made.file && made.sentence) {
        list->items[list->count++] = made;
    } else {
        free(made.file);
        free(made.sentence);
        list->out_of_memory = true;
    }
}

void fv_finding_list_free(fv_finding_list *list) {
    for (int i = 0; i < list->count; i++) {
        free(list->items[i].file);
        free(list->items[i].sentence);
    }
    free(list->items);
    *list = (fv_finding_list){0};
}

/* Decodes a file that the manifest names, or says why not. */
static bool read_image(const fv_record *record, const char *path, const char *what, int channels, fv_image *image,
                       fv_finding_list *findings) {
    if (!fv_file_exists(path)) {
        fv_finding_add(findings, FV_FINDING_MISSING_FILE, true, path, "%s: there is no such file (%s of %s in set %s)",
                       path, what, record->name, record->set);
        return false;
    }
    if (fv_image_read(path, channels, image) == FV_OK) return true;
    fv_finding_add(findings, FV_FINDING_UNREADABLE, true, path, "%s", fv_error());
    return false;
}

/* FNV-1a over size and pixels. */
static uint64_t hash_pixels(const fv_image *image) {
    uint64_t hash = 0xcbf29ce484222325u;
    int sizes[2] = {image->width, image->height};
    for (size_t i = 0; i < sizeof sizes; i++) hash = (hash ^ ((const uint8_t *)sizes)[i]) * 0x100000001b3u;
    size_t bytes = (size_t)image->width * (size_t)image->height * (size_t)image->channels;
    for (size_t i = 0; i < bytes; i++) hash = (hash ^ image->data[i]) * 0x100000001b3u;
    return hash;
}

/* Mean grey level of a cell; at least one pixel, so that images smaller than the thumbnail do. */
static uint8_t cell_mean(const fv_image *rgb, int cell_x, int cell_y) {
    int x0 = (int)((int64_t)rgb->width * cell_x / FV_THUMBNAIL_SIDE);
    int x1 = (int)((int64_t)rgb->width * (cell_x + 1) / FV_THUMBNAIL_SIDE);
    int y0 = (int)((int64_t)rgb->height * cell_y / FV_THUMBNAIL_SIDE);
    int y1 = (int)((int64_t)rgb->height * (cell_y + 1) / FV_THUMBNAIL_SIDE);
    if (x1 == x0) x1++;
    if (y1 == y0) y1++;
    uint64_t sum = 0;
    for (int y = y0; y < y1; y++) {
        const uint8_t *row = rgb->data + ((size_t)y * (size_t)rgb->width + (size_t)x0) * 3;
        for (int i = 0; i < (x1 - x0) * 3; i++) sum += row[i];
    }
    uint64_t values = (uint64_t)(x1 - x0) * (uint64_t)(y1 - y0) * 3;
    return (uint8_t)((sum + values / 2) / values);
}

static void remember_photo(const fv_image *photo, fv_record_facts *facts) {
    facts->readable = true;
    facts->width = photo->width;
    facts->height = photo->height;
    facts->pixels_hash = hash_pixels(photo);
    double sum = 0;
    for (int i = 0; i < FV_THUMBNAIL_SIDE * FV_THUMBNAIL_SIDE; i++) {
        facts->thumbnail[i] = cell_mean(photo, i % FV_THUMBNAIL_SIDE, i / FV_THUMBNAIL_SIDE);
        sum += facts->thumbnail[i];
    }
    facts->thumbnail_mean = sum / (FV_THUMBNAIL_SIDE * FV_THUMBNAIL_SIDE);
}

/* Distinct levels of a mask. */
static int count_levels(const fv_image *image) {
    bool seen[256] = {false};
    int levels = 0;
    size_t pixels = (size_t)image->width * (size_t)image->height;
    for (size_t i = 0; i < pixels; i++) {
        uint8_t level = fv_mask_level(image->data + i * (size_t)image->channels, image->channels);
        levels += !seen[level];
        seen[level] = true;
    }
    return levels;
}

static bool has_photo_size(const fv_image *mask, const char *path, const fv_record *record, fv_record_facts *facts) {
    if (!facts->readable || (mask->width == facts->width && mask->height == facts->height)) return true;
    fv_finding_add(&facts->findings, FV_FINDING_SIZE_MISMATCH, true, path,
                   "%s: the mask is %d x %d px but its photograph %s is %d x %d px", path, mask->width, mask->height,
                   record->fundus, facts->width, facts->height);
    return false;
}

static void check_coverage(const fv_image *binary, const char *path, const char *class_name, int threshold,
                           fv_finding_list *findings) {
    int64_t pixels = (int64_t)binary->width * binary->height, inside = fv_mask_count(binary);
    if (inside == 0) {
        fv_finding_add(findings, FV_FINDING_EMPTY_MASK, true, path,
                       "%s: the mask of class %s is empty: no pixel is above mask_threshold %d; leave the cell empty "
                       "if the class was not annotated",
                       path, class_name, threshold);
    } else if ((double)inside > FULL_MASK_SHARE * (double)pixels) {
        fv_finding_add(findings, FV_FINDING_FULL_MASK, true, path,
                       "%s: the mask of class %s covers %.1f %% of the frame: black and white may be exchanged", path,
                       class_name, 100.0 * (double)inside / (double)pixels);
    }
}

/* The mask of class c, cut at the threshold, in `binary`; empty when it can't be used. */
static void check_mask(const fv_manifest *manifest, const fv_record *record, int c,
                       const fv_data_check_settings *settings, fv_record_facts *facts, fv_image *binary) {
    const char *path = record->mask[c], *class_name = manifest->class_names[c];
    fv_image mask = {0};
    if (!read_image(record, path, "the mask", 0, &mask, &facts->findings)) return;
    if (has_photo_size(&mask, path, record, facts)) {
        int levels = count_levels(&mask);
        if (levels > 2 && !settings->soft_masks) {
            fv_finding_add(&facts->findings, FV_FINDING_NOT_BINARY, false, path,
                           "%s: the mask of class %s has %d grey levels instead of two: pixels above mask_threshold %d "
                           "will belong to the class (soft_masks = yes keeps the levels)",
                           path, class_name, levels, settings->mask_threshold);
        }
        if (fv_mask_from_image(&mask, settings->mask_threshold, binary) == FV_OK) {
            check_coverage(binary, path, class_name, settings->mask_threshold, &facts->findings);
        } else {
            facts->findings.out_of_memory = true;
        }
    }
    fv_image_free(&mask);
}

static int find_class(const fv_manifest *manifest, const char *name) {
    for (int c = 0; c < manifest->classes; c++) {
        if (strcmp(manifest->class_names[c], name) == 0) return c;
    }
    return -1;
}

static void check_cup_in_disc(const fv_record *record, const fv_image *disc, const fv_image *cup, const char *cup_path,
                              fv_finding_list *findings) {
    if (!disc->data || !cup->data || disc->width != cup->width || disc->height != cup->height) return;
    int64_t inside = fv_mask_count(cup), outside = 0;
    size_t pixels = (size_t)cup->width * (size_t)cup->height;
    for (size_t i = 0; i < pixels; i++) outside += cup->data[i] && !disc->data[i];
    double share = inside > 0 ? (double)outside / (double)inside : 0;
    if (share <= CUP_OUTSIDE_WARNS) return;
    fv_finding_add(findings, FV_FINDING_CUP_OUTSIDE_DISC, share > CUP_OUTSIDE_SPOILS, cup_path,
                   "%s: %.1f %% of the cup (%lld px) lie outside the disc of %s; the disc's mask must include the cup",
                   cup_path, 100.0 * share, (long long)outside, record->name);
}

static void check_fov(const fv_record *record, fv_record_facts *facts) {
    fv_image fov = {0};
    if (!read_image(record, record->fov, "the FOV mask", 0, &fov, &facts->findings)) return;
    has_photo_size(&fov, record->fov, record, facts);
    fv_image_free(&fov);
}

void fv_record_examine(const fv_manifest *manifest, int index, const fv_data_check_settings *settings,
                       fv_record_facts *facts) {
    const fv_record *record = &manifest->records[index];
    fv_image photo = {0}, binary[FV_MAX_CLASSES] = {{0}};
    if (read_image(record, record->fundus, "the photograph", 3, &photo, &facts->findings))
        remember_photo(&photo, facts);
    fv_image_free(&photo);
    if (facts->readable && facts->width < settings->input_size && facts->height < settings->input_size) {
        fv_finding_add(&facts->findings, FV_FINDING_SMALL_PHOTO, false, record->fundus,
                       "%s: the photograph of %d x %d px is smaller than the network's input of %d px", record->fundus,
                       facts->width, facts->height, settings->input_size);
    }
    for (int c = 0; c < manifest->classes; c++) {
        if (record->mask[c][0]) check_mask(manifest, record, c, settings, facts, &binary[c]);
    }
    int disc = find_class(manifest, "disc"), cup = find_class(manifest, "cup");
    if (disc >= 0 && cup >= 0) {
        check_cup_in_disc(record, &binary[disc], &binary[cup], record->mask[cup], &facts->findings);
    }
    if (record->fov[0]) check_fov(record, facts);
    for (int c = 0; c < manifest->classes; c++) fv_image_free(&binary[c]);
}
