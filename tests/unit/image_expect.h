/* What the tests of image files have in common. */
#ifndef FOVEA_TESTS_IMAGE_EXPECT_H
#define FOVEA_TESTS_IMAGE_EXPECT_H

#include "fovea/image/image.h"
#include "image_samples.h"

/* A folder below /tmp for one test program: set-up and tear-down of its group. */
extern char test_folder[];
int test_folder_make(void **state);
int test_folder_remove(void **state);
/* A name in it; valid until the next call. */
const char *test_path(const char *name);

void expect_decoded(const sample_file *file, int channels, fv_image *image);
/* Decodes, compares size and bytes, and frees the file. */
void expect_pixels(sample_file file, int channels, int width, int height, int got_channels, const uint8_t *pixels);
/* The file is FV_BAD_INPUT with a sentence that begins with its name and holds `sentence_part`; frees the file. */
void expect_refused(sample_file file, const char *sentence_part);
/* Cut after any number of bytes, the file is refused; frees the file. */
void expect_truncations_refused(sample_file file);

#endif
