/* The first frame of a GIF file, by giflib. */
#include "image_format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gif_lib.h>

#define SCREEN_END 13 /* signature and logical screen descriptor */

typedef struct gif_reader {
    const fv_image_source *source;
    size_t at;
} gif_reader;

static int read_bytes(GifFileType *gif, GifByteType *out, int count) {
    gif_reader *reader = gif->UserData;
    size_t left = reader->source->bytes - reader->at;
    size_t taken = (size_t)count < left ? (size_t)count : left;
    memcpy(out, reader->source->data + reader->at, taken);
    reader->at += taken;
    return (int)taken;
}

static fv_status fail_gif(const gif_reader *reader, int code) {
    if (reader->at == reader->source->bytes) return fv_fail_truncated(reader->source, "GIF");
    const char *reason = GifErrorString(code);
    return fv_fail_damaged(reader->source, "GIF", reason ? reason : "unknown error");
}

static bool matches_gif(const fv_image_source *source) {
    return source->bytes >= 6 && (memcmp(source->data, "GIF87a", 6) == 0 || memcmp(source->data, "GIF89a", 6) == 0);
}

static fv_status read_gif_header(const fv_image_source *source, fv_image_header *header) {
    if (source->bytes < SCREEN_END) return fv_fail_truncated(source, "GIF");
    *header = (fv_image_header){fv_le16(source->data + 6), fv_le16(source->data + 8), 1};
    return FV_OK;
}

static int skip_extension(GifFileType *gif) {
    int code;
    GifByteType *block;
    int result = DGifGetExtension(gif, &code, &block);
    while (result == GIF_OK && block != NULL) result = DGifGetExtensionNext(gif, &block);
    return result;
}

/* Stops behind the descriptor of the first frame. */
static fv_status find_frame(GifFileType *gif, const gif_reader *reader) {
    for (;;) {
        GifRecordType type;
        if (DGifGetRecordType(gif, &type) != GIF_OK) return fail_gif(reader, gif->Error);
        if (type == TERMINATE_RECORD_TYPE) return fv_fail_damaged(reader->source, "GIF", "it holds no picture");
        bool is_frame = type == IMAGE_DESC_RECORD_TYPE;
        if ((is_frame ? DGifGetImageDesc(gif) : skip_extension(gif)) != GIF_OK) return fail_gif(reader, gif->Error);
        if (is_frame) return FV_OK;
    }
}

/* Row of the picture that comes as number `index` in the file: interlaced ones bring every 8th row first. */
static int row_of_line(int index, int height, bool interlaced) {
    static const int first[4] = {0, 4, 2, 1}, step[4] = {8, 8, 4, 2};
    if (!interlaced) return index;
    for (int pass = 0; pass < 4; pass++) {
        int rows = height > first[pass] ? (height - first[pass] + step[pass] - 1) / step[pass] : 0;
        if (index < rows) return first[pass] + index * step[pass];
        index -= rows;
    }
    return height - 1;
}

static void fill_background(const GifFileType *gif, fv_image *image) {
    const ColorMapObject *map = gif->SColorMap;
    if (map == NULL || gif->SBackGroundColor >= map->ColorCount) return;
    GifColorType color = map->Colors[gif->SBackGroundColor];
    size_t count = (size_t)image->width * (size_t)image->height;
    for (size_t i = 0; i < count; i++) memcpy(image->data + 3 * i, (uint8_t[]){color.Red, color.Green, color.Blue}, 3);
}

/* Unpacks the frame line by line into its place on the canvas. */
static fv_status read_lines(GifFileType *gif, const gif_reader *reader, GifPixelType *line, fv_image *image) {
    GifImageDesc frame = gif->Image;
    const ColorMapObject *map = frame.ColorMap ? frame.ColorMap : gif->SColorMap;
    for (int index = 0; index < frame.Height; index++) {
        if (DGifGetLine(gif, line, frame.Width) != GIF_OK) return fail_gif(reader, gif->Error);
        int y = frame.Top + row_of_line(index, frame.Height, frame.Interlace);
        uint8_t *out = image->data + 3 * ((size_t)y * (size_t)image->width + (size_t)frame.Left);
        for (int x = 0; x < frame.Width; x++) {
            if (line[x] >= map->ColorCount) return fv_fail_damaged(reader->source, "GIF", "color outside the palette");
            GifColorType color = map->Colors[line[x]];
            memcpy(out + 3 * x, (uint8_t[]){color.Red, color.Green, color.Blue}, 3);
        }
    }
    GifRecordType next; /* another frame, an extension or the end: without any of them the file was cut */
    return DGifGetRecordType(gif, &next) == GIF_OK ? FV_OK : fail_gif(reader, gif->Error);
}

static fv_status read_frame(GifFileType *gif, const gif_reader *reader, const fv_image_header *header,
                            fv_image *image) {
    FV_TRY(find_frame(gif, reader));
    GifImageDesc frame = gif->Image;
    if (frame.Width < 1 || frame.Height < 1 || frame.Left < 0 || frame.Top < 0 ||
        frame.Left + frame.Width > header->width || frame.Top + frame.Height > header->height)
        return fv_fail_damaged(reader->source, "GIF", "the first frame reaches beyond the canvas");
    if (frame.ColorMap == NULL && gif->SColorMap == NULL)
        return fv_fail_damaged(reader->source, "GIF", "it has no palette");
    FV_TRY(fv_image_make((int)header->width, (int)header->height, 3, image));
    fill_background(gif, image);
    GifPixelType *line = malloc((size_t)frame.Width * sizeof *line);
    fv_status status =
        line ? read_lines(gif, reader, line, image) : fv_fail_memory("a line of a GIF image", header->width);
    free(line);
    return status;
}

static fv_status decode_gif(const fv_image_source *source, const fv_image_header *header, fv_image *image) {
    gif_reader reader = {source, 0};
    int code = 0;
    *image = (fv_image){0};
    GifFileType *gif = DGifOpen(&reader, read_bytes, &code);
    if (gif == NULL) return fail_gif(&reader, code);
    fv_status status = read_frame(gif, &reader, header, image);
    DGifCloseFile(gif, &code);
    if (status != FV_OK) fv_image_free(image);
    return status;
}

const fv_image_format fv_image_gif = {"GIF", matches_gif, read_gif_header, decode_gif};
