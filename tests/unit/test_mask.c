#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "fovea/base/progress.h"
#include "fovea/base/rng.h"
#include "fovea/image/mask.h"

/* A mask from rows of '#' and '.', each as long as the first. */
static fv_image draw(int height, const char *const rows[]) {
    fv_image mask;
    assert_int_equal(fv_image_make((int)strlen(rows[0]), height, 1, &mask), FV_OK);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < mask.width; x++) mask.data[y * mask.width + x] = rows[y][x] == '#' ? 255 : 0;
    return mask;
}

/* Compares, and frees the mask. */
static void expect_drawing(fv_image mask, const char *const rows[]) {
    for (int y = 0; y < mask.height; y++)
        for (int x = 0; x < mask.width; x++)
            if ((mask.data[y * mask.width + x] != 0) != (rows[y][x] == '#'))
                fail_msg("pixel (%d, %d) is %d", x, y, mask.data[y * mask.width + x]);
    fv_image_free(&mask);
}

static void from_image(void **state) {
    (void)state;
    uint8_t grey[] = {0, 127, 128, 255}, rgb[] = {0, 0, 0, 127, 127, 127, 0, 128, 0, 1, 2, 200};
    fv_image image = {4, 1, 1, grey}, mask;
    assert_int_equal(fv_mask_from_image(&image, 127, &mask), FV_OK);
    assert_memory_equal(mask.data, ((uint8_t[]){0, 0, 255, 255}), 4);
    fv_image_free(&mask);
    image = (fv_image){4, 1, 3, rgb};
    assert_int_equal(fv_mask_from_image(&image, 127, &mask), FV_OK);
    assert_int_equal(mask.channels, 1);
    assert_memory_equal(mask.data, ((uint8_t[]){0, 0, 255, 255}), 4);
    fv_image_free(&mask);
}

static void largest_of_three(void **state) {
    (void)state;
    fv_image mask = draw(5, (const char *const[]){"##....##.", "##....###", ".........", "#.....###", "##......."});
    assert_int_equal(fv_mask_keep_largest(&mask), FV_OK);
    assert_int_equal(fv_mask_count(&mask), 5);
    expect_drawing(mask, (const char *const[]){"......##.", "......###", ".........", ".........", "........."});
}

/* Corners connect set pixels; the two arms of the U only meet in the last row. */
static void largest_is_8_connected(void **state) {
    (void)state;
    fv_image mask = draw(4, (const char *const[]){"#...###", ".#.....", "..#.###", "...#..."});
    assert_int_equal(fv_mask_keep_largest(&mask), FV_OK);
    expect_drawing(mask, (const char *const[]){"#......", ".#.....", "..#.###", "...#..."});
    mask = draw(4, (const char *const[]){"#.#.###", "#.#.#.#", "#.#...#", "###.###"});
    assert_int_equal(fv_mask_keep_largest(&mask), FV_OK);
    expect_drawing(mask, (const char *const[]){"#.#....", "#.#....", "#.#....", "###...."});
}

static void largest_of_equals_is_the_first(void **state) {
    (void)state;
    fv_image mask = draw(3, (const char *const[]){"....##", "##....", "....##"});
    assert_int_equal(fv_mask_keep_largest(&mask), FV_OK);
    expect_drawing(mask, (const char *const[]){"....##", "......", "......"});
}

static void empty_and_full(void **state) {
    (void)state;
    fv_box box;
    fv_image mask = draw(2, (const char *const[]){"...", "..."});
    assert_int_equal(fv_mask_keep_largest(&mask), FV_OK);
    assert_int_equal(fv_mask_fill_holes(&mask), FV_OK);
    assert_int_equal(fv_mask_count(&mask), 0);
    assert_false(fv_mask_box(&mask, &box));
    fv_image_free(&mask);
    mask = draw(2, (const char *const[]){"###", "###"});
    assert_int_equal(fv_mask_keep_largest(&mask), FV_OK);
    assert_int_equal(fv_mask_fill_holes(&mask), FV_OK);
    assert_int_equal(fv_mask_count(&mask), 6);
    fv_image_free(&mask);
}

/* Background leaks out along rows and columns but not through corners. */
static void holes(void **state) {
    (void)state;
    fv_image mask =
        draw(6, (const char *const[]){".###..###", "#...#.#.#", "#.#.#.#..", ".###..###", "####.....", "#..#....."});
    assert_int_equal(fv_mask_fill_holes(&mask), FV_OK);
    expect_drawing(mask,
                   (const char *const[]){".###..###", "#####.#.#", "#####.#..", ".###..###", "####.....", "#..#....."});
}

static void filled_pixels_are_255(void **state) {
    (void)state;
    uint8_t data[9] = {7, 7, 7, 7, 0, 7, 7, 7, 7};
    fv_image mask = {3, 3, 1, data};
    assert_int_equal(fv_mask_fill_holes(&mask), FV_OK);
    assert_memory_equal(data, ((uint8_t[]){7, 7, 7, 7, 255, 7, 7, 7, 7}), 9);
}

static void and_count_box(void **state) {
    (void)state;
    fv_image a = draw(4, (const char *const[]){".....", ".###.", ".####", "....."});
    fv_image b = draw(4, (const char *const[]){"#####", "..##.", "...#.", "#...."});
    fv_mask_and(&a, &b);
    assert_int_equal(fv_mask_count(&a), 3);
    fv_box box;
    assert_true(fv_mask_box(&a, &box));
    assert_int_equal(box.x0, 2);
    assert_int_equal(box.y0, 1);
    assert_int_equal(box.x1, 3);
    assert_int_equal(box.y1, 2);
    fv_image_free(&b);
    expect_drawing(a, (const char *const[]){".....", "..##.", "...#.", "....."});
}

