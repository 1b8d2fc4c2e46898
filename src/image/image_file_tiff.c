/* The first page of a TIFF file, by libtiff. Grey and RGB of 8 and 16 bits are read strip by strip or tile by tile;
   every other kind (palette, 1 bit, YCbCr, CMYK, ...) goes through libtiff's conversion to 8-bit RGBA. */
#include "image_format.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tiffio.h>

#include "fovea/base/memory.h"

#define RGBA_BYTES 4
/* Of a strip or tile: the largest picture with four samples of 16 bits. */
#define UNIT_BYTES_MAX ((size_t)FV_IMAGE_MAX_PIXELS * 8)

typedef struct tiff_reader {
    const fv_image_source *source;
    size_t at;
    char complaint[200]; /* libtiff's first, "" when it had none */
} tiff_reader;

typedef struct tiff_layout {
    uint32_t width, height;
    uint16_t bits, samples, photometric, planar, sample_format, orientation;
    uint32_t unit_width, unit_height; /* px of a strip or tile */
    bool tiled;
} tiff_layout;

static tmsize_t read_bytes(thandle_t handle, void *out, tmsize_t count) {
    tiff_reader *reader = handle;
    if (reader->at >= reader->source->bytes) return 0;
    size_t left = reader->source->bytes - reader->at;
    size_t taken = (size_t)count < left ? (size_t)count : left;
    memcpy(out, reader->source->data + reader->at, taken);
    reader->at += taken;
    return (tmsize_t)taken;
}

static tmsize_t refuse_write(thandle_t handle, void *data, tmsize_t count) {
    (void)handle, (void)data, (void)count;
    return 0;
}

static toff_t seek_to(thandle_t handle, toff_t offset, int whence) {
    tiff_reader *reader = handle;
    toff_t base = whence == SEEK_CUR ? reader->at : whence == SEEK_END ? reader->source->bytes : 0;
    reader->at = (size_t)(base + offset);
    return reader->at;
}

static int close_nothing(thandle_t handle) {
    (void)handle;
    return 0;
}

static toff_t size_of_file(thandle_t handle) {
    const tiff_reader *reader = handle;
    return reader->source->bytes;
}

/* Results other than 0 keep libtiff from telling its global handler, which prints. */
static int keep_complaint(TIFF *tiff, void *data, const char *module, const char *format, va_list arguments) {
    (void)tiff, (void)module;
    tiff_reader *reader = data;
    if (reader->complaint[0] == '\0') vsnprintf(reader->complaint, sizeof reader->complaint, format, arguments);
    return 1;
}

static int ignore_warning(TIFF *tiff, void *data, const char *module, const char *format, va_list arguments) {
    (void)tiff, (void)data, (void)module, (void)format, (void)arguments;
    return 1;
}

static fv_status fail_tiff(const tiff_reader *reader, const char *otherwise) {
    return fv_fail_damaged(reader->source, "TIFF", reader->complaint[0] ? reader->complaint : otherwise);
}

/* `reader` must live as long as the result. */
static fv_status open_tiff(tiff_reader *reader, TIFF **tiff) {
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (options == NULL) return fv_fail_memory("reading a TIFF image", 0);
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, (tmsize_t)UNIT_BYTES_MAX);
    TIFFOpenOptionsSetErrorHandlerExtR(options, keep_complaint, reader);
    TIFFOpenOptionsSetWarningHandlerExtR(options, ignore_warning, reader);
    /* m: no memory mapping; the bytes are in memory already */
    *tiff = TIFFClientOpenExt(reader->source->name, "rm", reader, read_bytes, refuse_write, seek_to, close_nothing,
                              size_of_file, NULL, NULL, options);
    TIFFOpenOptionsFree(options);
    return *tiff ? FV_OK : fail_tiff(reader, "no first page");
}

