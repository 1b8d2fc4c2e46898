/* Skeletons: shapes whose centre lines are known, topology against a flood fill, thinness of every pixel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fovea/base/rng.h"
#include "fovea/clinical/skeleton.h"
#include "fovea/image/mask.h"

static void set_box(fv_image *mask, int x0, int y0, int x1, int y1) {
    for (int y = y0; y <= y1; y++) memset(mask->data + y * mask->width + x0, 255, (size_t)(x1 - x0 + 1));
}

static void erase(uint8_t *grid, int width, int height, int x, int y, bool set, bool corners) {
    if (x < 0 || y < 0 || x >= width || y >= height || (grid[y * width + x] != 0) != set) return;
    grid[y * width + x] = set ? 0 : 255;
    for (int dy = -1; dy <= 1; dy++)
        for (int dx = -1; dx <= 1; dx++)
            if (corners || dx == 0 || dy == 0) erase(grid, width, height, x + dx, y + dy, set, corners);
}

/* Components of set pixels (8-connected), or of others (4-connected) in the mask with a rim round it. */
static int components(const fv_image *mask, bool set) {
    int width = mask->width + 2, height = mask->height + 2, count = 0;
    uint8_t *grid = calloc((size_t)width * (size_t)height, 1);
    for (int y = 0; y < mask->height; y++)
        for (int x = 0; x < mask->width; x++) grid[(y + 1) * width + x + 1] = mask->data[y * mask->width + x] ? 255 : 0;
    for (int i = 0; i < width * height; i++)
        if ((grid[i] != 0) == set) {
            erase(grid, width, height, i % width, i / width, set, set);
            count++;
        }
    free(grid);
    return count;
}

static void expect_topology(const fv_image *mask, const fv_image *skeleton) {
    assert_int_equal(components(skeleton, true), components(mask, true));
    assert_int_equal(components(skeleton, false), components(mask, false));
    for (int i = 0; i < mask->width * mask->height; i++)
        if (skeleton->data[i]) assert_true(mask->data[i] != 0);
}

/* No pixel can go without a change of topology or of an end: nothing is thicker than one pixel. */
static void expect_thin(const fv_image *skeleton) {
    const int objects = components(skeleton, true), holes = components(skeleton, false);
    for (int y = 0; y < skeleton->height; y++)
        for (int x = 0; x < skeleton->width; x++) {
            int around = 0;
            for (int v = y - 1; v <= y + 1; v++)
                for (int u = x - 1; u <= x + 1; u++)
                    if (u >= 0 && v >= 0 && u < skeleton->width && v < skeleton->height)
                        around += skeleton->data[v * skeleton->width + u] != 0;
            uint8_t *pixel = &skeleton->data[y * skeleton->width + x];
            if (*pixel == 0 || around < 3) continue;
            *pixel = 0;
            assert_true(components(skeleton, true) != objects || components(skeleton, false) != holes);
            *pixel = 255;
        }
}

static fv_image skeleton_of(const fv_image *mask) {
    fv_image skeleton;
    assert_int_equal(fv_skeleton_make(mask, &skeleton), FV_OK);
    expect_topology(mask, &skeleton);
    expect_thin(&skeleton);
    return skeleton;
}

static void bar(void **state) {
    (void)state;
    fv_image mask;
    assert_int_equal(fv_image_make(60, 30, 1, &mask), FV_OK);
    set_box(&mask, 5, 10, 54, 16); /* 50 x 7 */
    fv_image skeleton = skeleton_of(&mask);
    fv_box box;
    assert_true(fv_mask_box(&skeleton, &box));
    int64_t length = fv_mask_count(&skeleton);
    assert_true(length >= 44 && length <= 50);
    for (int x = 10; x < 50; x++) /* in the middle row */
        for (int y = 0; y < 30; y++) assert_int_equal(skeleton.data[y * 60 + x] != 0, y == 13);
    fv_image_free(&skeleton);
    fv_image_free(&mask);
}

