/* Zip archives in memory, through libzip. */
#ifndef SRC_EXCHANGE_ZIP_ARCHIVE_H
#define SRC_EXCHANGE_ZIP_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <zip.h>

#include "fovea/base/status.h"

typedef struct fv_zip {
    zip_t *archive;
    const char *path; /* for messages */
    zip_int64_t count;
    size_t file_bytes;
} fv_zip;

/* The data must outlive the archive. FV_BAD_INPUT with a sentence for a damaged or cut off archive. */
fv_status fv_zip_open(const void *data, size_t bytes, const char *path, fv_zip *zip);
void fv_zip_close(fv_zip *zip); /* accepts a zeroed struct */
/* Name of entry i, NULL when it has none. */
const char *fv_zip_name(const fv_zip *zip, zip_int64_t i);
/* Index of the named entry, -1 when there is none. */
zip_int64_t fv_zip_find(const fv_zip *zip, const char *name);
/* Bytes that entry i claims to have, unpacked; 0 when it does not say. */
size_t fv_zip_bytes(const fv_zip *zip, zip_int64_t i);
/* Reads an entry whole (free()), checksum included. Entries may be stored or deflated, not encrypted, and no larger
   than `limit`; one that claims more than deflate can pack into the file is refused before memory is asked for. */
fv_status fv_zip_read(const fv_zip *zip, zip_int64_t i, size_t limit, void **data, size_t *bytes);

#endif