static tiff_layout read_layout(TIFF *tiff) {
    tiff_layout layout = {0};
    TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &layout.width);
    TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &layout.height);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &layout.bits);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &layout.samples);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_PLANARCONFIG, &layout.planar);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLEFORMAT, &layout.sample_format);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_ORIENTATION, &layout.orientation);
    if (!TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &layout.photometric)) layout.photometric = UINT16_MAX;
    layout.tiled = TIFFIsTiled(tiff) != 0;
    if (layout.tiled) {
        TIFFGetField(tiff, TIFFTAG_TILEWIDTH, &layout.unit_width);
        TIFFGetField(tiff, TIFFTAG_TILELENGTH, &layout.unit_height);
    } else {
        layout.unit_width = layout.width;
        TIFFGetFieldDefaulted(tiff, TIFFTAG_ROWSPERSTRIP, &layout.unit_height);
        if (layout.unit_height > layout.height) layout.unit_height = layout.height;
    }
    return layout;
}

static bool is_grey(const tiff_layout *layout) {
    return layout->photometric == PHOTOMETRIC_MINISBLACK || layout->photometric == PHOTOMETRIC_MINISWHITE;
}

static bool is_plain(const tiff_layout *layout) {
    bool known =
        (is_grey(layout) && layout->samples >= 1) || (layout->photometric == PHOTOMETRIC_RGB && layout->samples >= 3);
    return known && (layout->bits == 8 || layout->bits == 16) && layout->sample_format == SAMPLEFORMAT_UINT;
}

/* Copies `count` pixels of a decoded strip or tile; `stored` samples a pixel, of which `kept` go to every `step`-th
 * byte. */
static void copy_samples(const uint8_t *from, int count, int stored, int kept, const tiff_layout *layout, int step,
                         uint8_t *to) {
    uint8_t flip = layout->photometric == PHOTOMETRIC_MINISWHITE ? 0xFF : 0;
    const uint16_t *wide = (const void *)from; /* libtiff gives the machine's byte order; buffers are aligned */
    for (int i = 0; i < count; i++)
        for (int c = 0; c < kept; c++) {
            int at = i * stored + c;
            to[i * step + c] = (uint8_t)((layout->bits == 16 ? fv_sample_8_of_16(wide[at]) : from[at]) ^ flip);
        }
}

typedef struct tiff_unit {
    uint8_t *buffer;
    tmsize_t bytes;
    int stored, kept; /* samples of a pixel in the buffer, and how many of them the image takes */
} tiff_unit;

/* Decodes the strip or tile with the upper left pixel (x, y) and copies what lies inside the image. */
static bool read_unit(TIFF *tiff, const tiff_layout *layout, const tiff_unit *unit, uint32_t x, uint32_t y,
                      uint16_t plane, fv_image *image) {
    uint32_t columns = layout->width - x < layout->unit_width ? layout->width - x : layout->unit_width;
    uint32_t rows = layout->height - y < layout->unit_height ? layout->height - y : layout->unit_height;
    size_t pitch = (size_t)layout->unit_width * (size_t)unit->stored * (layout->bits / 8);
    tmsize_t got = layout->tiled
                       ? TIFFReadEncodedTile(tiff, TIFFComputeTile(tiff, x, y, 0, plane), unit->buffer, unit->bytes)
                       : TIFFReadEncodedStrip(tiff, TIFFComputeStrip(tiff, y, plane), unit->buffer, unit->bytes);
    if (got < 0 || (size_t)got < rows * pitch) return false;
    for (uint32_t row = 0; row < rows; row++) {
        size_t pixel = (size_t)(y + row) * layout->width + x;
        copy_samples(unit->buffer + row * pitch, (int)columns, unit->stored, unit->kept, layout, image->channels,
                     image->data + pixel * (size_t)image->channels + plane);
    }
    return true;
}

static fv_status read_units(TIFF *tiff, const tiff_reader *reader, const tiff_layout *layout, const tiff_unit *unit,
                            int planes, fv_image *image) {
    for (int plane = 0; plane < planes; plane++)
        for (uint32_t y = 0; y < layout->height; y += layout->unit_height)
            for (uint32_t x = 0; x < layout->width; x += layout->unit_width)
                if (!read_unit(tiff, layout, unit, x, y, (uint16_t)plane, image))
                    return fail_tiff(reader, "a strip or tile is too short");
    return FV_OK;
}

