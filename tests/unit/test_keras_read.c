/* Keras's HDF5 files, written here through libhdf5: orders, forms of names, and everything that is not let through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "foreign_samples.h"
#include "fovea/base/file.h"
#include "temporary.h"

/* ---- writing ---- */

static hid_t create(const char *name) {
    hid_t file = H5Fcreate(temporary_path(name), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(file >= 0);
    return file;
}

typedef enum text_form { FIXED, VARIABLE, VARIABLE_UTF8 } text_form;

/* A list of texts as an attribute: of 24 bytes each as numpy's, or of any length. */
static void write_names(hid_t object, const char *attribute, int count, const char *const *names, text_form form) {
    hsize_t size = (hsize_t)count;
    hid_t space = H5Screate_simple(1, &size, NULL), type = H5Tcopy(H5T_C_S1);
    char fixed[16][24] = {{0}};
    for (int i = 0; i < count; i++) snprintf(fixed[i], sizeof fixed[i], "%s", names[i]);
    H5Tset_size(type, form != FIXED ? H5T_VARIABLE : sizeof fixed[0]);
    H5Tset_cset(type, form == VARIABLE_UTF8 ? H5T_CSET_UTF8 : H5T_CSET_ASCII);
    hid_t a = H5Acreate2(object, attribute, type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (count) assert_true(H5Awrite(a, type, form != FIXED ? (const void *)names : (const void *)fixed) >= 0);
    H5Aclose(a);
    H5Tclose(type);
    H5Sclose(space);
}

/* A data set of 2 x 3 numbers that begin with `first`, made as `settings` say. */
static void write_numbers(hid_t group, const char *name, hid_t type, float first, hid_t settings) {
    const hsize_t sizes[2] = {2, 3};
    const float numbers[6] = {first, 1, 2, 3, 4, 5};
    hid_t space = H5Screate_simple(2, sizes, NULL), links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    hid_t set = H5Dcreate2(group, name, type, space, links, settings, H5P_DEFAULT);
    assert_true(set >= 0 && H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, numbers) >= 0);
    H5Dclose(set);
    H5Pclose(links);
    H5Sclose(space);
}

static hid_t add_layer(hid_t root, const char *layer, int count, const char *const *weights) {
    hid_t group = H5Gcreate2(root, layer, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(group >= 0);
    write_names(group, "weight_names", count, weights, FIXED);
    return group;
}

static const char *const one_layer[] = {"a"};
static const char *const one_weight[] = {"a/kernel:0"};

/* A file of one layer with one weight, which the caller writes into *group and closes with finish(). */
static hid_t begin(const char *name, hid_t *group) {
    hid_t file = create(name);
    write_names(file, "layer_names", 1, one_layer, FIXED);
    *group = add_layer(file, "a", 1, one_weight);
    return file;
}

static void finish(hid_t file, hid_t group) {
    H5Gclose(group);
    H5Fclose(file);
}

/* ---- reading ---- */

static fv_foreign parse_good(const char *name) {
    fv_foreign file;
    if (fv_foreign_read(temporary_path(name), &file) != FV_OK) fail_msg("%s", fv_error());
    assert_int_equal(file.kind, FV_FOREIGN_KERAS);
    return file;
}

static void expect_refused(const char *name, const char *text) {
    void *data;
    size_t bytes;
    assert_int_equal(fv_file_read(temporary_path(name), 1 << 24, &data, &bytes), FV_OK);
    sample_expect_refused(data, bytes, text, NULL);
    free(data);
}

/* Layers in the order of layer_names, not of links; empty layers, deeper names, a list in two parts, texts of any
   length in ASCII and UTF-8, model_weights. */
static void order_and_forms_of_names(void **state) {
    (void)state;
    static const char *const first[] = {"z", "input"}, *const second[] = {"b"};
    static const char *const z[] = {"z/inner/kernel:0", "z/bias:0"}, *const b[] = {"b/kernel"};
    hid_t file = create("whole.h5");
    hid_t root = H5Gcreate2(file, "model_weights", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    write_names(root, "layer_names0", 2, first, VARIABLE_UTF8);
    write_names(root, "layer_names1", 1, second, VARIABLE);
    hid_t layer = add_layer(root, "b", 1, b);
    write_numbers(layer, "b/kernel", H5T_IEEE_F64BE, 30, H5P_DEFAULT);
    H5Gclose(layer);
    layer = add_layer(root, "z", 2, z);
    write_numbers(layer, "z/inner/kernel:0", H5T_IEEE_F32LE, 10, H5P_DEFAULT);
    write_numbers(layer, "z/bias:0", H5T_IEEE_F32LE, 20, H5P_DEFAULT);
    H5Gclose(layer);
    H5Gclose(add_layer(root, "input", 0, z));
    H5Gclose(root);
    H5Fclose(file);
    fv_foreign read = parse_good("whole.h5");
    static const char *const names[] = {"z/z/inner/kernel:0", "z/z/bias:0", "b/b/kernel"};
    assert_int_equal(read.count, 3);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(read.list[i].name, names[i]);
        assert_true(read.list[i].values[0] == 10 * (float)(i + 1) && read.list[i].values[5] == 5);
        assert_true(read.list[i].dims == 2 && read.list[i].shape[0] == 2 && read.list[i].shape[1] == 3);
    }
    fv_foreign_free(&read);
}

static hid_t chunked(int shuffle, int gzip, H5Z_filter_t other) {
    const hsize_t chunk[2] = {1, 3};
    hid_t settings = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(settings, 2, chunk);
    if (shuffle) H5Pset_shuffle(settings);
    if (gzip) H5Pset_deflate(settings, 6);
    if (other) H5Pset_filter(settings, other, 0, 0, NULL);
    return settings;
}

static void packed_numbers(void **state) {
    (void)state;
    hid_t group, file = begin("packed.h5", &group), settings = chunked(1, 1, H5Z_FILTER_FLETCHER32);
    write_numbers(group, "a/kernel:0", H5T_IEEE_F32LE, 7, settings);
    finish(file, group);
    fv_foreign read = parse_good("packed.h5");
    assert_true(read.count == 1 && read.list[0].values[0] == 7 && read.list[0].values[5] == 5);
    fv_foreign_free(&read);
    H5Pclose(settings);
    file = begin("nbit.h5", &group);
    settings = chunked(0, 0, H5Z_FILTER_NBIT);
    write_numbers(group, "a/kernel:0", H5T_IEEE_F32LE, 7, settings);
    finish(file, group);
    H5Pclose(settings);
    expect_refused("nbit.h5", "a filter other than gzip and shuffle");
}

static void links_that_lead_away(void **state) {
    (void)state;
    hid_t group, file = begin("external.h5", &group);
    H5Lcreate_external("packed.h5", "/a", group, "a", H5P_DEFAULT, H5P_DEFAULT);
    finish(file, group);
    expect_refused("external.h5", "soft or external link, which are not followed");
    file = begin("soft.h5", &group);
    H5Lcreate_soft("/a", group, "a", H5P_DEFAULT, H5P_DEFAULT);
    finish(file, group);
    expect_refused("soft.h5", "soft or external link");
    file = begin("circle.h5", &group); /* a group that holds itself: as deep as the name says, and no deeper */
    H5Lcreate_hard(file, "/", group, "a", H5P_DEFAULT, H5P_DEFAULT);
    finish(file, group);
    expect_refused("circle.h5", "\"a/kernel:0\" is missing");
    file = begin("group.h5", &group);
    hid_t inner = H5Gcreate2(group, "a", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Gclose(H5Gcreate2(inner, "kernel:0", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Gclose(inner);
    finish(file, group);
    expect_refused("group.h5", "is no data set");
}

static void numbers_that_lie_elsewhere(void **state) {
    (void)state;
    hid_t group, file = begin("outside.h5", &group), settings = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_external(settings, temporary_path("outside.raw"), 0, 24);
    write_numbers(group, "a/kernel:0", H5T_IEEE_F32LE, 1, settings);
    finish(file, group);
    H5Pclose(settings);
    expect_refused("outside.h5", "lies in another file, which is not opened");
    const hsize_t sizes[2] = {2, 3};
    file = begin("virtual.h5", &group);
    settings = H5Pcreate(H5P_DATASET_CREATE);
    hid_t space = H5Screate_simple(2, sizes, NULL);
    H5Pset_virtual(settings, space, "packed.h5", "/a/a/kernel:0", space);
    H5Gclose(H5Gcreate2(group, "a", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Dclose(H5Dcreate2(group, "a/kernel:0", H5T_IEEE_F32LE, space, H5P_DEFAULT, settings, H5P_DEFAULT));
    H5Sclose(space);
    H5Pclose(settings);
    finish(file, group);
    expect_refused("virtual.h5", "put together from other data sets");
}

/* Numbers that nobody wrote: HDF5 would make up terabytes of zeros. */
static void claims_without_numbers(void **state) {
    (void)state;
    const hsize_t sizes[2] = {(hsize_t)1 << 40, 1 << 20}, chunk[2] = {1024, 1024};
    for (int packed = 0; packed < 2; packed++) {
        hid_t group, file = begin("claim.h5", &group), settings = H5Pcreate(H5P_DATASET_CREATE);
        H5Pset_chunk(settings, 2, chunk);
        if (packed) H5Pset_deflate(settings, 1);
        hid_t space = H5Screate_simple(2, sizes, NULL);
        H5Gclose(H5Gcreate2(group, "a", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
        H5Dclose(H5Dcreate2(group, "a/kernel:0", H5T_IEEE_F32LE, space, H5P_DEFAULT, settings, H5P_DEFAULT));
        H5Sclose(space);
        H5Pclose(settings);
        finish(file, group);
        expect_refused("claim.h5", "but 0 are stored");
    }
}

static void other_hdf5_files(void **state) {
    (void)state;
    hid_t file = create("plain.h5");
    H5Fclose(file);
    expect_refused("plain.h5", "has no attribute layer_names");
    file = create("numbers.h5");
    const hsize_t size = 2;
    hid_t space = H5Screate_simple(1, &size, NULL);
    H5Aclose(H5Acreate2(file, "layer_names", H5T_NATIVE_INT, space, H5P_DEFAULT, H5P_DEFAULT));
    H5Sclose(space);
    H5Fclose(file);
    expect_refused("numbers.h5", "layer_names is no list of texts");
    file = create("missing.h5");
    write_names(file, "layer_names", 1, one_layer, FIXED);
    H5Fclose(file);
    expect_refused("missing.h5", "\"a\" is missing");
    hid_t group;
    file = begin("text.h5", &group);
    hid_t text = H5Tcopy(H5T_C_S1), scalar = H5Screate(H5S_SCALAR);
    H5Gclose(H5Gcreate2(group, "a", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Dclose(H5Dcreate2(group, "a/kernel:0", text, scalar, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Sclose(scalar);
    H5Tclose(text);
    finish(file, group);
    expect_refused("text.h5", "no floating point numbers of 16, 32 or 64 bits");
}

static void damaged_files(void **state) {
    (void)state;
    hid_t group, file = begin("good.h5", &group);
    write_numbers(group, "a/kernel:0", H5T_IEEE_F32LE, 7, H5P_DEFAULT);
    finish(file, group);
    sample_bytes bytes = {0};
    void *data;
    assert_int_equal(fv_file_read(temporary_path("good.h5"), 1 << 24, &data, &bytes.count), FV_OK);
    bytes.data = data;
    sample_expect_cuts_refused(&bytes, 7);
    free(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_and_forms_of_names),
        cmocka_unit_test(packed_numbers),
        cmocka_unit_test(links_that_lead_away),
        cmocka_unit_test(numbers_that_lie_elsewhere),
        cmocka_unit_test(claims_without_numbers),
        cmocka_unit_test(other_hdf5_files),
        cmocka_unit_test(damaged_files),
    };
    return cmocka_run_group_tests(tests, temporary_setup, temporary_teardown);
}
