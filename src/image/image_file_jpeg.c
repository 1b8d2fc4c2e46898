/* The marker segments of a JPEG file (ITU-T T.81, annex B): whether it is whole, and which way up. libjpeg fills up
   what is missing of a file cut short. */
#include "image_format.h"

#include <string.h>

enum {
    MARKER_DHT = 0xC4,
    MARKER_RST0 = 0xD0,
    MARKER_JPG = 0xC8,
    MARKER_DAC = 0xCC,
    MARKER_RST7 = 0xD7,
    MARKER_SOI = 0xD8,
    MARKER_EOI = 0xD9,
    MARKER_SOS = 0xDA,
    MARKER_APP1 = 0xE1,
};

typedef struct jpeg_layout {
    bool has_frame, has_scan, is_complete; /* is_complete: the end marker was reached */
    int process;                           /* marker of the frame header: how the pixels are coded */
    int precision;                         /* bits */
    int width, height;
    int orientation;
} jpeg_layout;

static bool is_frame_marker(int marker) {
    return marker >= 0xC0 && marker <= 0xCF && marker != MARKER_DHT && marker != MARKER_JPG && marker != MARKER_DAC;
}

/* Markers that stand alone, and zero, which marks a 0xFF among the coded pixels. */
static bool has_no_segment(int marker) {
    return marker <= 0x01 || (marker >= MARKER_RST0 && marker <= MARKER_RST7) || marker == MARKER_SOI;
}

/* `content` is what stands behind the segment's length. */
static void note_segment(int marker, const uint8_t *content, size_t bytes, jpeg_layout *layout) {
    if (is_frame_marker(marker) && !layout->has_frame && bytes >= 6) {
        layout->has_frame = true;
        layout->process = marker;
        layout->precision = content[0];
        layout->height = (int)fv_be16(content + 1);
        layout->width = (int)fv_be16(content + 3);
    }
    if (marker == MARKER_APP1 && layout->orientation == 0 && bytes > 6 && memcmp(content, "Exif\0\0", 6) == 0)
        layout->orientation = fv_exif_orientation(content, bytes);
    if (marker == MARKER_SOS) layout->has_scan = true;
}

/* Walks to the end marker, or to where the file ends before it. Segments are stepped over as a whole, so that the end
   marker of a thumbnail inside one does not count. */
static jpeg_layout read_layout(const fv_image_source *source) {
    jpeg_layout layout = {0};
    const uint8_t *at = source->data + 2, *end = source->data + source->bytes;
    while (at < end && (at = memchr(at, 0xFF, (size_t)(end - at))) != NULL) {
        while (at < end && *at == 0xFF) at++;
        if (at == end) break;
        int marker = *at++;
        if (has_no_segment(marker)) continue;
        if (marker == MARKER_EOI) {
            layout.is_complete = true;
            break;
        }
        if (end - at < 2) break;
        size_t length = fv_be16(at);
        if (length < 2 || length > (size_t)(end - at)) break;
        note_segment(marker, at + 2, length - 2, &layout);
        at += length;
    }
    return layout;
}

static bool matches_jpeg(const fv_image_source *source) {
    return source->bytes >= 3 && memcmp(source->data, "\xFF\xD8\xFF", 3) == 0;
}

static fv_status check_frame(const fv_image_source *source, const jpeg_layout *layout) {
    if (!layout->has_frame && !layout->is_complete) return fv_fail_truncated(source, "JPEG");
    if (!layout->has_frame) return fv_fail_damaged(source, "JPEG", "no frame header");
    if (layout->process > 0xC2) return fv_fail_damaged(source, "JPEG", "lossless or arithmetic coding");
    if (layout->precision != 8) return fv_fail_damaged(source, "JPEG", "not 8 bits per sample");
    return FV_OK;
}

static fv_status read_jpeg_header(const fv_image_source *source, fv_image_header *header) {
    jpeg_layout layout = read_layout(source);
    FV_TRY(check_frame(source, &layout));
    *header = (fv_image_header){layout.width, layout.height, layout.orientation};
    return FV_OK;
}

static fv_status decode_jpeg(const fv_image_source *source, const fv_image_header *header, fv_image *image) {
    jpeg_layout layout = read_layout(source);
    if (!layout.is_complete) return fv_fail_truncated(source, "JPEG");
    if (!layout.has_scan) return fv_fail_damaged(source, "JPEG", "it holds no pixels");
    return fv_jpeg_decode(source, header, image);
}

const fv_image_format fv_image_jpeg = {"JPEG", matches_jpeg, read_jpeg_header, decode_jpeg};
