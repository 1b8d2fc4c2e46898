#include "keras_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"

#define NAMES_LIMIT 100000
#define MOST_DEFLATE 1040 /* bytes that one deflated byte can stand for */

/* ---- files and links ---- */

fv_status fv_keras_open(const void *data, size_t bytes, const char *path, hid_t *file) {
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* our sentence instead of its stack */
    *file = -1;
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    /* The driver of files in memory opens nothing on disk; it wants a name that no file has. */
    bool set = access >= 0 && H5Pset_fapl_core(access, (size_t)1 << 20, 0) >= 0 &&
               H5Pset_file_image(access, (void *)data, bytes) >= 0;
    if (set) *file = H5Fopen("/dev/null/memory.h5", H5F_ACC_RDONLY, access);
    if (access >= 0) H5Pclose(access);
    if (*file >= 0) return FV_OK;
    return fv_fail(FV_BAD_INPUT, "%s: the HDF5 file is damaged or cut off; copy or download it again", path);
}

static bool is_plain_link(hid_t from, const char *name) {
    H5L_info_t about;
    return H5Lexists(from, name, H5P_DEFAULT) > 0 && H5Lget_info(from, name, &about, H5P_DEFAULT) >= 0 &&
           about.type == H5L_TYPE_HARD;
}

bool fv_keras_has(hid_t from, const char *name) {
    return is_plain_link(from, name);
}

/* Opens what lies at a path, link by link. */
static fv_status open_path(hid_t from, const char *name, const char *path, hid_t *object) {
    char part[FV_FOREIGN_NAME_MAX];
    hid_t here = -1;
    for (const char *at = name; *at;) {
        size_t length = strcspn(at, "/");
        bool good = length > 0 && length < sizeof part;
        if (good) snprintf(part, sizeof part, "%.*s", (int)length, at);
        hid_t parent = here >= 0 ? here : from;
        good = good && is_plain_link(parent, part);
        hid_t next = good ? H5Oopen(parent, part, H5P_DEFAULT) : -1;
        if (here >= 0) H5Oclose(here);
        here = next;
        if (here < 0)
            return fv_fail(FV_BAD_INPUT,
                           "%s: \"%.100s\" is missing, damaged, or a soft or external link, which are not followed",
                           path, name);
        at += length + strspn(at + length, "/");
    }
    *object = here;
    if (here >= 0) return FV_OK;
    return fv_fail(FV_BAD_INPUT, "%s: a layer or weight has no name; the file is damaged", path);
}

static fv_status open_kind(hid_t from, const char *name, const char *path, H5I_type_t kind, const char *what,
                           hid_t *object) {
    FV_TRY(open_path(from, name, path, object));
    if (H5Iget_type(*object) == kind) return FV_OK;
    H5Oclose(*object);
    return fv_fail(FV_BAD_INPUT, "%s: \"%.100s\" is no %s", path, name, what);
}

fv_status fv_keras_group(hid_t from, const char *name, const char *path, hid_t *group) {
    return open_kind(from, name, path, H5I_GROUP, "group", group);
}

/* ---- attributes ---- */

void fv_keras_names_free(fv_keras_names *names) {
    for (int i = 0; i < names->count; i++) free(names->list[i]);
    free(names->list);
    *names = (fv_keras_names){0};
}

static fv_status names_reserve(fv_keras_names *names, size_t more, const char *path) {
    if (more > NAMES_LIMIT || (size_t)names->count + more > NAMES_LIMIT)
        return fv_fail(FV_BAD_INPUT, "%s: a list of names has more than %d; the file is damaged", path, NAMES_LIMIT);
    size_t bytes = ((size_t)names->count + more + 1) * sizeof *names->list;
    char **larger = realloc(names->list, bytes);
    if (!larger) return fv_fail_memory("a list of names", bytes);
    names->list = larger;
    return FV_OK;
}

static fv_status names_add(fv_keras_names *names, const char *text, size_t most) {
    char *copy = strndup(text, most);
    if (!copy) return fv_fail_memory("a name", most);
    names->list[names->count++] = copy;
    return FV_OK;
}

