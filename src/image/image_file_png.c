/* The chunks of a PNG file (ISO/IEC 15948). */
#include "image_format.h"

#include <libdeflate.h>
#include <string.h>

#define SIGNATURE_BYTES 8
#define CHUNK_FRAME_BYTES 12 /* length, type, CRC */
#define IHDR_END (SIGNATURE_BYTES + CHUNK_FRAME_BYTES + 13)

static bool is_intact(const uint8_t *type, size_t content_bytes) {
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    return true; /* a fuzzer can't guess check sums, and what it finds behind them matters */
#endif
    return libdeflate_crc32(0, type, 4 + content_bytes) == fv_be32(type + 4 + content_bytes);
}

static bool matches_png(const fv_image_source *source) {
    return source->bytes >= SIGNATURE_BYTES && memcmp(source->data, "\x89PNG\r\n\x1A\n", SIGNATURE_BYTES) == 0;
}

static fv_status read_png_header(const fv_image_source *source, fv_image_header *header) {
    if (source->bytes < IHDR_END) return fv_fail_truncated(source, "PNG");
    const uint8_t *chunk = source->data + SIGNATURE_BYTES;
    if (memcmp(chunk, "\0\0\0\x0DIHDR", 8) != 0) return fv_fail_damaged(source, "PNG", "it does not begin with IHDR");
    if (!is_intact(chunk + 4, 13)) return fv_fail_damaged(source, "PNG", "check sum of IHDR");
    *header = (fv_image_header){fv_be32(chunk + 8), fv_be32(chunk + 12), 1};
    return FV_OK;
}

/* stb_image ignores check sums; all chunks that the pixels depend on (capital first letter) have theirs compared here.
 */
static fv_status check_chunks(const fv_image_source *source) {
    size_t at = SIGNATURE_BYTES;
    while (source->bytes - at >= CHUNK_FRAME_BYTES) {
        const uint8_t *chunk = source->data + at;
        size_t length = fv_be32(chunk);
        if (length > source->bytes - at - CHUNK_FRAME_BYTES) return fv_fail_truncated(source, "PNG");
        bool is_critical = (chunk[4] & 0x20) == 0;
        if (is_critical && !is_intact(chunk + 4, length)) return fv_fail_damaged(source, "PNG", "check sum of a chunk");
        if (memcmp(chunk + 4, "IEND", 4) == 0) return FV_OK;
        at += CHUNK_FRAME_BYTES + length;
    }
    return fv_fail_truncated(source, "PNG");
}

static fv_status decode_png(const fv_image_source *source, const fv_image_header *header, fv_image *image) {
    FV_TRY(check_chunks(source));
    if (fv_png_is_plain(source) && fv_png_decode_plain(source, header, image)) return FV_OK;
    bool deep = source->data[SIGNATURE_BYTES + 16] == 16; /* bits per sample */
    return fv_stb_decode(source, header, "PNG", deep, image);
}

const fv_image_format fv_image_png = {"PNG", matches_png, read_png_header, decode_png};
