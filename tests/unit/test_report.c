/* Pictures: sizes, colours where they belong, gaps, errors. Marks are looked for by colour, because letters may differ
   with the fonts that are installed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fovea/image/image_file.h"
#include "fovea/report/picture.h"

enum { DISC = 0x1DB954, CUP = 0x2F7BFF, VESSEL = 0x00C4DC, TRUTH = 0xFF2020, PHOTO = 0xB46428 };

static char folder[64];

static const char *in_folder(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int make_folder(void **state) {
    (void)state;
    strcpy(folder, "/tmp/fovea_test_report_XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int files_in(const char *path) {
    DIR *dir = opendir(path);
    assert_non_null(dir);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(dir));) count += entry->d_name[0] != '.' || strlen(entry->d_name) > 2;
    closedir(dir);
    return count;
}

static int remove_folder(void **state) {
    (void)state;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));) unlink(in_folder(entry->d_name));
    if (dir) closedir(dir);
    return rmdir(folder);
}

/* A photograph of one colour, and masks that are discs around its middle. */
typedef struct scene {
    fv_image photo, truth[2], predicted[2];
} scene;

static void fill_disc(fv_image *mask, double x0, double y0, double radius) {
    for (int y = 0; y < mask->height; y++)
        for (int x = 0; x < mask->width; x++)
            mask->data[y * mask->width + x] = hypot(x + 0.5 - x0, y + 0.5 - y0) < radius ? 255 : 0;
}

static void scene_make(scene *s, int width, int height) {
    assert_int_equal(fv_image_make(width, height, 3, &s->photo), FV_OK);
    for (int i = 0; i < width * height; i++) {
        s->photo.data[3 * i] = PHOTO >> 16;
        s->photo.data[3 * i + 1] = PHOTO >> 8 & 255;
        s->photo.data[3 * i + 2] = PHOTO & 255;
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fv_image_make(width, height, 1, &s->truth[i]), FV_OK);
        assert_int_equal(fv_image_make(width, height, 1, &s->predicted[i]), FV_OK);
        fill_disc(&s->truth[i], width / 2.0, height / 2.0, i ? 50 : 90);
        fill_disc(&s->predicted[i], width / 2.0, height / 2.0, i ? 40 : 80);
    }
}

static void scene_free(scene *s) {
    fv_image_free(&s->photo);
    for (int i = 0; i < 2; i++) {
        fv_image_free(&s->truth[i]);
        fv_image_free(&s->predicted[i]);
    }
}

static const char *const disc_and_cup[] = {"disc", "cup"};
static const char *const vessel_only[] = {"vessel"};
static const fv_report_classes two = {2, disc_and_cup}, one = {1, vessel_only};

