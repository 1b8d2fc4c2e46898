/* The predictor: windows put together, flips, maps brought to the photograph. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/image/mask.h"
#include "fovea/infer/predict.h"

static fv_model_spec small_spec(void) {
    return (fv_model_spec){.network = "mobilenetv2_unet",
                           .width = 0.35,
                           .classes = 2,
                           .class_names = {"disc", "cup"},
                           .thresholds = {0.5, 0.5},
                           .preprocess = {.size = 64, .work_size = 128, .enhance = fv_enhance_standard()}};
}

static fv_model_spec window_spec(int tile) {
    return (fv_model_spec){
        .network = "unet",
        .width = 1,
        .base = 8,
        .classes = 1,
        .class_names = {"vessel"},
        .thresholds = {0.5},
        .preprocess = {
            .size = 64, .fit = FV_FIT_NATIVE, .windows = true, .tile = tile, .enhance = fv_enhance_standard()}};
}

static fv_model *make(const fv_model_spec *spec, uint64_t seed) {
    fv_model *model;
    if (fv_model_make(spec, seed, &model) != FV_OK) fail_msg("%s", fv_error());
    return model;
}

/* A probability map with one bright quarter, letterboxed: it lands on the right quarter of the photograph. */
static void masks_land_where_the_photograph_lies(void **state) {
    (void)state;
    fv_model_spec spec = small_spec();
    int size = spec.preprocess.size;
    float *values = calloc((size_t)(size * size * 2), sizeof *values);
    fv_frame frame;
    fv_image mask;
    assert_non_null(values);
    for (int y = 0; y < size; y++)
        for (int x = 0; x < size / 2; x++) values[(y * size + x) * 2 + 1] = 1;
    assert_int_equal(fv_preprocess_frame(&spec.preprocess, 400, 200, NULL, &frame), FV_OK);
    fv_mapping mapping = fv_frame_mapping(&frame, (double)size / spec.preprocess.work_size);
    fv_probability_map map = {values, size, size, 2, mapping};
    assert_int_equal(fv_predict_mask(&spec, &map, 1, 400, 200, &mask), FV_OK);
    assert_int_equal(mask.width, 400);
    assert_int_equal(mask.height, 200);
    assert_int_equal(mask.data[100 * 400 + 190], 255);
    assert_int_equal(mask.data[100 * 400 + 210], 0);
    assert_int_equal(mask.data[0], 255);
    fv_image_free(&mask);
    free(values);
}

/* The image seen in a mirror: left and right exchanged with `across`, top and bottom with `down`. */
static void mirror(const fv_image *from, bool across, bool down, fv_image *to) {
    assert_int_equal(fv_image_make(from->width, from->height, 3, to), FV_OK);
    for (int y = 0; y < to->height; y++)
        for (int x = 0; x < to->width; x++) {
            int source_x = across ? to->width - 1 - x : x, source_y = down ? to->height - 1 - y : y;
            memcpy(to->data + (y * to->width + x) * 3, from->data + (source_y * from->width + source_x) * 3, 3);
        }
}

/* Adds a quarter of the plain map of the mirrored image, mirrored back. */
static void add_quarter(fv_predictor *predictor, const fv_image *work, bool across, bool down, int size, double *mean) {
    fv_work seen = {.frame = {.target = {0, 0, 1, 1}, .source = {0, 0, 1, 1}}};
    fv_probability_map map;
    mirror(work, across, down, &seen.image);
    assert_int_equal(fv_predict_work(predictor, &seen, &map), FV_OK);
    for (int y = 0; y < size; y++)
        for (int x = 0; x < size; x++)
            for (int c = 0; c < 2; c++) {
                int source_x = across ? size - 1 - x : x, source_y = down ? size - 1 - y : y;
                mean[(y * size + x) * 2 + c] += map.data[(source_y * size + source_x) * 2 + c] / 4.0;
            }
    fv_work_free(&seen);
}

/* Untrained maps are nearly even: the last layer made steep, so that views differ. */
static void make_steep(fv_model *model) {
    const fv_params *p = &model->params;
    const fv_param *weight = &p->list[fv_params_find(p, "out.weight")], *bias = &p->list[fv_params_find(p, "out.bias")];
    for (size_t i = 0; i < weight->count; i++) p->values[weight->offset + i] *= 300;
    for (size_t i = 0; i < bias->count; i++) p->values[bias->offset + i] = 0;
}

