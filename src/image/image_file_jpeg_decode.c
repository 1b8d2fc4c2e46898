/* JPEG pixels by libjpeg(-turbo), with its exact integer transform and smooth upsampling of the colours. */
#include "image_format.h"

#include <setjmp.h>
#include <stdio.h>

#include <jerror.h>
#include <jpeglib.h>

enum { MOST_SCANS = 500 }; /* a progressive file may hold thousands of empty ones, each a walk over all blocks */

typedef struct decoder {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf failed;
    int code; /* of the message that ended it */
    char reason[JMSG_LENGTH_MAX];
    const fv_image_source *source;
    fv_image *image;
    uint8_t *row; /* of a CMYK picture */
} decoder;

/* libjpeg's way out of an error; it must not return. */
static void leave(j_common_ptr jpeg) {
    decoder *d = jpeg->client_data;
    d->code = jpeg->err->msg_code;
    jpeg->err->format_message(jpeg, d->reason);
    longjmp(d->failed, 1);
}

/* Notes about damaged pixels, which libjpeg would replace by grey ones, end the decoding; those about harmless
   oddities do not. */
static void judge_message(j_common_ptr jpeg, int level) {
    if (level >= 0) return;
    switch (jpeg->err->msg_code) {
    case JWRN_ADOBE_XFORM:
    case JWRN_EXTRANEOUS_DATA:
    case JWRN_JFIF_MAJOR:
    case JWRN_TOO_MUCH_DATA:
        return;
    default:
        leave(jpeg);
    }
}

static void keep_silent(j_common_ptr jpeg) {
    (void)jpeg;
}

static void count_scans(j_common_ptr jpeg) {
    decoder *d = jpeg->client_data;
    if (d->jpeg.input_scan_number <= MOST_SCANS) return;
    snprintf(d->reason, sizeof d->reason, "more than %d scans", MOST_SCANS);
    longjmp(d->failed, 1);
}

/* Inks are stored inverted by Adobe's programs, and as they are by others. Times black, as stb_image and browsers show
 * it without a colour profile. */
static void rgb_from_cmyk(const uint8_t *cmyk, int width, bool inverted, uint8_t *rgb) {
    const unsigned flip = inverted ? 0 : 255;
    for (int x = 0; x < width; x++, cmyk += 4, rgb += 3) {
        for (int c = 0; c < 3; c++) rgb[c] = (uint8_t)(((cmyk[c] ^ flip) * (cmyk[3] ^ flip) + 127) / 255);
    }
}

static J_COLOR_SPACE wanted_space(const struct jpeg_decompress_struct *jpeg) {
    if (jpeg->num_components == 1) return JCS_GRAYSCALE;
    return jpeg->num_components == 4 ? JCS_CMYK : JCS_RGB;
}

static void read_rows(decoder *d) {
    struct jpeg_decompress_struct *jpeg = &d->jpeg;
    size_t stride = (size_t)d->image->width * (size_t)d->image->channels;
    while (jpeg->output_scanline < jpeg->output_height) {
        JSAMPROW out = d->image->data + jpeg->output_scanline * stride, row = d->row ? d->row : out;
        jpeg_read_scanlines(jpeg, &row, 1);
        if (d->row) rgb_from_cmyk(d->row, d->image->width, jpeg->saw_Adobe_marker, out);
    }
}

/* Everything that can jump out. */
static fv_status read_pixels(decoder *d, const fv_image_header *header) {
    struct jpeg_decompress_struct *jpeg = &d->jpeg;
    jpeg_create_decompress(jpeg);
    jpeg->progress = &d->progress;
    jpeg_mem_src(jpeg, d->source->data, (unsigned long)d->source->bytes);
    jpeg_read_header(jpeg, TRUE);
    if (jpeg->image_width != header->width || jpeg->image_height != header->height)
        return fv_fail_damaged(d->source, "JPEG", "it states two different sizes");
    if (jpeg->num_components == 2) return fv_fail_damaged(d->source, "JPEG", "two colours");
    jpeg->out_color_space = wanted_space(jpeg);
    jpeg->dct_method = JDCT_ISLOW;
    jpeg_start_decompress(jpeg);
    FV_TRY(fv_image_make_unset((int)header->width, (int)header->height, jpeg->num_components == 1 ? 1 : 3, d->image));
    if (jpeg->num_components == 4)
        d->row = jpeg->mem->alloc_large((j_common_ptr)jpeg, JPOOL_IMAGE, 4 * (size_t)header->width);
    read_rows(d);
    jpeg_finish_decompress(jpeg);
    return FV_OK;
}

static fv_status fail_of(const decoder *d) {
    if (d->code == JERR_OUT_OF_MEMORY) return fv_fail_memory("decoding an image", d->source->bytes);
    return fv_fail_damaged(d->source, "JPEG", d->reason);
}

/* libjpeg's errors come back here by longjmp(); what it changes lives in the caller's decoder. */
static fv_status read_or_fail(decoder *d, const fv_image_header *header) {
    if (setjmp(d->failed) == 0) return read_pixels(d, header);
    return fail_of(d);
}

fv_status fv_jpeg_decode(const fv_image_source *source, const fv_image_header *header, fv_image *image) {
    *image = (fv_image){0};
    decoder d = {.source = source, .image = image};
    d.jpeg.err = jpeg_std_error(&d.errors);
    d.jpeg.client_data = &d;
    d.errors.error_exit = leave;
    d.errors.emit_message = judge_message;
    d.errors.output_message = keep_silent;
    d.progress.progress_monitor = count_scans;
    fv_status status = read_or_fail(&d, header);
    jpeg_destroy_decompress(&d.jpeg);
    if (status != FV_OK) fv_image_free(image);
    return status;
}
