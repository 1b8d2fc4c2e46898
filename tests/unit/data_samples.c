#include "data_samples.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fovea/base/rng.h"
#include "fovea/image/image_file.h"

static char folder[64];

/* Helpers of tests: what can't be prepared ends the program, and the test with it. */
static void insist(bool good, const char *what) {
    if (good) return;
    fprintf(stderr, "%s: %s\n", what, fv_error());
    exit(1);
}

const char *sample_folder_make(void) {
    snprintf(folder, sizeof folder, "/tmp/fovea_data_XXXXXX");
    insist(mkdtemp(folder) != NULL, "mkdtemp");
    return folder;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place) {
    (void)status, (void)kind, (void)place;
    return remove(path);
}

void sample_folder_remove(void) {
    insist(nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0, folder);
}

const char *sample_path(const char *name) {
    static char paths[8][FV_PATH_MAX];
    static int turn;
    char *path = paths[turn++ % 8];
    insist(fv_path_join(path, folder, name) == FV_OK, name);
    return path;
}

void sample_write_text(const char *name, const char *text) {
    insist(fv_file_write(sample_path(name), text, strlen(text)) == FV_OK, name);
}

void sample_write_photo(const char *name, int width, int height, uint64_t seed) {
    fv_image photo;
    insist(fv_image_make(width, height, 3, &photo) == FV_OK, name);
    fv_rng rng = fv_rng_make(seed, 0, 0, FV_PURPOSE_TEST);
    for (int i = 0; i < width * height * 3; i++) photo.data[i] = (uint8_t)fv_rng_below(&rng, 256);
    insist(fv_image_write_png(&photo, sample_path(name)) == FV_OK, name);
    fv_image_free(&photo);
}

void sample_write_mask(const char *name, int width, int height, const int box[4], int inside, int outside) {
    fv_image mask;
    insist(fv_image_make(width, height, 1, &mask) == FV_OK, name);
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            bool within = x >= box[0] && y >= box[1] && x < box[2] && y < box[3];
            mask.data[y * width + x] = (uint8_t)(within ? inside : outside);
        }
    }
    insist(fv_image_write_png(&mask, sample_path(name)) == FV_OK, name);
    fv_image_free(&mask);
}

fv_model_spec sample_spec(bool vessel) {
    fv_model_spec spec = {.classes = vessel ? 1 : 2};
    strcpy(spec.class_names[0], vessel ? "vessel" : "disc");
    if (!vessel) strcpy(spec.class_names[1], "cup");
    return spec;
}

const char *sample_real_data(void) {
    const char *given = getenv("FOVEA_DATA");
    return given && *given ? given : "../shared/data";
}
