#include "zip_archive.h"

#include <stdlib.h>

#include "fovea/base/memory.h"

#define MOST_DEFLATE 1040 /* bytes that one deflated byte can stand for: 258 bytes in two bits, and a little */

fv_status fv_zip_open(const void *data, size_t bytes, const char *path, fv_zip *zip) {
    zip_error_t error;
    *zip = (fv_zip){.path = path, .file_bytes = bytes};
    zip_error_init(&error);
    zip_source_t *source = zip_source_buffer_create(data, bytes, 0, &error);
    if (source) zip->archive = zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error);
    if (source && !zip->archive) zip_source_free(source);
    fv_status status = FV_OK;
    if (!zip->archive)
        status = fv_fail(FV_BAD_INPUT, "%s: the zip archive is damaged or cut off (%s); copy or download it again",
                         path, zip_error_strerror(&error));
    zip_error_fini(&error);
    if (status == FV_OK) zip->count = zip_get_num_entries(zip->archive, 0);
    return status;
}

void fv_zip_close(fv_zip *zip) {
    if (zip->archive) zip_discard(zip->archive);
    *zip = (fv_zip){0};
}

const char *fv_zip_name(const fv_zip *zip, zip_int64_t i) {
    return zip_get_name(zip->archive, (zip_uint64_t)i, 0);
}

zip_int64_t fv_zip_find(const fv_zip *zip, const char *name) {
    return zip_name_locate(zip->archive, name, 0);
}

size_t fv_zip_bytes(const fv_zip *zip, zip_int64_t i) {
    zip_stat_t about;
    bool known = zip_stat_index(zip->archive, (zip_uint64_t)i, 0, &about) == 0 && about.valid & ZIP_STAT_SIZE;
    return known ? about.size : 0;
}

static fv_status check_entry(const fv_zip *zip, const zip_stat_t *about, size_t limit) {
    const zip_uint64_t needed = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
    if ((about->valid & needed) != needed)
        return fv_fail(FV_BAD_INPUT, "%s: the zip archive does not say how large its entries are", zip->path);
    if (about->valid & ZIP_STAT_ENCRYPTION_METHOD && about->encryption_method != ZIP_EM_NONE)
        return fv_fail(FV_BAD_INPUT, "%s: entry %.100s is encrypted; unpack it first", zip->path, about->name);
    if (about->comp_method != ZIP_CM_STORE && about->comp_method != ZIP_CM_DEFLATE)
        return fv_fail(FV_BAD_INPUT, "%s: entry %.100s is packed by method %d; only deflate is read", zip->path,
                       about->name, about->comp_method);
    size_t most = about->comp_method == ZIP_CM_STORE ? 1 : MOST_DEFLATE;
    bool fits = about->comp_size <= zip->file_bytes && about->size <= fv_size_multiply(about->comp_size, most);
    if (!fits)
        return fv_fail(FV_BAD_INPUT,
                       "%s: entry %.100s claims %llu bytes, more than the file can hold; the file is damaged",
                       zip->path, about->name, (unsigned long long)about->size);
    if (about->size > limit)
        return fv_fail(FV_BAD_INPUT, "%s: entry %.100s has %llu bytes; at most %zu are read", zip->path, about->name,
                       (unsigned long long)about->size, limit);
    return FV_OK;
}

static fv_status read_entry(const fv_zip *zip, zip_int64_t i, const zip_stat_t *about, void *data) {
    zip_file_t *stream = zip_fopen_index(zip->archive, (zip_uint64_t)i, 0);
    zip_int64_t got = stream ? zip_fread(stream, data, about->size) : -1;
    char beyond; /* libzip compares the checksum when it meets the end */
    bool good = got >= 0 && (zip_uint64_t)got == about->size && zip_fread(stream, &beyond, 1) == 0;
    if (stream) zip_fclose(stream);
    if (good) return FV_OK;
    return fv_fail(FV_BAD_INPUT, "%s: entry %.100s can't be read whole or its checksum is wrong; the file is damaged",
                   zip->path, about->name);
}

fv_status fv_zip_read(const fv_zip *zip, zip_int64_t i, size_t limit, void **data, size_t *bytes) {
    zip_stat_t about;
    *data = NULL;
    *bytes = 0;
    if (zip_stat_index(zip->archive, (zip_uint64_t)i, 0, &about) != 0)
        return fv_fail(FV_BAD_INPUT, "%s: the zip archive is damaged (entry %lld)", zip->path, (long long)i);
    FV_TRY(check_entry(zip, &about, limit));
    *data = fv_allocate(1, about.size, "an entry of a zip archive");
    if (!*data) return FV_NO_RESOURCE;
    fv_status status = read_entry(zip, i, &about, *data);
    if (status != FV_OK) {
        free(*data);
        *data = NULL;
        return status;
    }
    *bytes = about.size;
    return FV_OK;
}