/* Texts of a fixed length, one behind the other: numpy's "S26". */
static fv_status read_fixed(hid_t attribute, hid_t type, size_t count, const char *path, fv_keras_names *names) {
    size_t length = H5Tget_size(type), bytes = fv_size_multiply(count, length);
    if (length == 0 || bytes > (size_t)64 << 20)
        return fv_fail(FV_BAD_INPUT, "%s: a list of names is longer than 64 MiB; the file is damaged", path);
    char *texts = fv_allocate(count, length, "a list of names");
    if (!texts) return FV_NO_RESOURCE;
    fv_status status = FV_OK;
    if (H5Aread(attribute, type, texts) < 0)
        status = fv_fail(FV_BAD_INPUT, "%s: a list of names can't be read; the file is damaged", path);
    for (size_t i = 0; status == FV_OK && i < count; i++) status = names_add(names, texts + i * length, length);
    free(texts);
    return status;
}

/* Texts of any length, which libhdf5 allocates. */
static fv_status read_variable(hid_t attribute, hid_t in_file, hid_t space, size_t count, const char *path,
                               fv_keras_names *names) {
    char **texts = fv_allocate(count, sizeof *texts, "a list of names");
    if (!texts) return FV_NO_RESOURCE;
    fv_status status = FV_OK;
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5Tget_cset(in_file)); /* ASCII or UTF-8: libhdf5 does not convert */
    if (H5Aread(attribute, type, texts) < 0)
        status = fv_fail(FV_BAD_INPUT, "%s: a list of names can't be read; the file is damaged", path);
    for (size_t i = 0; status == FV_OK && i < count; i++)
        status = names_add(names, texts[i] ? texts[i] : "", FV_FOREIGN_NAME_MAX);
    H5Dvlen_reclaim(type, space, H5P_DEFAULT, texts);
    H5Tclose(type);
    free(texts);
    return status;
}

static fv_status read_open_attribute(hid_t attribute, const char *name, const char *path, fv_keras_names *names) {
    hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
    hssize_t count = space >= 0 ? H5Sget_simple_extent_npoints(space) : -1;
    fv_status status = FV_OK;
    if (type < 0 || count < 0)
        status = fv_fail(FV_BAD_INPUT, "%s: the attribute %s is damaged", path, name);
    else if (count > 0 && H5Tget_class(type) != H5T_STRING)
        status = fv_fail(FV_BAD_INPUT, "%s: the attribute %s is no list of texts", path, name);
    if (status == FV_OK && count > 0) status = names_reserve(names, (size_t)count, path);
    if (status == FV_OK && count > 0)
        status = H5Tis_variable_str(type) > 0 ? read_variable(attribute, type, space, (size_t)count, path, names)
                                              : read_fixed(attribute, type, (size_t)count, path, names);
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    return status;
}

static fv_status read_attribute(hid_t group, const char *name, const char *path, fv_keras_names *names) {
    hid_t attribute = H5Aopen(group, name, H5P_DEFAULT);
    if (attribute < 0) return fv_fail(FV_BAD_INPUT, "%s: the attribute %s is damaged", path, name);
    fv_status status = read_open_attribute(attribute, name, path, names);
    H5Aclose(attribute);
    return status;
}

fv_status fv_keras_attribute(hid_t group, const char *name, const char *path, fv_keras_names *names) {
    fv_status status = FV_OK;
    *names = (fv_keras_names){0};
    if (H5Aexists(group, name) > 0) {
        status = read_attribute(group, name, path, names);
    } else {
        char part[64];
        int i = 0;
        for (; status == FV_OK; i++) {
            snprintf(part, sizeof part, "%s%d", name, i);
            if (H5Aexists(group, part) <= 0) break;
            status = read_attribute(group, part, path, names);
        }
        if (status == FV_OK && i == 0)
            status = fv_fail(FV_BAD_INPUT,
                             "%s has no attribute %s: this is no file that Keras saved in its .h5 format; load it in "
                             "Keras and save it with model.save(\"model.h5\")",
                             path, name);
    }
    if (status != FV_OK) fv_keras_names_free(names);
    return status;
}

/* ---- data sets ---- */

static fv_status refuse(const char *path, const char *name, const char *what) {
    return fv_fail(FV_BAD_INPUT, "%s: weight \"%.100s\" %s", path, name, what);
}

/* Where the numbers lie and how they are packed. */
static fv_status check_storage(hid_t settings, const char *path, const char *name) {
    H5D_layout_t layout = H5Pget_layout(settings);
    if (layout != H5D_CONTIGUOUS && layout != H5D_CHUNKED && layout != H5D_COMPACT)
        return refuse(path, name, "is put together from other data sets, which are not followed");
    if (H5Pget_external_count(settings) != 0)
        return refuse(path, name, "lies in another file, which is not opened; save it in one file");
    int filters = H5Pget_nfilters(settings);
    for (int i = 0; i < filters; i++) {
        unsigned flags, config;
        size_t values = 0;
        H5Z_filter_t filter = H5Pget_filter2(settings, (unsigned)i, &flags, &values, NULL, 0, NULL, &config);
        if (filter != H5Z_FILTER_DEFLATE && filter != H5Z_FILTER_SHUFFLE && filter != H5Z_FILTER_FLETCHER32)
            return refuse(path, name, "is packed by a filter other than gzip and shuffle; save it without");
    }
    return filters >= 0 && filters <= 8 ? FV_OK : refuse(path, name, "has damaged filters");
}