static void flips_give_the_mean_of_four_views(void **state) {
    (void)state;
    fv_model_spec spec = small_spec();
    fv_model *model = make(&spec, 5);
    fv_predictor *predictor;
    fv_work work = {.frame = {.target = {0, 0, 1, 1}, .source = {0, 0, 1, 1}}};
    int size = spec.preprocess.size, side = spec.preprocess.work_size, count = size * size * 2;
    double *mean = calloc((size_t)count, sizeof *mean), furthest = 0, shift = 0;
    fv_probability_map map;
    assert_non_null(mean);
    assert_int_equal(fv_image_make(side, side, 3, &work.image), FV_OK);
    for (int i = 0; i < side * side * 3; i++) /* brighter to one corner, with some grain */
        work.image.data[i] = (uint8_t)((i % (side * 3) / 6 + i / (side * 3)) / 2 + i * 2654435761u % 97);
    make_steep(model);
    assert_int_equal(fv_predictor_make(model, &predictor), FV_OK);
    for (int view = 0; view < 4; view++) add_quarter(predictor, &work.image, view & 1, view & 2, size, mean);
    assert_int_equal(fv_predict_work(predictor, &work, &map), FV_OK);
    for (int i = 0; i < count; i++) shift = fmax(shift, fabs(map.data[i] - mean[i]));
    fv_predictor_set_flips(predictor, true);
    assert_int_equal(fv_predict_work(predictor, &work, &map), FV_OK);
    for (int i = 0; i < count; i++) furthest = fmax(furthest, fabs(map.data[i] - mean[i]));
    assert_true(furthest < 1e-5);
    assert_true(shift > 1e-3); /* one view alone is something else */
    fv_predictor_free(predictor);
    fv_work_free(&work);
    free(mean);
    fv_model_free(model);
}

/* A network out of a file is measured at each size that it runs at; this one has changed since it was. */
static void maps_of_another_size_are_refused(void **state) {
    (void)state;
    fv_model_spec spec = small_spec();
    fv_recipe *recipe = fv_recipe_make();
    const fv_recipe_param weight = {.name = "w", .shape = {1, 1, 3, 2}};
    const fv_recipe_step step = {
        .name = "c", .kind = FV_OP_conv2d, .inputs = 2, .in = {{FV_FROM_INPUT, 0}, {FV_FROM_PARAM, 0}}};
    fv_model *model;
    fv_predictor *predictor;
    assert_int_equal(fv_recipe_add_param(recipe, &weight), FV_OK);
    assert_int_equal(fv_recipe_add_step(recipe, &step), FV_OK);
    if (fv_model_make_recipe(&spec, recipe, &model) != FV_OK) fail_msg("%s", fv_error());
    recipe->steps[0].attributes.padding.bottom = 1;
    assert_int_equal(fv_predictor_make(model, &predictor), FV_BAD_INPUT);
    assert_null(predictor);
    assert_non_null(strstr(fv_error(), "the network gives 1x65x64x2, expected 1x64x64x2"));
    fv_model_free(model);
}

/* ---- windows ---- */

static fv_work grainy_work(int width, int height) {
    fv_work work = {.frame = {.source = {0, 0, width, height}, .target = {0, 0, width, height}}};
    work.frame.width = width;
    work.frame.height = height;
    assert_int_equal(fv_image_make(width, height, 3, &work.image), FV_OK);
    for (int i = 0; i < width * height * 3; i++) work.image.data[i] = (uint8_t)(60 + i * 2654435761u % 97);
    return work;
}

static void fill_param(fv_model *model, const char *name, float value) {
    const fv_param *param = &model->params.list[fv_params_find(&model->params, name)];
    for (size_t i = 0; i < param->count; i++) model->params.values[param->offset + i] = value;
}

