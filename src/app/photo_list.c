#include "photo_list.h"

#include <dirent.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/file.h"
#include "fovea/image/image_file.h"

static fv_status add(photo_list *list, const char *path) {
    if (list->count == list->capacity) {
        int capacity = list->capacity ? 2 * list->capacity : 16;
        char **paths = realloc(list->paths, (size_t)capacity * sizeof *paths);
        if (!paths) return fv_fail_memory("a list of photographs", (size_t)capacity * sizeof *paths);
        list->paths = paths;
        list->capacity = capacity;
    }
    char *copy = strdup(path);
    if (!copy) return fv_fail_memory("a list of photographs", strlen(path));
    list->paths[list->count++] = copy;
    return FV_OK;
}

static fv_status add_folder(photo_list *list, const char *folder) {
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort), before = list->count;
    if (count < 0) return fv_fail(FV_BAD_INPUT, "the folder %s can't be read; check its permissions", folder);
    fv_status status = FV_OK;
    for (int i = 0; i < count; i++) {
        char path[FV_PATH_MAX];
        if (status == FV_OK && fv_image_is_name(entries[i]->d_name)) {
            status = fv_path_join(path, folder, entries[i]->d_name);
            if (status == FV_OK) status = add(list, path);
        }
        free(entries[i]);
    }
    free(entries);
    if (status == FV_OK && list->count == before)
        return fv_fail(FV_BAD_INPUT, "the folder %s has no photographs (.jpg .png .bmp .gif .tif)", folder);
    return status;
}

static int compare_stems(const void *a, const void *b) {
    char x[256], y[256];
    fv_path_stem(*(char *const *)a, x, sizeof x);
    fv_path_stem(*(char *const *)b, y, sizeof y);
    return strcmp(x, y);
}

static fv_status sort_by_stem(photo_list *list) {
    size_t bytes = (size_t)list->count * sizeof *list->by_stem;
    char **sorted = list->by_stem = malloc(bytes);
    if (!sorted) return fv_fail_memory("a list of photographs", bytes);
    memcpy(sorted, list->paths, bytes);
    qsort(sorted, (size_t)list->count, sizeof *sorted, compare_stems);
    for (int i = 1; i < list->count; i++) {
        if (strcmp(sorted[i - 1], sorted[i]) == 0)
            return fv_fail(FV_BAD_INPUT, "%s is named twice; name it once", sorted[i]);
        if (compare_stems(&sorted[i - 1], &sorted[i]) == 0)
            return fv_fail(FV_BAD_INPUT,
                           "%s and %s would write results of the same name; predict them into different folders",
                           sorted[i - 1], sorted[i]);
    }
    return FV_OK;
}

static int compare_to_stem(const void *stem, const void *path) {
    char other[256];
    fv_path_stem(*(char *const *)path, other, sizeof other);
    return strcmp(stem, other);
}

const char *photo_list_find(const photo_list *list, const char *stem) {
    char **found = bsearch(stem, list->by_stem, (size_t)list->count, sizeof *list->by_stem, compare_to_stem);
    return found ? *found : NULL;
}

static fv_status fill(char *const *words, int word_count, photo_list *list) {
    for (int i = 0; i < word_count; i++) {
        if (fv_folder_exists(words[i]))
            FV_TRY(add_folder(list, words[i]));
        else if (fv_file_exists(words[i]))
            FV_TRY(add(list, words[i]));
        else
            return fv_fail(FV_BAD_INPUT, "%s: there is no such photograph or folder", words[i]);
    }
    return sort_by_stem(list);
}

fv_status photo_list_make(char *const *words, int word_count, photo_list *list) {
    *list = (photo_list){0};
    fv_status status = fill(words, word_count, list);
    if (status != FV_OK) photo_list_free(list);
    return status;
}

/* The folder that a photograph lies in, links followed; false where there is none. */
static bool real_folder(const char *path, char folder[PATH_MAX]) {
    char copy[FV_PATH_MAX];
    if (snprintf(copy, sizeof copy, "%s", path) >= FV_PATH_MAX) return false;
    return realpath(dirname(copy), folder) != NULL;
}

fv_status photo_list_check_out(const photo_list *list, const char *out) {
    char out_folder[PATH_MAX], folder[PATH_MAX];
    if (!realpath(out, out_folder)) return FV_OK; /* still to be made: no photograph lies there */
    for (int i = 0; i < list->count; i++)
        if (real_folder(list->paths[i], folder) && strcmp(folder, out_folder) == 0)
            return fv_fail(FV_BAD_INPUT,
                           "--out %s is the folder of the photograph %s: a later run would take the masks for "
                           "photographs; give a folder of its own for the results",
                           out, list->paths[i]);
    return FV_OK;
}

void photo_list_free(photo_list *list) {
    for (int i = 0; i < list->count; i++) free(list->paths[i]);
    free(list->paths);
    free(list->by_stem);
    *list = (photo_list){0};
}