static uint32_t pixel(const fv_image *image, int x, int y) {
    const uint8_t *p = image->data + 3 * ((size_t)y * (size_t)image->width + (size_t)x);
    return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

static bool near(uint32_t a, uint32_t b, int tolerance) {
    for (int shift = 0; shift < 24; shift += 8)
        if (abs((int)(a >> shift & 255) - (int)(b >> shift & 255)) > tolerance) return false;
    return true;
}

/* Pixels of about this colour in columns x0 <= x < x1. */
static int count_in(const fv_image *image, uint32_t colour, int x0, int x1) {
    int count = 0;
    for (int y = 0; y < image->height; y++)
        for (int x = x0; x < x1; x++) count += near(pixel(image, x, y), colour, 6);
    return count;
}

static int count_all(const fv_image *image, uint32_t colour) {
    return count_in(image, colour, 0, image->width);
}

static void read_back(const char *name, fv_image *image) {
    assert_int_equal(fv_image_read(in_folder(name), 3, image), FV_OK);
}

static void test_class_colours_are_fixed(void **state) {
    (void)state;
    assert_int_equal(fv_report_class_colour("disc", 5), DISC);
    assert_int_equal(fv_report_class_colour("cup", 0), CUP);
    assert_int_equal(fv_report_class_colour("vessel", 0), VESSEL);
    assert_int_equal(fv_report_class_colour("drusen", 1), fv_chart_colour(1));
    assert_int_not_equal(fv_chart_colour(0), fv_chart_colour(1));
    assert_int_equal(fv_chart_colour(0), fv_chart_colour(8));
}

static void test_overlay_draws_contours_where_the_masks_end(void **state) {
    (void)state;
    scene s;
    scene_make(&s, 1600, 1200); /* predicted contours 3.5 px wide, the truth's 2 px */
    fv_image out;
    assert_int_equal(fv_report_overlay_image(&s.photo, &two, s.predicted, s.truth, &out), FV_OK);
    assert_int_equal(out.width, 1600);
    assert_int_equal(out.height, 1200);
    assert_int_equal(out.channels, 3);
    assert_int_equal(pixel(&out, 5, 5), PHOTO);
    assert_int_equal(pixel(&out, 800 + 95, 600), PHOTO); /* outside the truth's disc */
    assert_int_equal(pixel(&out, 800 + 85, 600), PHOTO); /* between truth and prediction */
    assert_true(near(pixel(&out, 800 + 79, 600), DISC, 6));
    assert_true(near(pixel(&out, 800, 600 - 80), DISC, 6));
    assert_true(near(pixel(&out, 800 + 39, 600), CUP, 6));
    assert_true(near(pixel(&out, 800 + 89, 600), TRUTH, 40));
    assert_true(near(pixel(&out, 800, 600 + 49), TRUTH, 40));
    assert_in_range(count_all(&out, DISC), 1000, 1760); /* 2 pi 80 px long, less the soft edges */
    const uint32_t rim = pixel(&out, 800 + 65, 600), cup = pixel(&out, 800, 600);
    assert_true(near(rim, 0x937732, 3)); /* 0.78 photo + 0.22 disc */
    assert_true(near(cup, 0x7D785F, 3)); /* 0.78 rim + 0.22 cup */
    fv_image_free(&out);
    scene_free(&s);
}

static void test_overlay_contour_grows_with_the_photograph(void **state) {
    (void)state;
    int counts[2];
    for (int i = 0; i < 2; i++) {
        scene s;
        scene_make(&s, i ? 1600 : 400, i ? 1600 : 400);
        fv_image out;
        assert_int_equal(fv_report_overlay_image(&s.photo, &two, s.predicted, NULL, &out), FV_OK);
        counts[i] = count_all(&out, DISC);
        assert_int_equal(count_all(&out, TRUTH), 0);
        fv_image_free(&out);
        scene_free(&s);
    }
    assert_true(counts[1] > 2 * counts[0]); /* same contour, 1.5 px and 4 px wide */
}

static void test_overlay_takes_masks_of_another_size(void **state) {
    (void)state;
    scene s;
    scene_make(&s, 400, 300);
    fv_image small, out, empty[2] = {0};
    assert_int_equal(fv_image_make(100, 100, 1, &small), FV_OK);
    fill_disc(&small, 50, 50, 25);
    fv_image masks[2] = {small, small};
    assert_int_equal(fv_report_overlay_image(&s.photo, &two, masks, empty, &out), FV_OK);
    assert_int_equal(pixel(&out, 200 + 110, 150), PHOTO); /* the ellipse has half axes of 100 and 75 px */
    assert_int_not_equal(pixel(&out, 200 + 90, 150), PHOTO);
    assert_int_equal(pixel(&out, 200, 150 + 85), PHOTO);
    assert_int_not_equal(pixel(&out, 200, 150 + 65), PHOTO);
    fv_image_free(&out);
    fv_image_free(&small);
    scene_free(&s);
}

static void test_thin_structures_are_filled(void **state) {
    (void)state;
    scene s;
    scene_make(&s, 300, 300);
    memset(s.predicted[0].data, 0, 300 * 300);
    for (int x = 20; x < 280; x++)
        for (int y = 100; y < 103; y++) s.predicted[0].data[y * 300 + x] = 255;
    fv_image out;
    assert_int_equal(fv_report_overlay_image(&s.photo, &one, s.predicted, NULL, &out), FV_OK);
    const uint32_t middle = pixel(&out, 150, 101);
    assert_in_range(middle >> 16, 0x32, 0x3A); /* 0.3 photo + 0.7 colour */
    assert_int_equal(pixel(&out, 150, 97), PHOTO);
    assert_int_equal(pixel(&out, 150, 105), PHOTO);
    fv_image_free(&out);
    scene_free(&s);
}

static void test_contours_of_holes_and_borders(void **state) {
    (void)state;
    scene s;
    scene_make(&s, 64, 64);
    fv_image *mask = &s.predicted[0];
    for (int y = 0; y < 64; y++)
        for (int x = 0; x < 64; x++) mask->data[y * 64 + x] = hypot(x - 32.0, y - 32.0) < 16 ? 0 : 255;
    mask->data[32 * 64 + 32] = 255; /* an island in the hole */
    fv_image out;
    assert_int_equal(fv_report_overlay_image(&s.photo, &one, mask, NULL, &out), FV_OK);
    assert_int_equal(pixel(&out, 32, 40), PHOTO);    /* the hole is not filled */
    assert_int_not_equal(pixel(&out, 6, 32), PHOTO); /* the ring is */
    assert_true(near(pixel(&out, 32, 16), VESSEL, 90) || near(pixel(&out, 32, 17), VESSEL, 90));
    fv_image_free(&out);
    scene_free(&s);
}

static void test_panel_shows_photo_masks_and_text(void **state) {
    (void)state;
    static const char *const lines[] = {"photo.jpg", "", "Vertical CDR\t0.62",
                                        "A longer sentence that has to be wrapped at spaces."};
    scene s;
    scene_make(&s, 1024, 768);
    fv_image out;
    assert_int_equal(fv_report_panel(in_folder("panel.png"), &s.photo, &two, s.predicted, s.truth, lines, 4), FV_OK);
    read_back("panel.png", &out);
    assert_int_equal(out.width, 24 + 2 * 512 + 12 + 24 + 380 + 24);
    assert_int_equal(out.height, 2 * 24 + 2 * (28 + 384) + 12);
    assert_int_equal(pixel(&out, 24 + 256, 24 + 28 + 192), PHOTO);
    assert_true(near(pixel(&out, 24 + 512 + 12 + 256, 24 + 28 + 192), DISC, 2));
    assert_true(near(pixel(&out, 24 + 256, 24 + 28 + 384 + 12 + 28 + 192), CUP, 2));
    assert_int_equal(pixel(&out, 24 + 10, 24 + 28 + 384 + 12 + 28 + 10), 0); /* background of a mask */
    assert_int_equal(pixel(&out, 2, 2), 0xFFFFFF);
    const int text_x = 24 + 2 * 512 + 12 + 24;
    assert_true(count_in(&out, 0x1A1F26, text_x, out.width) > 100);
    assert_int_equal(count_in(&out, PHOTO, text_x - 12, out.width), 0);
    fv_image_free(&out);

    assert_int_equal(fv_report_panel(in_folder("panel1.png"), &s.photo, &one, s.predicted, NULL, NULL, 0), FV_OK);
    read_back("panel1.png", &out);
    assert_int_equal(out.width, 2 * 24 + 3 * 512 + 2 * 12); /* photograph, vessel, overlay; no text */
    assert_int_equal(out.height, 2 * 24 + 28 + 384);
    assert_true(count_all(&out, VESSEL) > 1000);
    fv_image_free(&out);
    scene_free(&s);
}

static fv_chart chart_of(const char *title, const fv_series *series, int count) {
    return (fv_chart){title, "epoch", NULL, count, series, 1, NAN, NAN, -1};
}

static void test_curves_have_gaps_at_infinite_values_only(void **state) {
    (void)state;
    /* Level values: x of value i in a single chart is 88 + i * 1240 / 4. */
    const double whole[5] = {1, 1, 1, 1, 1}, broken[5] = {1, 1, INFINITY, NAN, 1}, sparse[5] = {1, 1, NAN, NAN, 1};
    const double *const values[3] = {whole, broken, sparse};
    int counts[3];
    for (int i = 0; i < 3; i++) {
        const fv_series series = {"mean", DISC, values[i]};
        const fv_chart chart = chart_of("Dice", &series, 5);
        fv_image out;
        assert_int_equal(fv_report_curves(in_folder("curves.png"), "run", &chart, 1), FV_OK);
        read_back("curves.png", &out);
        assert_int_equal(out.width, 1360);
        assert_int_equal(out.height, 24 + 40 + 380 + 24);
        counts[i] = count_in(&out, DISC, 88 + 330, 88 + 1220);
        fv_image_free(&out);
    }
    assert_true(counts[0] > 900);
    assert_true(counts[1] < 60);  /* nothing but the legend's stroke lies between the second value and the last */
    assert_true(counts[2] > 900); /* what was not measured is passed over */
}

static void test_curves_of_one_epoch_and_of_none_known(void **state) {
    (void)state;
    const double one_value[1] = {0.5}, none[2] = {NAN, NAN}, huge[2] = {1e300, -1e300};
    const fv_series series[3] = {{"a", CUP, one_value}, {"b", CUP, none}, {NULL, CUP, huge}};
    fv_chart charts[3] = {chart_of("One", &series[0], 1), chart_of("None", &series[1], 2),
                          chart_of(NULL, &series[2], 2)};
    charts[0].best = 0;
    charts[1].best = 7; /* outside: no mark */
    fv_image out;
    assert_int_equal(fv_report_curves(in_folder("one.png"), NULL, charts, 3), FV_OK);
    read_back("one.png", &out);
    assert_int_equal(out.height, 24 + 2 * (380 + 24)); /* three charts in two columns */
    assert_true(count_in(&out, CUP, 300, 420) > 15);   /* the one point, in the middle */
    fv_image_free(&out);
}

static void test_curves_mark_the_best_epoch(void **state) {
    (void)state;
    const double values[9] = {1, 2, 3, 4, 5, 4, 3, 2, 1};
    const fv_series series = {"loss", CUP, values};
    fv_chart chart = chart_of("Loss", &series, 9);
    int grey[2];
    for (int i = 0; i < 2; i++) {
        chart.best = i ? 3 : -1;
        fv_image out;
        assert_int_equal(fv_report_curves(in_folder("best.png"), NULL, &chart, 1), FV_OK);
        read_back("best.png", &out);
        const int x = 24 + 64 + 3 * 1240 / 8;
        grey[i] = count_in(&out, 0x5B6470, x - 1, x + 2);
        fv_image_free(&out);
    }
    assert_true(grey[1] > grey[0] + 100);
}

static void test_epoch_has_a_row_for_each_sample(void **state) {
    (void)state;
    scene s;
    scene_make(&s, 488, 400);
    const fv_report_sample samples[2] = {{"first \xff\xc3", "disc 0.97", &s.photo, &s.photo, s.truth, s.predicted},
                                         {NULL, NULL, &s.photo, NULL, NULL, s.predicted}};
    const double values[3] = {0.2, 0.5, 0.7};
    const fv_series series = {"disc", DISC, values};
    const fv_chart chart = chart_of("Dice", &series, 3);
    fv_image out;
    assert_int_equal(fv_report_epoch(in_folder("epoch.png"), "Epoch 3", &two, samples, 2, &chart, 1), FV_OK);
    read_back("epoch.png", &out);
    const int first = 24 + 44 + 26 + 24, second = first + 200 + 12 + 24, step = 244 + 12;
    assert_int_equal(out.width, 2 * 24 + 7 * step - 12);
    assert_int_equal(out.height, second + 200 + 2 * 12 + 330 + 12);
    assert_int_equal(pixel(&out, 24 + 122, first + 100), PHOTO);
    assert_int_equal(pixel(&out, 24 + step + 122, first + 100), PHOTO);            /* the input */
    assert_int_equal(pixel(&out, 24 + step + 122, second + 100), 0xFFFFFF);        /* no input */
    assert_true(near(pixel(&out, 24 + 2 * step + 122, first + 100), 0xFFFFFF, 2)); /* true disc */
    assert_true(near(pixel(&out, 24 + 3 * step + 122, first + 100), DISC, 2));
    assert_true(near(pixel(&out, 24 + 5 * step + 122, first + 100), CUP, 2));
    assert_true(near(pixel(&out, 24 + 2 * step + 10, second + 10), 0xF2F4F6, 2)); /* unknown */
    fv_image_free(&out);

    assert_int_equal(fv_report_epoch(in_folder("epoch1.png"), NULL, &one, &samples[1], 1, NULL, 0), FV_OK);
    read_back("epoch1.png", &out);
    assert_int_equal(out.width, 2 * 24 + 4 * step - 12);
    assert_int_equal(out.height, first + 200 + 2 * 12 + 12);
    fv_image_free(&out);
    scene_free(&s);
}

static void test_worst_enlarges_the_masks(void **state) {
    (void)state;
    scene s;
    scene_make(&s, 1600, 1200);
    const fv_report_sample samples[2] = {{"eye", "disc 0.9", &s.photo, NULL, s.truth, s.predicted},
                                         {"blind", NULL, &s.photo, NULL, NULL, s.predicted}};
    fv_image out;
    assert_int_equal(fv_report_worst(in_folder("worst.png"), "Worst 2", &two, samples, 2), FV_OK);
    read_back("worst.png", &out);
    const int top = 24 + 44 + 26 + 26, step = 320 + 12;
    assert_int_equal(out.width, 2 * 24 + 4 * step - 12);
    assert_int_equal(out.height, 24 + 44 + 26 + 2 * (26 + 320 + 12) + 12);
    /* The truth's disc is 180 px of a 252 px crop: its contour lies at 160 -+ 114 px of the third cell. */
    int red = 0;
    for (int x = 24 + 2 * step + 160 + 110; x < 24 + 2 * step + 160 + 118; x++)
        red += near(pixel(&out, x, top + 160), TRUTH, 60);
    assert_in_range(red, 1, 4);
    assert_true(count_in(&out, DISC, 24 + 3 * step, 24 + 3 * step + 320) > 400);
    assert_int_equal(count_in(&out, DISC, 24 + step, 24 + 3 * step - 12), 0);
    fv_image_free(&out);
    scene_free(&s);
}

static void test_sheet_lays_out_columns(void **state) {
    (void)state;
    scene s;
    scene_make(&s, 512, 400);
    const fv_image images[3] = {s.photo, s.predicted[0], s.photo};
    const char *const captions[3] = {"a", NULL,
                                     "a very long caption that can't be drawn into two hundred and fifty-six px"};
    fv_image out;
    assert_int_equal(fv_report_sheet(in_folder("sheet.png"), images, 3, 2, captions), FV_OK);
    read_back("sheet.png", &out);
    assert_int_equal(out.width, 2 * 24 + 2 * 256 + 12);
    assert_int_equal(out.height, 2 * 24 + 2 * (200 + 24) + 12);
    assert_int_equal(pixel(&out, 24 + 128, 24 + 100), PHOTO);
    assert_int_equal(pixel(&out, 24 + 256 + 12 + 128, 24 + 100), 0xFFFFFF); /* the mask's disc */
    assert_int_equal(pixel(&out, 24 + 256 + 12 + 5, 24 + 5), 0);
    assert_int_equal(pixel(&out, 24 + 256 + 12 + 128, 24 + 236 + 100), 0xFFFFFF); /* no fourth image */
    fv_image_free(&out);
    assert_int_equal(fv_report_sheet(in_folder("sheet.png"), images, 1, 9, NULL), FV_OK);
    read_back("sheet.png", &out);
    assert_int_equal(out.width, 2 * 24 + 256);
    fv_image_free(&out);
    scene_free(&s);
}

static void expect_error(fv_status status, const char *part) {
    assert_int_equal(status, FV_BAD_INPUT);
    if (!strstr(fv_error(), part)) fail_msg("\"%s\" does not say \"%s\"", fv_error(), part);
}

static void test_nothing_to_draw_is_said(void **state) {
    (void)state;
    scene s;
    scene_make(&s, 100, 100);
    const fv_report_sample sample = {"x", NULL, &s.photo, NULL, NULL, s.predicted};
    const int before = files_in(folder);
    expect_error(fv_report_epoch(in_folder("no.png"), "", &two, &sample, 0, NULL, 0), "no samples to draw");
    expect_error(fv_report_worst(in_folder("no.png"), "", &two, &sample, 0), "no samples to draw");
    expect_error(fv_report_sheet(in_folder("no.png"), &s.photo, 0, 2, NULL), "no images to draw");
    expect_error(fv_report_sheet(in_folder("no.png"), &s.photo, 1, 0, NULL), "0 columns");
    expect_error(fv_report_curves(in_folder("no.png"), NULL, NULL, 0), "no charts to draw");
    const fv_series series = {"a", 0, NULL};
    const fv_chart chart = chart_of("Dice", &series, 0);
    expect_error(fv_report_curves(in_folder("no.png"), NULL, &chart, 1), "chart \"Dice\" has no values");
    expect_error(fv_report_epoch(in_folder("no.png"), "", &two, &sample, 1, &chart, 1), "chart \"Dice\" has no values");
    assert_int_equal(files_in(folder), before);
    scene_free(&s);
}

static void test_wrong_input_is_said(void **state) {
    (void)state;
    scene s;
    scene_make(&s, 100, 100);
    fv_image empty = {0}, out;
    const fv_report_classes none = {0, disc_and_cup};
    fv_image wrong[2] = {s.predicted[0], s.photo};
    expect_error(fv_report_overlay_image(&empty, &two, s.predicted, NULL, &out), "is empty");
    assert_null(out.data);
    expect_error(fv_report_overlay_image(&s.photo, &none, s.predicted, NULL, &out), "0 classes");
    expect_error(fv_report_overlay_image(&s.photo, &two, NULL, NULL, &out), "no predicted masks");
    expect_error(fv_report_overlay_image(&s.photo, &two, wrong, NULL, &out),
                 "mask of \"cup\" is 100 x 100 px with 3 channels");
    const fv_report_sample sample = {"eye 7", NULL, &s.photo, NULL, wrong, s.predicted};
    expect_error(fv_report_worst(in_folder("no.png"), "", &two, &sample, 1), "sample 1 (eye 7)");
    const double x[3] = {1, 2, 2}, y[3] = {0, 0, 0};
    const fv_series series = {"a", 0, y};
    const fv_chart chart = {"Dice", NULL, x, 3, &series, 1, NAN, NAN, -1};
    expect_error(fv_report_curves(in_folder("no.png"), NULL, &chart, 1), "increasing");
    fv_image *many = calloc(500, sizeof *many);
    assert_non_null(many);
    for (int i = 0; i < 500; i++) many[i] = s.photo;
    expect_error(fv_report_sheet(in_folder("no.png"), many, 500, 500, NULL), "each side must lie in 1..32767");
    free(many);
    scene_free(&s);
}

static void test_unwritable_path_leaves_nothing(void **state) {
    (void)state;
    scene s;
    scene_make(&s, 100, 100);
    const double values[2] = {1, 2};
    const fv_series series = {"a", CUP, values};
    const fv_chart chart = chart_of("Dice", &series, 2);
    const int before = files_in(folder);
    expect_error(fv_report_curves(in_folder("missing/curves.png"), NULL, &chart, 1), "missing/curves.png");
    expect_error(fv_report_overlay(in_folder("missing/o.png"), &s.photo, &two, s.predicted, NULL), "missing/o.png");
    expect_error(fv_report_panel(in_folder("missing/p.png"), &s.photo, &two, s.predicted, NULL, NULL, 0),
                 "missing/p.png");
    assert_int_equal(files_in(folder), before);
    assert_int_equal(fv_report_overlay(in_folder("o.png"), &s.photo, &two, s.predicted, NULL), FV_OK);
    assert_int_equal(files_in(folder), before + 1);
    scene_free(&s);
}

/* fontconfig keeps three patterns (1 kB) a process, however many pictures are drawn; our own leaks are still reported.
 */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libfontconfig";
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_class_colours_are_fixed),
        cmocka_unit_test(test_overlay_draws_contours_where_the_masks_end),
        cmocka_unit_test(test_overlay_contour_grows_with_the_photograph),
        cmocka_unit_test(test_overlay_takes_masks_of_another_size),
        cmocka_unit_test(test_thin_structures_are_filled),
        cmocka_unit_test(test_contours_of_holes_and_borders),
        cmocka_unit_test(test_panel_shows_photo_masks_and_text),
        cmocka_unit_test(test_curves_have_gaps_at_infinite_values_only),
        cmocka_unit_test(test_curves_of_one_epoch_and_of_none_known),
        cmocka_unit_test(test_curves_mark_the_best_epoch),
        cmocka_unit_test(test_epoch_has_a_row_for_each_sample),
        cmocka_unit_test(test_worst_enlarges_the_masks),
        cmocka_unit_test(test_sheet_lays_out_columns),
        cmocka_unit_test(test_nothing_to_draw_is_said),
        cmocka_unit_test(test_wrong_input_is_said),
        cmocka_unit_test(test_unwritable_path_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