/* A network that says 0.8 everywhere: the weights of overlapping windows add up to 1, whatever the image's size. */
static void weights_of_windows_add_up_to_1(void **state) {
    (void)state;
    static const int sizes[][2] = {{64, 64}, {65, 64}, {130, 97}, {31, 200}, {177, 64}};
    fv_model_spec spec = window_spec(64);
    fv_model *model = make(&spec, 3);
    fv_predictor *predictor;
    fill_param(model, "out.weight", 0);
    fill_param(model, "out.bias", logf(4));
    assert_int_equal(fv_predictor_make(model, &predictor), FV_OK);
    for (int s = 0; s < 5; s++) {
        fv_work work = grainy_work(sizes[s][0], sizes[s][1]);
        fv_probability_map map;
        assert_int_equal(fv_predict_work(predictor, &work, &map), FV_OK);
        assert_int_equal(map.width, sizes[s][0]);
        assert_int_equal(map.height, sizes[s][1]);
        for (int i = 0; i < map.width * map.height; i++) assert_float_equal(map.data[i], 0.8, 1e-5);
        fv_work_free(&work);
    }
    fv_predictor_free(predictor);
    fv_model_free(model);
}

/* The largest difference of two predictions of the same work image. */
static double furthest_apart(fv_model *model, const fv_work *work, size_t memory, const float *other, float *copy) {
    fv_predictor *predictor;
    fv_probability_map map;
    double furthest = 0;
    assert_int_equal(fv_predictor_make(model, &predictor), FV_OK);
    fv_predictor_set_memory(predictor, memory);
    assert_int_equal(fv_predict_work(predictor, work, &map), FV_OK);
    for (int i = 0; i < map.width * map.height; i++) {
        if (other) furthest = fmax(furthest, fabs(map.data[i] - other[i]));
        if (copy) copy[i] = map.data[i];
    }
    fv_predictor_free(predictor);
    return furthest;
}

static void one_piece_and_windows_nearly_agree(void **state) {
    (void)state;
    fv_model_spec spec = window_spec(0);
    fv_model *model = make(&spec, 4);
    fv_work work = grainy_work(240, 208);
    float *whole = calloc(240 * 208, sizeof *whole);
    assert_non_null(whole);
    furthest_apart(model, &work, 0, NULL, whole);
    assert_true(furthest_apart(model, &work, 0, whole, NULL) == 0); /* the same bits again */
    model->spec.preprocess.tile = 128;
    double apart = furthest_apart(model, &work, 0, whole, NULL);
    assert_true(apart > 0 && apart < 0.05); /* a window's rim sees less, and weighs less */
    model->spec.preprocess.tile = 0;
    double limited = furthest_apart(model, &work, 6 << 20, whole, NULL);
    assert_true(limited > 0 && limited < 0.1); /* the memory made windows of it */
    free(whole);
    fv_work_free(&work);
    fv_model_free(model);
}

static void too_little_memory_is_told(void **state) {
    (void)state;
    fv_model_spec spec = window_spec(0);
    fv_model *model = make(&spec, 4);
    fv_work work = grainy_work(240, 208);
    fv_predictor *predictor;
    fv_probability_map map;
    assert_int_equal(fv_predictor_make(model, &predictor), FV_OK);
    fv_predictor_set_memory(predictor, 1000);
    assert_int_equal(fv_predict_work(predictor, &work, &map), FV_NO_RESOURCE);
    assert_non_null(strstr(fv_error(), "more than the limit of 0.0 MiB"));
    fv_predictor_set_memory(predictor, 64 << 20);
    assert_int_equal(fv_predict_work(predictor, &work, &map), FV_OK);
    assert_true(fv_predictor_bytes(predictor) <= 64 << 20);
    fv_predictor_free(predictor);
    fv_work_free(&work);
    fv_model_free(model);
}

