#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fovea/base/file.h"
#include "fovea/base/log.h"
#include "fovea/base/threads.h"
#include "fovea/dataset/phantom.h"

enum { SIDE = 192, SAMPLE = 50 };

static size_t count_set(const fv_image *mask) {
    size_t count = 0;
    for (int i = 0; i < mask->width * mask->height; i++) {
        assert_true(mask->data[i] == 0 || mask->data[i] == 255);
        count += mask->data[i] == 255;
    }
    return count;
}

static int mask_height(const fv_image *mask) {
    int top = mask->height, low = -1;
    for (int i = 0; i < mask->width * mask->height; i++) {
        if (!mask->data[i]) continue;
        if (i / mask->width < top) top = i / mask->width;
        low = i / mask->width;
    }
    return low - top + 1;
}

static void assert_within(const fv_image *inner, const fv_image *outer) {
    for (int i = 0; i < inner->width * inner->height; i++) assert_true(outer->data[i] || !inner->data[i]);
}

static bool same_image(const fv_image *a, const fv_image *b) {
    return a->width == b->width && a->height == b->height && a->channels == b->channels &&
           memcmp(a->data, b->data, (size_t)a->width * (size_t)a->height * (size_t)a->channels) == 0;
}

static bool same_phantom(const fv_phantom *a, const fv_phantom *b) {
    return same_image(&a->photo, &b->photo) && same_image(&a->disc, &b->disc) && same_image(&a->cup, &b->cup) &&
           same_image(&a->vessel, &b->vessel) && same_image(&a->fov, &b->fov) && a->vcdr == b->vcdr;
}

/* Mean of red + green of the pixels that `in` holds and `out` doesn't, vessels left out. */
static double brightness(const fv_phantom *phantom, const fv_image *in, const fv_image *out) {
    double sum = 0, count = 0;
    for (int i = 0; i < in->width * in->height; i++) {
        if (!in->data[i] || out->data[i] || phantom->vessel.data[i]) continue;
        sum += phantom->photo.data[3 * i] + phantom->photo.data[3 * i + 1];
        count++;
    }
    return sum / fmax(count, 1);
}

/* The part of the field within 1.8 disc radii of the disc's middle: what the disc is seen against. */
static void mark_neighbourhood(const fv_phantom *phantom, fv_image *mask) {
    double x = 0, y = 0, count = 0, reach = 0.9 * mask_height(&phantom->disc);
    for (int i = 0; i < SIDE * SIDE; i++) {
        if (!phantom->disc.data[i]) continue;
        x += i % SIDE;
        y += i / SIDE;
        count++;
    }
    for (int i = 0; i < SIDE * SIDE; i++)
        if (phantom->fov.data[i] && hypot(i % SIDE - x / count, i / SIDE - y / count) < reach) mask->data[i] = 255;
}

static void test_depends_on_seed_and_index_only(void **state) {
    (void)state;
    fv_phantom a, b, other_index, other_seed;
    assert_int_equal(fv_phantom_make(5, 3, SIDE, &a), FV_OK);
    assert_int_equal(fv_phantom_make(5, 4, SIDE, &other_index), FV_OK);
    assert_int_equal(fv_phantom_make(6, 3, SIDE, &other_seed), FV_OK);
    assert_int_equal(fv_phantom_make(5, 3, SIDE, &b), FV_OK);
    assert_true(same_phantom(&a, &b));
    assert_false(same_phantom(&a, &other_index));
    assert_false(same_phantom(&a, &other_seed));
    assert_true(a.vcdr != other_seed.vcdr);
    fv_phantom_free(&a);
    fv_phantom_free(&b);
    fv_phantom_free(&other_index);
    fv_phantom_free(&other_seed);
    fv_phantom_free(&a); /* twice is harmless */
    assert_null(a.photo.data);
}

/* Change what is drawn, and FV_PHANTOM_VERSION must rise with these figures. */
static void test_this_version_draws_this(void **state) {
    (void)state;
    assert_int_equal(FV_PHANTOM_VERSION, 2);
    fv_phantom phantom;
    assert_int_equal(fv_phantom_make(1, 0, SIDE, &phantom), FV_OK);
    assert_in_range(count_set(&phantom.disc), 775 - 1, 775 + 1);
    assert_in_range(count_set(&phantom.cup), 335 - 1, 335 + 1);
    assert_in_range(count_set(&phantom.vessel), 3201 - 3, 3201 + 3);
    fv_phantom_free(&phantom);
}