/* What Zhang and Suen's own conditions lose or leave thick. */
static void small_shapes(void **state) {
    (void)state;
    static const char *const shapes[] = {"##  ##  ",    " ##  ## ",    "##  ##   ", "#   ##   ", "### ### ###",
                                         "#    #    #", "### # # ###", "  ## ##  ", "# # #   ",  " # ### # "};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        fv_image mask;
        assert_int_equal(fv_image_make(4, 3, 1, &mask), FV_OK);
        for (int p = 0; shapes[i][p] && p < 12; p++) mask.data[p] = shapes[i][p] == '#' ? 255 : 0;
        fv_image skeleton = skeleton_of(&mask);
        fv_image_free(&skeleton);
        fv_image_free(&mask);
    }
}

/* Radii 29.5 and 40.5: no single pixels stand out of the ring, which would leave spurs. */
static void ring_and_disc(void **state) {
    (void)state;
    fv_image ring, disc;
    assert_int_equal(fv_image_make(101, 101, 1, &ring), FV_OK);
    assert_int_equal(fv_image_make(101, 101, 1, &disc), FV_OK);
    for (int y = 0; y < 101; y++)
        for (int x = 0; x < 101; x++) {
            int d = (x - 50) * (x - 50) + (y - 50) * (y - 50);
            ring.data[y * 101 + x] = d >= 870 && d <= 1640 ? 255 : 0;
            disc.data[y * 101 + x] = d <= 1640 ? 255 : 0;
        }
    fv_image line = skeleton_of(&ring), centre = skeleton_of(&disc);
    for (int y = 0; y < 101; y++)
        for (int x = 0; x < 101; x++)
            if (line.data[y * 101 + x]) {
                int d = (x - 50) * (x - 50) + (y - 50) * (y - 50);
                assert_true(d >= 33 * 33 && d <= 37 * 37);
            }
    /* from the centre at most one line towards a rim: corners of digital circles can leave an end */
    assert_true(fv_mask_count(&centre) <= 40);
    bool near = false;
    for (int i = -2; i <= 2; i++) near |= centre.data[(50 + i) * 101 + 50] != 0;
    assert_true(near);
    fv_image_free(&line);
    fv_image_free(&centre);
    fv_image_free(&ring);
    fv_image_free(&disc);
}

static void noise(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 24; seed++) {
        fv_image mask;
        fv_rng rng = fv_rng_make(seed, 0, 0, FV_PURPOSE_TEST);
        assert_int_equal(fv_image_make(23, 17, 1, &mask), FV_OK);
        for (int i = 0; i < 23 * 17; i++) mask.data[i] = fv_rng_below(&rng, 12) < 3 + seed % 8 ? 1 : 0;
        fv_image skeleton = skeleton_of(&mask);
        fv_image again = skeleton_of(&skeleton); /* a skeleton is its own */
        assert_memory_equal(again.data, skeleton.data, 23 * 17);
        assert_int_equal(fv_skeleton_clean(&again), FV_OK);
        assert_memory_equal(again.data, skeleton.data, 23 * 17);
        fv_image_free(&again);
        fv_image_free(&skeleton);
        fv_image_free(&mask);
    }
}

static void edges_of_input(void **state) {
    (void)state;
    fv_image mask, colour, skeleton;
    assert_int_equal(fv_image_make(1, 1, 1, &mask), FV_OK);
    skeleton = skeleton_of(&mask); /* empty */
    assert_int_equal(skeleton.data[0], 0);
    fv_image_free(&skeleton);
    mask.data[0] = 1;
    skeleton = skeleton_of(&mask);
    assert_int_equal(skeleton.data[0], 255);
    fv_image_free(&skeleton);
    fv_image_free(&mask);
    assert_int_equal(fv_image_make(40, 25, 1, &mask), FV_OK); /* all white */
    memset(mask.data, 255, 40 * 25);
    skeleton = skeleton_of(&mask);
    fv_image_free(&skeleton);
    fv_image_free(&mask);
    assert_int_equal(fv_image_make(4, 4, 3, &colour), FV_OK);
    assert_int_equal(fv_skeleton_make(&colour, &skeleton), FV_BAD_INPUT);
    assert_null(skeleton.data);
    fv_image_free(&colour);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(bar), cmocka_unit_test(small_shapes),
                                       cmocka_unit_test(ring_and_disc), cmocka_unit_test(noise),
                                       cmocka_unit_test(edges_of_input)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