/* Numbers that were never written are made up by HDF5, as many as a file likes to claim. */
static fv_status check_size(hid_t dataset, hid_t settings, size_t count, size_t number_bytes, const char *path,
                            const char *name) {
    size_t stored = (size_t)H5Dget_storage_size(dataset), bytes = fv_size_multiply(count, number_bytes);
    size_t most = H5Pget_nfilters(settings) > 0 ? fv_size_multiply(stored, MOST_DEFLATE) : stored;
    if (bytes <= most) return FV_OK;
    return fv_fail(FV_BAD_INPUT,
                   "%s: weight \"%.100s\" claims %zu bytes of numbers, but %zu are stored; the file is damaged", path,
                   name, bytes, stored);
}

static fv_status take_shape(hid_t dataset, const char *path, const char *name, int *dims,
                            int64_t shape[FV_FOREIGN_MAX_DIMS], size_t *count) {
    hid_t space = H5Dget_space(dataset);
    hsize_t sizes[H5S_MAX_RANK] = {0};
    *dims =
        space >= 0 && H5Sget_simple_extent_type(space) != H5S_NULL ? H5Sget_simple_extent_dims(space, sizes, NULL) : -1;
    if (space >= 0) H5Sclose(space);
    if (*dims < 0 || *dims > FV_FOREIGN_MAX_DIMS) return refuse(path, name, "has no shape of at most 8 sizes");
    *count = 1;
    for (int i = 0; i < *dims; i++) {
        if (sizes[i] > INT64_MAX) return refuse(path, name, "has a size beyond all bounds");
        shape[i] = (int64_t)sizes[i];
        *count = fv_size_multiply(*count, (size_t)sizes[i]);
    }
    return FV_OK;
}

/* float16, 32 or 64, in either byte order, whatever the exponent's place: libhdf5 converts to float32. */
static fv_status check_type(hid_t type, const char *path, const char *name, size_t *bytes, bool *whole) {
    H5T_class_t kind = H5Tget_class(type);
    *bytes = H5Tget_size(type);
    *whole = kind == H5T_INTEGER;
    if (*whole || (kind == H5T_FLOAT && (*bytes == 2 || *bytes == 4 || *bytes == 8))) return FV_OK;
    return refuse(path, name, "holds no floating point numbers of 16, 32 or 64 bits");
}

static fv_status read_numbers(hid_t dataset, hid_t type, hid_t settings, const char *prefix, const char *name,
                              fv_foreign *file) {
    char full[2 * FV_FOREIGN_NAME_MAX];
    int64_t shape[FV_FOREIGN_MAX_DIMS];
    size_t bytes, count = 0;
    int dims;
    bool whole;
    fv_foreign_tensor *tensor;
    FV_TRY(check_type(type, file->path, name, &bytes, &whole));
    if (whole) {
        file->passed++;
        return FV_OK;
    }
    FV_TRY(check_storage(settings, file->path, name));
    FV_TRY(take_shape(dataset, file->path, name, &dims, shape, &count));
    FV_TRY(check_size(dataset, settings, count, bytes, file->path, name));
    snprintf(full, sizeof full, "%s/%s", prefix, name);
    FV_TRY(fv_foreign_add(file, full, dims, shape, &tensor));
    if (count == 0 || H5Dread(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, tensor->values) >= 0)
        return FV_OK;
    return refuse(file->path, name, "can't be read; the file is damaged or cut off");
}

fv_status fv_keras_dataset(hid_t group, const char *prefix, const char *name, fv_foreign *file) {
    hid_t dataset;
    FV_TRY(open_kind(group, name, file->path, H5I_DATASET, "data set", &dataset));
    hid_t type = H5Dget_type(dataset), settings = H5Dget_create_plist(dataset);
    fv_status status = type >= 0 && settings >= 0 ? read_numbers(dataset, type, settings, prefix, name, file)
                                                  : refuse(file->path, name, "is damaged");
    if (settings >= 0) H5Pclose(settings);
    if (type >= 0) H5Tclose(type);
    H5Oclose(dataset);
    return status;
}