static fv_status read_plain(TIFF *tiff, const tiff_reader *reader, const tiff_layout *layout, fv_image *image) {
    bool separate = layout->planar == PLANARCONFIG_SEPARATE;
    int channels = is_grey(layout) ? 1 : 3;
    tiff_unit unit = {.stored = separate ? 1 : layout->samples, .kept = separate ? 1 : channels};
    size_t pixels = fv_size_multiply(layout->unit_width, layout->unit_height);
    size_t bytes = fv_size_multiply(pixels, (size_t)unit.stored * (layout->bits / 8));
    if (pixels < 1 || bytes > UNIT_BYTES_MAX)
        return fv_fail_damaged(reader->source, "TIFF", "impossible size of strips or tiles");
    unit.bytes = (tmsize_t)bytes;
    FV_TRY(fv_image_make((int)layout->width, (int)layout->height, channels, image));
    unit.buffer = fv_allocate(bytes, 1, "a strip or tile of a TIFF image");
    if (unit.buffer == NULL) return FV_NO_RESOURCE;
    fv_status status = read_units(tiff, reader, layout, &unit, separate ? channels : 1, image);
    free(unit.buffer);
    return status;
}

static fv_status convert_rgba(TIFF *tiff, const tiff_reader *reader, const tiff_layout *layout, uint32_t *raster,
                              fv_image *image) {
    /* Asking for the orientation that the file has leaves the rows as they are stored. */
    if (!TIFFReadRGBAImageOriented(tiff, layout->width, layout->height, raster, layout->orientation, 1))
        return fail_tiff(reader, "its pixels can't be decoded");
    FV_TRY(fv_image_make((int)layout->width, (int)layout->height, is_grey(layout) ? 1 : 3, image));
    size_t count = (size_t)layout->width * layout->height, channels = (size_t)image->channels;
    for (size_t i = 0; i < count; i++) {
        uint8_t rgb[3] = {TIFFGetR(raster[i]), TIFFGetG(raster[i]), TIFFGetB(raster[i])};
        memcpy(image->data + i * channels, rgb, channels);
    }
    return FV_OK;
}

static fv_status read_rgba(TIFF *tiff, const tiff_reader *reader, const tiff_layout *layout, fv_image *image) {
    char reason[1024] = "";
    if (!TIFFRGBAImageOK(tiff, reason)) return fv_fail_damaged(reader->source, "TIFF", reason);
    uint32_t *raster = fv_allocate((size_t)layout->width * layout->height, RGBA_BYTES, "decoding a TIFF image");
    if (raster == NULL) return FV_NO_RESOURCE;
    fv_status status = convert_rgba(tiff, reader, layout, raster, image);
    free(raster);
    return status;
}

static bool matches_tiff(const fv_image_source *source) {
    static const char *const signatures[] = {"II*\0", "MM\0*", "II+\0", "MM\0+"}; /* + is BigTIFF */
    for (size_t i = 0; i < sizeof signatures / sizeof *signatures; i++)
        if (source->bytes >= 4 && memcmp(source->data, signatures[i], 4) == 0) return true;
    return false;
}

static fv_status read_tiff_header(const fv_image_source *source, fv_image_header *header) {
    tiff_reader reader = {.source = source};
    TIFF *tiff = NULL;
    FV_TRY(open_tiff(&reader, &tiff));
    tiff_layout layout = read_layout(tiff);
    TIFFClose(tiff);
    *header = (fv_image_header){layout.width, layout.height, layout.orientation};
    return FV_OK;
}

static fv_status decode_tiff(const fv_image_source *source, const fv_image_header *header, fv_image *image) {
    (void)header; /* the same numbers stand in the layout */
    *image = (fv_image){0};
    tiff_reader reader = {.source = source};
    TIFF *tiff = NULL;
    FV_TRY(open_tiff(&reader, &tiff));
    tiff_layout layout = read_layout(tiff);
    fv_status status =
        is_plain(&layout) ? read_plain(tiff, &reader, &layout, image) : read_rgba(tiff, &reader, &layout, image);
    TIFFClose(tiff);
    if (status != FV_OK) fv_image_free(image);
    return status;
}

const fv_image_format fv_image_tiff = {"TIFF", matches_tiff, read_tiff_header, decode_tiff};