/* A photograph with a lit square in black: the network sees the square alone, and nothing is found outside it. */
static void nothing_is_found_outside_the_field(void **state) {
    (void)state;
    fv_model_spec spec = window_spec(64);
    fv_model *model = make(&spec, 3);
    fv_predictor *predictor;
    fv_probability_map map;
    fv_image photo, fov, mask;
    static float probability[150 * 120];
    fill_param(model, "out.weight", 0);
    fill_param(model, "out.bias", logf(4));
    assert_int_equal(fv_image_make(150, 120, 3, &photo), FV_OK);
    for (int y = 20; y < 110; y++)
        for (int x = 30; x < 140; x++) memset(photo.data + (y * 150 + x) * 3, 120, 3);
    assert_int_equal(fv_mask_from_image(&photo, 100, &fov), FV_OK);
    assert_int_equal(fv_predictor_make(model, &predictor), FV_OK);
    if (fv_predict_photo(predictor, &photo, &fov, &map) != FV_OK) fail_msg("%s", fv_error());
    assert_int_equal(map.width, 110);
    assert_int_equal(map.height, 90);
    fv_predictor_set_camera(predictor, 30); /* a native model does not ask for the angle */
    assert_int_equal(fv_predict_photo(predictor, &photo, &fov, &map), FV_OK);
    assert_int_equal(map.width, 110);
    model->spec.preprocess.fit = FV_FIT_FOV;
    model->spec.preprocess.fov_diameter = 165;
    model->spec.preprocess.fov_degrees = 45;
    assert_int_equal(fv_predict_photo(predictor, &photo, &fov, &map), FV_OK);
    assert_int_equal(map.width, 110);
    assert_int_equal(map.height, 90);
    fv_predictor_set_camera(predictor, NAN);
    assert_int_equal(fv_predict_photo(predictor, &photo, &fov, &map), FV_OK);
    assert_int_equal(map.width, 165);
    assert_int_equal(fv_predict_mask(&spec, &map, 0, 150, 120, &mask), FV_OK);
    assert_int_equal(fv_predict_probabilities(&map, 0, 150, 120, probability), FV_OK);
    for (int i = 0; i < 150 * 120; i++) {
        bool lit = photo.data[3 * i] > 0;
        assert_int_equal(mask.data[i], lit ? 255 : 0);
        assert_float_equal(probability[i], lit ? 0.8 : 0, 1e-5);
    }
    fv_image_free(&mask);
    fv_image_free(&fov);
    fv_image_free(&photo);
    fv_predictor_free(predictor);
    fv_model_free(model);
}

static void damaged_weights_are_told(void **state) {
    (void)state;
    fv_model_spec spec = window_spec(64);
    fv_model *model = make(&spec, 3);
    fv_predictor *predictor;
    fv_probability_map map;
    fv_work work = grainy_work(100, 80);
    fill_param(model, "out.bias", NAN);
    assert_int_equal(fv_predictor_make(model, &predictor), FV_OK);
    assert_int_equal(fv_predict_work(predictor, &work, &map), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "are not numbers"));
    fv_predictor_free(predictor);
    fv_work_free(&work);
    fv_model_free(model);
}

/* Two windows of 128 px hold 144 px; so do two of 96, which are all that is computed. */
static void windows_are_as_small_as_their_number_allows(void **state) {
    (void)state;
    fv_model_spec wide = window_spec(128), narrow = window_spec(96);
    fv_model *models[2] = {make(&wide, 4), make(&narrow, 4)};
    fv_work work = grainy_work(144, 96);
    float *first = calloc(144 * 96, sizeof *first);
    size_t bytes[2];
    assert_non_null(first);
    for (int i = 0; i < 2; i++) {
        fv_predictor *predictor;
        fv_probability_map map;
        assert_int_equal(fv_predictor_make(models[i], &predictor), FV_OK);
        assert_int_equal(fv_predict_work(predictor, &work, &map), FV_OK);
        bytes[i] = fv_predictor_bytes(predictor);
        if (i == 0) memcpy(first, map.data, 144 * 96 * sizeof *first);
        if (i == 1) assert_memory_equal(first, map.data, 144 * 96 * sizeof *first);
        fv_predictor_free(predictor);
        fv_model_free(models[i]);
    }
    assert_int_equal(bytes[0], bytes[1]);
    free(first);
    fv_work_free(&work);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_land_where_the_photograph_lies),
        cmocka_unit_test(flips_give_the_mean_of_four_views),
        cmocka_unit_test(maps_of_another_size_are_refused),
        cmocka_unit_test(weights_of_windows_add_up_to_1),
        cmocka_unit_test(one_piece_and_windows_nearly_agree),
        cmocka_unit_test(too_little_memory_is_told),
        cmocka_unit_test(nothing_is_found_outside_the_field),
        cmocka_unit_test(damaged_weights_are_told),
        cmocka_unit_test(windows_are_as_small_as_their_number_allows),
    };
    return cmocka_run_group_tests_name("predict", tests, NULL, NULL);
}