static void test_same_anatomy_at_any_side(void **state) {
    (void)state;
    fv_phantom small, large;
    assert_int_equal(fv_phantom_make(1, 0, 128, &small), FV_OK);
    assert_int_equal(fv_phantom_make(1, 0, 256, &large), FV_OK);
    assert_true(small.vcdr == large.vcdr);
    assert_int_equal(large.photo.width, 256);
    assert_int_equal(large.photo.height, 256);
    assert_int_equal(large.photo.channels, 3);
    assert_true(fabs(4.0 * (double)count_set(&small.disc) / (double)count_set(&large.disc) - 1) < 0.05);
    int hits = 0, total = 0; /* of the small disc's pixels, in the large one's */
    for (int i = 0; i < 128 * 128; i++) {
        if (!small.disc.data[i]) continue;
        hits += large.disc.data[2 * (i / 128) * 256 + 2 * (i % 128)] != 0;
        total++;
    }
    assert_true(hits > 0.93 * total);
    fv_phantom_free(&small);
    fv_phantom_free(&large);
}

static void check_masks(const fv_phantom *phantom) {
    assert_within(&phantom->cup, &phantom->disc);
    assert_within(&phantom->disc, &phantom->fov);
    assert_within(&phantom->vessel, &phantom->fov);
    int disc = mask_height(&phantom->disc), cup = mask_height(&phantom->cup);
    assert_true(fabs(phantom->vcdr * disc - cup) <= 1.5);
    assert_true(count_set(&phantom->cup) > 0);
    assert_true(count_set(&phantom->cup) < count_set(&phantom->disc));
    double vessels = (double)count_set(&phantom->vessel) / (double)count_set(&phantom->fov);
    if (vessels < 0.06 || vessels > 0.16) fail_msg("vessels cover %.3f of the field", vessels);
}

static void check_brightness(const fv_phantom *phantom) {
    fv_image nothing = {0}, around = {0}, frame = {0};
    assert_int_equal(fv_image_make(SIDE, SIDE, 1, &nothing), FV_OK);
    assert_int_equal(fv_image_make(SIDE, SIDE, 1, &around), FV_OK);
    assert_int_equal(fv_image_make(SIDE, SIDE, 1, &frame), FV_OK);
    mark_neighbourhood(phantom, &around);
    memset(frame.data, 255, (size_t)SIDE * SIDE);
    double background = brightness(phantom, &around, &phantom->disc);
    double rim = brightness(phantom, &phantom->disc, &phantom->cup);
    double cup = brightness(phantom, &phantom->cup, &nothing);
    assert_true(rim > background * 1.12);
    assert_true(cup > rim * 1.12);
    assert_true(brightness(phantom, &frame, &phantom->fov) < 0.2 * background);
    fv_image_free(&nothing);
    fv_image_free(&around);
    fv_image_free(&frame);
}

/* Field's diameter: the largest width of a row. */
static int field_width(const fv_image *fov) {
    int widest = 0;
    for (int row = 0; row < fov->height; row++) {
        int width = 0;
        for (int column = 0; column < fov->width; column++) width += fov->data[row * fov->width + column] != 0;
        if (width > widest) widest = width;
    }
    return widest;
}

static void test_fifty_phantoms_keep_the_promises(void **state) {
    (void)state;
    double least_vcdr = 1, most_vcdr = 0, least_disc = 1, most_disc = 0;
    int left_half = 0;
    for (int index = 0; index < SAMPLE; index++) {
        fv_phantom phantom;
        assert_int_equal(fv_phantom_make(2, (uint64_t)index, SIDE, &phantom), FV_OK);
        check_masks(&phantom);
        check_brightness(&phantom);
        double disc = (double)mask_height(&phantom.disc) / field_width(&phantom.fov);
        least_disc = fmin(least_disc, disc);
        most_disc = fmax(most_disc, disc);
        least_vcdr = fmin(least_vcdr, phantom.vcdr);
        most_vcdr = fmax(most_vcdr, phantom.vcdr);
        for (int i = 0; i < SIDE * SIDE; i++)
            if (phantom.disc.data[i]) {
                left_half += i % SIDE < SIDE / 2;
                break;
            }
        fv_phantom_free(&phantom);
    }
    double pixel = 1.0 / (0.91 * SIDE);
    assert_true(least_disc >= 0.15 - pixel && most_disc <= 0.27 + pixel);
    assert_true(least_disc < 0.18 && most_disc > 0.25);
    assert_true(least_vcdr >= 0.3 && most_vcdr <= 0.85);
    assert_true(least_vcdr < 0.38 && most_vcdr > 0.75);
    assert_in_range(left_half, 12, 38); /* right and left eyes */
}

