/* The header of a BMP file (Microsoft's BITMAPFILEHEADER and BITMAPCOREHEADER / BITMAPINFOHEADER and its successors).
 */
#include "image_format.h"

#include <string.h>

#define FILE_HEADER_BYTES 14
#define CORE_HEADER_BYTES 12
#define INFO_HEADER_BYTES 40

static bool matches_bmp(const fv_image_source *source) {
    return source->bytes >= 2 && memcmp(source->data, "BM", 2) == 0;
}

static fv_status read_bmp_header(const fv_image_source *source, fv_image_header *header) {
    if (source->bytes < FILE_HEADER_BYTES + CORE_HEADER_BYTES) return fv_fail_truncated(source, "BMP");
    const uint8_t *info = source->data + FILE_HEADER_BYTES;
    size_t info_bytes = fv_le32(info);
    if (info_bytes != CORE_HEADER_BYTES && (info_bytes < INFO_HEADER_BYTES || info_bytes > 124))
        return fv_fail_damaged(source, "BMP", "unknown kind of header");
    if (source->bytes < FILE_HEADER_BYTES + info_bytes) return fv_fail_truncated(source, "BMP");
    if (info_bytes == CORE_HEADER_BYTES) {
        *header = (fv_image_header){fv_le16(info + 4), fv_le16(info + 6), 1};
        return FV_OK;
    }
    int64_t height = (int32_t)fv_le32(info + 8); /* below zero when the rows run from the top */
    *header = (fv_image_header){(int32_t)fv_le32(info + 4), height < 0 ? -height : height, 1};
    return FV_OK;
}

static fv_status decode_bmp(const fv_image_source *source, const fv_image_header *header, fv_image *image) {
    const uint8_t *info = source->data + FILE_HEADER_BYTES;
    bool is_core = fv_le32(info) == CORE_HEADER_BYTES;
    int64_t bits = fv_le16(info + (is_core ? 10 : 14));
    int64_t row = (header->width * bits + 31) / 32 * 4;
    int64_t pixels_at = fv_le32(source->data + 10);
    if (pixels_at + row * header->height > (int64_t)source->bytes) return fv_fail_truncated(source, "BMP");
    return fv_stb_decode(source, header, "BMP", false, image);
}

const fv_image_format fv_image_bmp = {"BMP", matches_bmp, read_bmp_header, decode_bmp};
