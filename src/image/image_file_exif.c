#include "image_format.h"

#include <libexif/exif-data.h>

int fv_exif_orientation(const uint8_t *block, size_t bytes) {
    ExifData *exif = exif_data_new_from_data(block, (unsigned)bytes);
    if (exif == NULL) return 1;
    int orientation = 1;
    ExifEntry *entry = exif_content_get_entry(exif->ifd[EXIF_IFD_0], EXIF_TAG_ORIENTATION);
    if (entry != NULL && entry->format == EXIF_FORMAT_SHORT && entry->size >= 2)
        orientation = exif_get_short(entry->data, exif_data_get_byte_order(exif));
    exif_data_unref(exif);
    return orientation >= 1 && orientation <= 8 ? orientation : 1;
}