static void test_side_out_of_range_fails(void **state) {
    (void)state;
    fv_phantom phantom;
    assert_int_equal(fv_phantom_make(1, 0, 63, &phantom), FV_BAD_INPUT);
    assert_string_equal(fv_error(), "phantom: a side of 63 px was asked for; 64 to 4096 px can be drawn");
    assert_null(phantom.photo.data);
    assert_int_equal(fv_phantom_make(1, 0, 4097, &phantom), FV_BAD_INPUT);
}

/* ---- sets ---- */

static char folder[64];

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *level) {
    (void)info;
    (void)kind;
    (void)level;
    return remove(path);
}

static int make_folder(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/fovea_phantom_XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    return nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static const char *in_folder(const char *name) {
    static char path[FV_PATH_MAX];
    assert_int_equal(fv_path_join(path, folder, name), FV_OK);
    return path;
}

static void write_set(int count, uint64_t seed) {
    if (fv_phantom_write_set(folder, count, seed, 64) != FV_OK) fail_msg("%s", fv_error());
}

static char *read_text(const char *name) {
    void *text;
    size_t bytes;
    assert_int_equal(fv_file_read(in_folder(name), 1 << 20, &text, &bytes), FV_OK);
    return text;
}

static struct stat status_of(const char *name) {
    struct stat info;
    assert_int_equal(stat(in_folder(name), &info), 0);
    return info;
}

static bool same_file(const struct stat *a, const struct stat *b) {
    return a->st_ino == b->st_ino && a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void test_set_is_written_whole(void **state) {
    (void)state;
    write_set(7, 3);
    const char *const folders[] = {"images", "od", "oc", "bv", "fov"};
    for (int index = 0; index < 7; index++)
        for (int part = 0; part < 5; part++) {
            char name[64];
            snprintf(name, sizeof name, "%s/%04d.png", folders[part], index);
            assert_true(status_of(name).st_size > 50);
        }
    fv_phantom first;
    assert_int_equal(fv_phantom_make(3, 0, 64, &first), FV_OK);
    char expected[128];
    snprintf(expected, sizeof expected,
             "0000,images/0000.png,od/0000.png,oc/0000.png,bv/0000.png,fov/0000.png,train,%.4f\n", first.vcdr);
    char *table = read_text("index.csv");
    const char *header = "name,fundus,od,oc,bv,fov,split,cdr_expert\n";
    assert_memory_equal(table, header, strlen(header));
    assert_memory_equal(table + strlen(header), expected, strlen(expected));
    int lines = 0;
    for (const char *c = table; *c; c++) lines += *c == '\n';
    assert_int_equal(lines, 8);
    free(table);
    fv_phantom_free(&first);
}

static int count_words(const char *text, const char *word) {
    int count = 0;
    for (const char *at = text; (at = strstr(at, word)); at += strlen(word)) count++;
    return count;
}

static void test_split_by_order(void **state) {
    (void)state;
    write_set(20, 3);
    char *table = read_text("index.csv");
    assert_int_equal(count_words(table, ",train,"), 14);
    assert_int_equal(count_words(table, ",val,"), 3);
    assert_int_equal(count_words(table, ",test,"), 3);
    assert_true(strstr(table, "\n0013,") < strstr(table, ",val,"));
    assert_non_null(strstr(table, "fov/0016.png,val,"));
    assert_non_null(strstr(table, "fov/0017.png,test,"));
    free(table);
}

static void test_complete_set_is_kept(void **state) {
    (void)state;
    write_set(3, 18446744073709551615u); /* a seed that no JSON number holds */
    struct stat table = status_of("index.csv"), photo = status_of("images/0001.png");
    write_set(3, 18446744073709551615u);
    struct stat table_after = status_of("index.csv"), photo_after = status_of("images/0001.png");
    assert_true(same_file(&table, &table_after));
    assert_true(same_file(&photo, &photo_after));
}

static void test_other_set_replaces_it(void **state) {
    (void)state;
    write_set(4, 1);
    char *before = read_text("index.csv");
    write_set(2, 1);
    char *after = read_text("index.csv");
    assert_int_equal(count_words(after, "\n"), 3);
    assert_true(status_of("images/0001.png").st_size > 0);
    assert_false(fv_file_exists(in_folder("images/0002.png"))); /* no leftovers of the larger set */
    assert_false(fv_file_exists(in_folder("fov/0003.png")));
    write_set(2, 9);
    char *other_seed = read_text("index.csv");
    assert_string_not_equal(after, other_seed);
    free(before);
    free(after);
    free(other_seed);
}

static void test_damaged_set_is_made_again(void **state) {
    (void)state;
    write_set(2, 1);
    assert_int_equal(unlink(in_folder("index.csv")), 0); /* as after an interruption */
    write_set(2, 1);
    assert_true(fv_file_exists(in_folder("index.csv")));
    assert_int_equal(unlink(in_folder("od/0001.png")), 0);
    write_set(2, 1);
    assert_true(fv_file_exists(in_folder("od/0001.png")));
}

static void test_threads_do_not_matter(void **state) {
    (void)state;
    fv_threads_set(1);
    write_set(3, 4);
    char *one = read_text("images/0002.png");
    off_t size = status_of("images/0002.png").st_size;
    assert_int_equal(unlink(in_folder("index.csv")), 0);
    fv_threads_set(3);
    write_set(3, 4);
    fv_threads_set(0);
    char *three = read_text("images/0002.png");
    assert_int_equal(status_of("images/0002.png").st_size, size);
    assert_memory_equal(one, three, (size_t)size);
    free(one);
    free(three);
}

static void test_foreign_table_stays(void **state) {
    (void)state;
    assert_int_equal(fv_file_write(in_folder("index.csv"), "a,b\n", 4), FV_OK);
    assert_int_equal(fv_phantom_write_set(folder, 2, 1, 64), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "a table that was not made by the phantom generator"));
    assert_int_equal(status_of("index.csv").st_size, 4);
    assert_int_equal(fv_file_write(in_folder("phantoms.json"), "{\"seed\": 3", 10), FV_OK); /* torn */
    assert_int_equal(fv_phantom_write_set(folder, 2, 1, 64), FV_BAD_INPUT);
}

static void test_folder_that_cannot_be_written(void **state) {
    (void)state;
    /* a file in the way stops root too */
    assert_int_equal(fv_file_write(in_folder("plain"), "x", 1), FV_OK);
    char inside[FV_PATH_MAX];
    assert_int_equal(fv_path_join(inside, in_folder("plain"), "set"), FV_OK);
    assert_int_equal(fv_phantom_write_set(inside, 2, 1, 64), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "plain"));
    /* a photograph that can't be written: the sentence comes from the thread that met it, and no table is left */
    assert_int_equal(fv_folder_make(in_folder("images/0001.png")), FV_OK);
    assert_int_equal(fv_phantom_write_set(folder, 2, 1, 64), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "images/0001.png"));
    assert_false(fv_file_exists(in_folder("index.csv")));
}