static void color_is_refused(void **state) {
    (void)state;
    fv_image color;
    assert_int_equal(fv_image_make(4, 4, 3, &color), FV_OK);
    assert_int_equal(fv_mask_keep_largest(&color), FV_BAD_INPUT);
    assert_int_equal(fv_mask_fill_holes(&color), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "1 channel"));
    fv_image_free(&color);
}

/* Pixels reachable from `start` through pixels of the same kind: a flood with a stack, to compare with. */
static int flood(const fv_image *mask, int start, bool diagonal, uint8_t *reached) {
    static int stack[1 << 16];
    int top = 0, count = 0, w = mask->width, h = mask->height;
    bool set = mask->data[start] != 0;
    stack[top++] = start;
    reached[start] = 1;
    while (top > 0) {
        int at = stack[--top], x = at % w, y = at / w;
        count++;
        for (int dy = -1; dy <= 1; dy++)
            for (int dx = -1; dx <= 1; dx++) {
                int nx = x + dx, ny = y + dy, next = ny * w + nx;
                if ((!diagonal && dx != 0 && dy != 0) || nx < 0 || ny < 0 || nx >= w || ny >= h) continue;
                if (reached[next] || (mask->data[next] != 0) != set) continue;
                reached[next] = 1;
                stack[top++] = next;
            }
    }
    return count;
}

static void expect_largest_by_flood(const fv_image *mask, const fv_image *kept) {
    int pixels = mask->width * mask->height, best = 0, best_start = -1;
    uint8_t *seen = calloc((size_t)pixels, 1), *one = calloc((size_t)pixels, 1);
    for (int i = 0; i < pixels; i++) {
        if (mask->data[i] == 0 || seen[i]) continue;
        int count = flood(mask, i, true, seen);
        if (count > best) best = count, best_start = i;
    }
    if (best_start >= 0) flood(mask, best_start, true, one);
    for (int i = 0; i < pixels; i++) assert_int_equal(kept->data[i] != 0, one[i]);
    free(seen);
    free(one);
}

static void expect_filled_by_flood(const fv_image *mask, const fv_image *filled) {
    int w = mask->width, h = mask->height;
    uint8_t *outside = calloc((size_t)(w * h), 1);
    for (int i = 0; i < w * h; i++) {
        bool border = i % w == 0 || i % w == w - 1 || i / w == 0 || i / w == h - 1;
        if (border && mask->data[i] == 0 && !outside[i]) flood(mask, i, false, outside);
    }
    for (int i = 0; i < w * h; i++) assert_int_equal(filled->data[i] != 0, !outside[i]);
    free(outside);
}

static void random_masks_against_flood(void **state) {
    (void)state;
    fv_rng rng = fv_rng_make(1, 0, 0, FV_PURPOSE_TEST);
    for (int trial = 0; trial < 300; trial++) {
        fv_image mask, kept, filled;
        int width = 1 + (int)fv_rng_below(&rng, 40), height = 1 + (int)fv_rng_below(&rng, 40);
        double density = fv_rng_uniform(&rng);
        assert_int_equal(fv_image_make(width, height, 1, &mask), FV_OK);
        for (int i = 0; i < width * height; i++) mask.data[i] = fv_rng_uniform(&rng) < density ? 255 : 0;
        assert_int_equal(fv_image_copy(&mask, &kept), FV_OK);
        assert_int_equal(fv_image_copy(&mask, &filled), FV_OK);
        assert_int_equal(fv_mask_keep_largest(&kept), FV_OK);
        assert_int_equal(fv_mask_fill_holes(&filled), FV_OK);
        expect_largest_by_flood(&mask, &kept);
        expect_filled_by_flood(&mask, &filled);
        fv_image_free(&mask);
        fv_image_free(&kept);
        fv_image_free(&filled);
    }
}

/* A disc with a hole and dust, as large as photographs get. The bound is ten times what a slow machine needs. */
static void large_mask_is_quick(void **state) {
    (void)state;
    enum { SIDE = 4000 };
    fv_image mask;
    assert_int_equal(fv_image_make(SIDE, SIDE, 1, &mask), FV_OK);
    int64_t disc = 0;
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            int dx = x - 2100, dy = y - 1900, r2 = dx * dx + dy * dy;
            bool dust = x % 50 == 0 && y % 50 == 0;
            mask.data[y * SIDE + x] = (r2 <= 900 * 900 && r2 > 100 * 100) || dust ? 255 : 0;
            disc += r2 <= 900 * 900;
        }
    double started_s = fv_seconds();
    assert_int_equal(fv_mask_keep_largest(&mask), FV_OK);
    assert_int_equal(fv_mask_fill_holes(&mask), FV_OK);
    double taken_s = fv_seconds() - started_s;
    print_message("largest component and holes of %d x %d pixels: %.3f s\n", SIDE, SIDE, taken_s);
    assert_int_equal(fv_mask_count(&mask), disc);
    assert_true(taken_s < 2.0);
    fv_image_free(&mask);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_image),
        cmocka_unit_test(largest_of_three),
        cmocka_unit_test(largest_is_8_connected),
        cmocka_unit_test(largest_of_equals_is_the_first),
        cmocka_unit_test(empty_and_full),
        cmocka_unit_test(holes),
        cmocka_unit_test(filled_pixels_are_255),
        cmocka_unit_test(and_count_box),
        cmocka_unit_test(color_is_refused),
        cmocka_unit_test(random_masks_against_flood),
        cmocka_unit_test(large_mask_is_quick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
