#include "image_expect.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fovea/image/image_file.h"

char test_folder[] = "/tmp/fovea_image_XXXXXX";

const char *test_path(const char *name) {
    static char path[320];
    snprintf(path, sizeof path, "%s/%s", test_folder, name);
    return path;
}

int test_folder_make(void **state) {
    (void)state;
    return mkdtemp(test_folder) ? 0 : -1;
}

int test_folder_remove(void **state) {
    (void)state;
    DIR *directory = opendir(test_folder);
    for (struct dirent *entry; directory && (entry = readdir(directory));)
        if (entry->d_name[0] != '.') remove(test_path(entry->d_name));
    if (directory) closedir(directory);
    return rmdir(test_folder);
}

void expect_decoded(const sample_file *file, int channels, fv_image *image) {
    if (fv_image_decode(file->data, file->bytes, "sample", channels, image) != FV_OK) fail_msg("%s", fv_error());
}

void expect_pixels(sample_file file, int channels, int width, int height, int got_channels, const uint8_t *pixels) {
    fv_image image;
    expect_decoded(&file, channels, &image);
    assert_int_equal(image.width, width);
    assert_int_equal(image.height, height);
    assert_int_equal(image.channels, got_channels);
    assert_memory_equal(image.data, pixels, (size_t)(width * height * got_channels));
    fv_image_free(&image);
    free(file.data);
}

void expect_refused(sample_file file, const char *sentence_part) {
    fv_image image = {1, 1, 1, NULL};
    assert_int_equal(fv_image_decode(file.data, file.bytes, "sample", 0, &image), FV_BAD_INPUT);
    assert_null(image.data);
    assert_int_equal(image.width, 0);
    if (strstr(fv_error(), sentence_part) == NULL || strncmp(fv_error(), "sample", 6) != 0)
        fail_msg("\"%s\" does not begin with the name or lacks \"%s\"", fv_error(), sentence_part);
    free(file.data);
}

void expect_truncations_refused(sample_file file) {
    for (size_t bytes = 0; bytes < file.bytes; bytes++) {
        /* a block of its own lets a sanitizer see reads behind the cut */
        uint8_t *cut = malloc(bytes ? bytes : 1);
        memcpy(cut, file.data, bytes);
        fv_image image;
        fv_status status = fv_image_decode(cut, bytes, "cut", 0, &image);
        free(cut);
        if (status != FV_BAD_INPUT) fail_msg("%zu of %zu bytes were accepted (%d)", bytes, file.bytes, status);
        assert_null(image.data);
        assert_int_equal(strncmp(fv_error(), "cut", 3), 0);
    }
    free(file.data);
}