static void test_numbers_out_of_range(void **state) {
    (void)state;
    assert_int_equal(fv_phantom_write_set(folder, 0, 1, 64), FV_BAD_INPUT);
    assert_string_equal(fv_error(), "phantoms: a set of 0 was asked for; 1 to 10000 can be made");
    assert_int_equal(fv_phantom_write_set(folder, 2, 1, 8), FV_BAD_INPUT);
    assert_string_equal(fv_error(), "phantoms: a side of 8 px was asked for; 64 to 4096 px can be drawn");
    assert_int_equal(fv_phantom_sheet(in_folder("sheet.png"), 0, 1, 64), FV_BAD_INPUT);
    assert_false(fv_file_exists(in_folder("sheet.png")));
}

static void test_sheet(void **state) {
    (void)state;
    assert_int_equal(fv_phantom_sheet(in_folder("sheet.png"), 3, 1, 64), FV_OK);
    unsigned char *png = (unsigned char *)read_text("sheet.png");
    /* width and height in the PNG's header: two columns, two rows */
    assert_int_equal(png[18] << 8 | png[19], 128);
    assert_int_equal(png[22] << 8 | png[23], 128);
    free(png);
}

int main(void) {
    fv_log_set_quiet(true);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_depends_on_seed_and_index_only),
        cmocka_unit_test(test_this_version_draws_this),
        cmocka_unit_test(test_same_anatomy_at_any_side),
        cmocka_unit_test(test_fifty_phantoms_keep_the_promises),
        cmocka_unit_test(test_side_out_of_range_fails),
        cmocka_unit_test_setup_teardown(test_set_is_written_whole, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_split_by_order, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_complete_set_is_kept, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_other_set_replaces_it, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_damaged_set_is_made_again, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_threads_do_not_matter, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_foreign_table_stays, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_folder_that_cannot_be_written, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_numbers_out_of_range, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_sheet, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
