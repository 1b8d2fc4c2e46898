/* libFuzzer: no bytes may break the reader of Keras's HDF5 files. The input is a whole file, or changes to a good one
   that is made here. */
#include <hdf5.h>

#include "fuzz_foreign.h"

static uint8_t *good;
static size_t good_size;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_names(hid_t object, const char *attribute, const char *names, size_t length, hsize_t count) {
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate_simple(1, &count, NULL);
    H5Tset_size(type, length);
    hid_t a = H5Acreate2(object, attribute, type, space, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(a, type, names);
    H5Aclose(a);
    H5Sclose(space);
    H5Tclose(type);
}

static void write_numbers(hid_t group, const char *name, int packed) {
    static const float numbers[12] = {1, 2, 3};
    const hsize_t sizes[2] = {3, 4}, chunk[2] = {2, 2};
    hid_t space = H5Screate_simple(2, sizes, NULL), settings = H5Pcreate(H5P_DATASET_CREATE);
    if (packed) {
        H5Pset_chunk(settings, 2, chunk);
        H5Pset_shuffle(settings);
        H5Pset_deflate(settings, 6);
    }
    hid_t set = H5Dcreate2(group, name, H5T_IEEE_F32LE, space, H5P_DEFAULT, settings, H5P_DEFAULT);
    H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, numbers);
    H5Dclose(set);
    H5Pclose(settings);
    H5Sclose(space);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fapl_core(access, 4096, 0);
    hid_t file = H5Fcreate("fuzz_keras_in_memory.h5", H5F_ACC_TRUNC, H5P_DEFAULT, access);
    write_names(file, "layer_names", "a\0b", 2, 2);
    hid_t group = H5Gcreate2(file, "a", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    write_names(group, "weight_names", "kernel:0\0bias:0\0\0", 9, 2);
    write_numbers(group, "kernel:0", 0);
    write_numbers(group, "bias:0", 1);
    H5Gclose(group);
    group = H5Gcreate2(file, "b", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    write_names(group, "weight_names", "x", 1, 0);
    H5Gclose(group);
    H5Fflush(file, H5F_SCOPE_GLOBAL);
    good_size = (size_t)H5Fget_file_image(file, NULL, 0);
    good = malloc(good_size);
    H5Fget_file_image(file, good, good_size);
    H5Fclose(file);
    H5Pclose(access);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 8 && memcmp(data, "\211HDF\r\n\032\n", 8) == 0) {
        fuzz_foreign(data, size);
        return 0;
    }
    uint8_t *changed = fuzz_changed(good, good_size, data, size);
    fuzz_foreign(changed, good_size);
    free(changed);
    return 0;
}
