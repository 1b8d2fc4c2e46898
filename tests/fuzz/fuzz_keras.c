/* libFuzzer: no bytes may break the reader of Keras's HDF5 files. The input is a whole file, or changes to a good one
   that is made here.

   libhdf5 runs in a process of its own because it does break down. So a finding is what fovea's code did in that
   process, or what reaches this one. What went well there is done once more here, where the fuzzer sees which code it
   reaches. */
#include <hdf5.h>
#include <sanitizer/asan_interface.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "../../src/exchange/readers.h"
#include "fuzz_foreign.h"

#define HDF5_MAGIC "\211HDF\r\n\032\n"
#define LIBRARY_CODE 66 /* exit code of a child in which libhdf5 did wrong */
#define MEMORY_CODE 71  /* libFuzzer's, for one that asked for gigabytes: libhdf5 does for damaged chunks */

static uint8_t *good;
static size_t good_size;
static pid_t fuzzer;

/* Whether a stack's first function, or the one that called it where the first is the sanitizer's, is the library's. */
static bool is_library(const char *stack) {
    for (int i = 0; i < 2; i++) {
        char number[16], line[256];
        snprintf(number, sizeof number, "    #%d ", i);
        const char *frame = strstr(stack, number);
        snprintf(line, sizeof line, "%.*s", frame ? (int)(strcspn(frame, "\n") % sizeof line) : 0, frame ? frame : "");
        if (strstr(line, "libhdf5") || strstr(line, "libz.so")) return true;
    }
    return false;
}

/* In a child the library's fault when it was at work: where it writes or reads too far, whose block it meets says
   nothing. A buffer of ours that is too short for it is met in this process, which has no such excuse. */
static void on_report(const char *report) {
    if (getpid() != fuzzer && is_library(report)) _exit(LIBRARY_CODE);
}

/* A child that ended with another code than the library's was stopped by a sanitizer over code of ours. */
static void try_file(const void *data, size_t size) {
    static const char broke[] = "broke down over it (";
    fv_foreign file = {.path = "fuzz"};
    fv_fail(FV_OK, "no complaint");
    fuzz_foreign(data, size);
    const char *how = strstr(fv_error(), broke);
    int code = how && strncmp(how + strlen(broke), "code ", 5) == 0 ? atoi(how + strlen(broke) + 5) : LIBRARY_CODE;
    if (code != LIBRARY_CODE && code != MEMORY_CODE) {
        fprintf(stderr, "the child: %s\n", fv_error());
        abort();
    }
    if (how || memcmp(data, HDF5_MAGIC, 8) != 0) return;
    fv_keras_read_here(data, size, &file);
    fv_foreign_free(&file);
}

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
    fuzzer = getpid();
    __asan_set_error_report_callback(on_report);
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
    if (size > 8 && memcmp(data, HDF5_MAGIC, 8) == 0) {
        try_file(data, size);
        return 0;
    }
    uint8_t *changed = fuzz_changed(good, good_size, data, size);
    try_file(changed, good_size);
    free(changed);
    return 0;
}
