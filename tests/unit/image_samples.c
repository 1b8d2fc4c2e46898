#include "image_samples.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gif_lib.h>
#include <tiffio.h>

const uint8_t sample_blocks[6][3] = {{200, 40, 40},  {40, 200, 40},  {40, 40, 200},
                                     {220, 220, 60}, {60, 220, 220}, {128, 128, 128}};

static const uint8_t baseline_jpeg[] = {
    0xFF, 0xD8, 0xFF, 0xDB, 0x00, 0x43, 0x00, 0x03, 0x02, 0x02, 0x03, 0x02, 0x02, 0x03, 0x03, 0x03, 0x03, 0x04, 0x03,
    0x03, 0x04, 0x05, 0x08, 0x05, 0x05, 0x04, 0x04, 0x05, 0x0A, 0x07, 0x07, 0x06, 0x08, 0x0C, 0x0A, 0x0C, 0x0C, 0x0B,
    0x0A, 0x0B, 0x0B, 0x0D, 0x0E, 0x12, 0x10, 0x0D, 0x0E, 0x11, 0x0E, 0x0B, 0x0B, 0x10, 0x16, 0x10, 0x11, 0x13, 0x14,
    0x15, 0x15, 0x15, 0x0C, 0x0F, 0x17, 0x18, 0x16, 0x14, 0x18, 0x12, 0x14, 0x15, 0x14, 0xFF, 0xDB, 0x00, 0x43, 0x01,
    0x03, 0x04, 0x04, 0x05, 0x04, 0x05, 0x09, 0x05, 0x05, 0x09, 0x14, 0x0D, 0x0B, 0x0D, 0x14, 0x14, 0x14, 0x14, 0x14,
    0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14,
    0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14,
    0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0xFF, 0xC0, 0x00, 0x11, 0x08, 0x00, 0x10, 0x00, 0x18, 0x03, 0x01, 0x11,
    0x00, 0x02, 0x11, 0x01, 0x03, 0x11, 0x01, 0xFF, 0xC4, 0x00, 0x16, 0x00, 0x01, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x07, 0x08, 0x09, 0xFF, 0xC4, 0x00, 0x14, 0x10, 0x01, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xFF, 0xC4, 0x00, 0x16,
    0x01, 0x00, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x07, 0x08,
    0x09, 0xFF, 0xC4, 0x00, 0x14, 0x11, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0xFF, 0xDA, 0x00, 0x0C, 0x03, 0x01, 0x00, 0x02, 0x11, 0x03, 0x11, 0x00, 0x3F, 0x00, 0x14,
    0x0D, 0xCE, 0xA9, 0xEC, 0x3A, 0x47, 0x74, 0x68, 0xAC, 0x46, 0x41, 0xB0, 0x08, 0xAA, 0x23, 0x0B, 0xD4, 0x74, 0x83,
    0x82, 0x83, 0x73, 0xAA, 0xFF, 0xD9};

static const uint8_t progressive_jpeg[] = {
    0xFF, 0xD8, 0xFF, 0xDB, 0x00, 0x43, 0x00, 0x03, 0x02, 0x02, 0x03, 0x02, 0x02, 0x03, 0x03, 0x03, 0x03, 0x04, 0x03,
    0x03, 0x04, 0x05, 0x08, 0x05, 0x05, 0x04, 0x04, 0x05, 0x0A, 0x07, 0x07, 0x06, 0x08, 0x0C, 0x0A, 0x0C, 0x0C, 0x0B,
    0x0A, 0x0B, 0x0B, 0x0D, 0x0E, 0x12, 0x10, 0x0D, 0x0E, 0x11, 0x0E, 0x0B, 0x0B, 0x10, 0x16, 0x10, 0x11, 0x13, 0x14,
    0x15, 0x15, 0x15, 0x0C, 0x0F, 0x17, 0x18, 0x16, 0x14, 0x18, 0x12, 0x14, 0x15, 0x14, 0xFF, 0xDB, 0x00, 0x43, 0x01,
    0x03, 0x04, 0x04, 0x05, 0x04, 0x05, 0x09, 0x05, 0x05, 0x09, 0x14, 0x0D, 0x0B, 0x0D, 0x14, 0x14, 0x14, 0x14, 0x14,
    0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14,
    0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14,
    0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0x14, 0xFF, 0xC2, 0x00, 0x11, 0x08, 0x00, 0x10, 0x00, 0x18, 0x03, 0x01, 0x11,
    0x00, 0x02, 0x11, 0x01, 0x03, 0x11, 0x01, 0xFF, 0xC4, 0x00, 0x16, 0x00, 0x01, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x06, 0x07, 0x08, 0xFF, 0xC4, 0x00, 0x16, 0x01, 0x00, 0x03,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x06, 0x07, 0x08, 0xFF, 0xDA,
    0x00, 0x0C, 0x03, 0x01, 0x00, 0x02, 0x10, 0x03, 0x10, 0x00, 0x00, 0x01, 0x12, 0x36, 0xEA, 0x7C, 0x39, 0x1D, 0xC6,
    0x6B, 0x16, 0x46, 0xC0, 0x8A, 0x88, 0xCB, 0xD1, 0xE8, 0x30, 0xA3, 0x6E, 0xBF, 0xFF, 0xC4, 0x00, 0x14, 0x10, 0x01,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x20, 0xFF, 0xDA, 0x00,
    0x08, 0x01, 0x01, 0x00, 0x01, 0x05, 0x02, 0x5F, 0xFF, 0xC4, 0x00, 0x14, 0x11, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x20, 0xFF, 0xDA, 0x00, 0x08, 0x01, 0x03, 0x01, 0x01,
    0x3F, 0x01, 0x5F, 0xFF, 0xC4, 0x00, 0x14, 0x11, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x20, 0xFF, 0xDA, 0x00, 0x08, 0x01, 0x02, 0x01, 0x01, 0x3F, 0x01, 0x5F, 0xFF, 0xC4,
    0x00, 0x14, 0x10, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x20, 0xFF, 0xDA, 0x00, 0x08, 0x01, 0x01, 0x00, 0x06, 0x3F, 0x02, 0x5F, 0xFF, 0xC4, 0x00, 0x14, 0x10, 0x01, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x20, 0xFF, 0xDA, 0x00, 0x08,
    0x01, 0x01, 0x00, 0x01, 0x3F, 0x21, 0x5F, 0xFF, 0xDA, 0x00, 0x0C, 0x03, 0x01, 0x00, 0x02, 0x00, 0x03, 0x00, 0x00,
    0x00, 0x10, 0xAF, 0xFA, 0x3F, 0xFF, 0xC4, 0x00, 0x14, 0x11, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x20, 0xFF, 0xDA, 0x00, 0x08, 0x01, 0x03, 0x01, 0x01, 0x3F, 0x10, 0x5F,
    0xFF, 0xC4, 0x00, 0x14, 0x11, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x20, 0xFF, 0xDA, 0x00, 0x08, 0x01, 0x02, 0x01, 0x01, 0x3F, 0x10, 0x5F, 0xFF, 0xC4, 0x00, 0x14, 0x10,
    0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x20, 0xFF, 0xDA,
    0x00, 0x08, 0x01, 0x01, 0x00, 0x01, 0x3F, 0x10, 0x5F, 0xFF, 0xD9};

static const uint8_t grey_jpeg[] = {
    0xFF, 0xD8, 0xFF, 0xDB, 0x00, 0x43, 0x00, 0x03, 0x02, 0x02, 0x03, 0x02, 0x02, 0x03, 0x03, 0x03, 0x03, 0x04,
    0x03, 0x03, 0x04, 0x05, 0x08, 0x05, 0x05, 0x04, 0x04, 0x05, 0x0A, 0x07, 0x07, 0x06, 0x08, 0x0C, 0x0A, 0x0C,
    0x0C, 0x0B, 0x0A, 0x0B, 0x0B, 0x0D, 0x0E, 0x12, 0x10, 0x0D, 0x0E, 0x11, 0x0E, 0x0B, 0x0B, 0x10, 0x16, 0x10,
    0x11, 0x13, 0x14, 0x15, 0x15, 0x15, 0x0C, 0x0F, 0x17, 0x18, 0x16, 0x14, 0x18, 0x12, 0x14, 0x15, 0x14, 0xFF,
    0xC0, 0x00, 0x0B, 0x08, 0x00, 0x08, 0x00, 0x10, 0x01, 0x01, 0x11, 0x00, 0xFF, 0xC4, 0x00, 0x15, 0x00, 0x01,
    0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x08, 0x09, 0xFF,
    0xC4, 0x00, 0x14, 0x10, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0xFF, 0xDA, 0x00, 0x08, 0x01, 0x01, 0x00, 0x00, 0x3F, 0x00, 0x17, 0xAC, 0x83, 0xFF, 0xD9};

/* Room for `bytes`, in powers of two so that files grow in few steps. */
static size_t room_for(size_t bytes) {
    size_t room = 64;
    while (room < bytes) room *= 2;
    return room;
}

static void append(sample_file *file, const void *data, size_t bytes) {
    if (file->data == NULL || room_for(file->bytes) < file->bytes + bytes)
        file->data = realloc(file->data, room_for(file->bytes + bytes));
    if (bytes > 0) memcpy(file->data + file->bytes, data, bytes);
    file->bytes += bytes;
}

static void append_be(sample_file *file, uint32_t value, int bytes) {
    for (int i = bytes - 1; i >= 0; i--) append(file, (uint8_t[]){(uint8_t)(value >> 8 * i)}, 1);
}

static void append_le(sample_file *file, uint32_t value, int bytes) {
    for (int i = 0; i < bytes; i++) append(file, (uint8_t[]){(uint8_t)(value >> 8 * i)}, 1);
}

sample_file sample_jpeg(sample_jpeg_kind kind) {
    sample_file file = {0};
    if (kind == SAMPLE_JPEG_BASELINE) append(&file, baseline_jpeg, sizeof baseline_jpeg);
    if (kind == SAMPLE_JPEG_PROGRESSIVE) append(&file, progressive_jpeg, sizeof progressive_jpeg);
    if (kind == SAMPLE_JPEG_GREY) append(&file, grey_jpeg, sizeof grey_jpeg);
    return file;
}

sample_file sample_jpeg_oriented(int orientation, bool big_endian) {
    void (*number)(sample_file *, uint32_t, int) = big_endian ? append_be : append_le;
    sample_file block = {0};
    append(&block, "Exif\0\0", 6);
    append(&block, big_endian ? "MM" : "II", 2);
    number(&block, 42, 2);
    number(&block, 8, 4); /* where the directory begins */
    number(&block, 1, 2); /* entries */
    number(&block, 0x0112, 2);
    number(&block, 3, 2); /* SHORT */
    number(&block, 1, 4);
    number(&block, (uint32_t)orientation, 2);
    number(&block, 0, 2);
    number(&block, 0, 4);                                     /* no further directory */
    append(&block, "\xFF\xD8\xFF\xDA\0\2pixels\xFF\xD9", 14); /* a thumbnail with an end marker of its own */
    sample_file file = {0};
    append(&file, baseline_jpeg, 2);
    append(&file, "\xFF\xE1", 2);
    append_be(&file, (uint32_t)block.bytes + 2, 2);
    append(&file, block.data, block.bytes);
    append(&file, baseline_jpeg + 2, sizeof baseline_jpeg - 2);
    free(block.data);
    return file;
}

static uint32_t crc32_bitwise(const uint8_t *data, size_t bytes) {
    uint32_t crc = 0xFFFFFFFF;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >> 1 ^ 0xEDB88320 : crc >> 1;
    }
    return ~crc;
}

static uint32_t adler32_of(const uint8_t *data, size_t bytes) {
    uint32_t a = 1, b = 0;
    for (size_t i = 0; i < bytes; i++) {
        a = (a + data[i]) % 65521;
        b = (b + a) % 65521;
    }
    return b << 16 | a;
}

static void append_chunk(sample_file *png, const char *type, const sample_file *content) {
    size_t begin = png->bytes;
    append_be(png, (uint32_t)content->bytes, 4);
    append(png, type, 4);
    append(png, content->data, content->bytes);
    append_be(png, crc32_bitwise(png->data + begin + 4, 4 + content->bytes), 4);
}

void sample_png_seal(sample_file *png, size_t offset) {
    uint8_t *chunk = png->data + offset;
    size_t length = (size_t)chunk[0] << 24 | (size_t)chunk[1] << 16 | (size_t)chunk[2] << 8 | chunk[3];
    uint32_t crc = crc32_bitwise(chunk + 4, 4 + length);
    for (int i = 0; i < 4; i++) chunk[8 + length + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
}

/* A zlib stream of one stored block. */
static sample_file stored_deflate(const sample_file *raw) {
    sample_file stream = {0};
    append(&stream, "\x78\x01\x01", 3);
    append_le(&stream, (uint32_t)raw->bytes, 2);
    append_le(&stream, ~(uint32_t)raw->bytes & 0xFFFF, 2);
    append(&stream, raw->data, raw->bytes);
    append_be(&stream, adler32_of(raw->data, raw->bytes), 4);
    return stream;
}

sample_file sample_png(uint32_t width, uint32_t height, int depth, int color_type, const uint8_t *rows,
                       size_t row_bytes) {
    sample_file png = {0}, header = {0}, raw = {0}, nothing = {0};
    append(&png, "\x89PNG\r\n\x1A\n", 8);
    append_be(&header, width, 4);
    append_be(&header, height, 4);
    append(&header, (uint8_t[]){(uint8_t)depth, (uint8_t)color_type, 0, 0, 0}, 5);
    append_chunk(&png, "IHDR", &header);
    for (uint32_t y = 0; rows != NULL && y < height; y++) {
        append(&raw, "\0", 1); /* no filter */
        append(&raw, rows + y * row_bytes, row_bytes);
    }
    sample_file stream = stored_deflate(&raw);
    append_chunk(&png, "IDAT", &stream);
    append_chunk(&png, "IEND", &nothing);
    free(header.data);
    free(raw.data);
    free(stream.data);
    return png;
}

static int paeth(int left, int above, int corner) {
    int guess = left + above - corner;
    int to_left = abs(guess - left), to_above = abs(guess - above), to_corner = abs(guess - corner);
    return to_left <= to_above && to_left <= to_corner ? left : to_above <= to_corner ? above : corner;
}

/* What the filter makes of byte i of a row; `above` is NULL in the first row. */
static uint8_t filtered(const uint8_t *row, const uint8_t *above, size_t i, size_t samples, int filter) {
    int left = i >= samples ? row[i - samples] : 0, up = above ? above[i] : 0;
    int corner = above && i >= samples ? above[i - samples] : 0;
    int guess[5] = {0, left, up, (left + up) / 2, paeth(left, up, corner)};
    return (uint8_t)(row[i] - guess[filter]);
}

sample_file sample_png_filtered(uint32_t width, uint32_t height, int color_type, size_t samples,
                                const uint8_t *pixels) {
    sample_file png = sample_png(width, height, 8, color_type, NULL, 0), raw = {0}, nothing = {0};
    size_t stride = width * samples;
    png.bytes = 33; /* signature and IHDR */
    for (uint32_t y = 0; y < height; y++) {
        const uint8_t *row = pixels + y * stride, *above = y > 0 ? row - stride : NULL;
        append(&raw, (uint8_t[]){(uint8_t)(y % 5)}, 1);
        for (size_t i = 0; i < stride; i++)
            append(&raw, (uint8_t[]){filtered(row, above, i, samples, (int)(y % 5))}, 1);
    }
    sample_file stream = stored_deflate(&raw), first = {stream.data, stream.bytes / 3};
    sample_file rest = {stream.data + first.bytes, stream.bytes - first.bytes};
    append_chunk(&png, "IDAT", &first);
    append_chunk(&png, "IDAT", &rest);
    append_chunk(&png, "IEND", &nothing);
    free(raw.data);
    free(stream.data);
    return png;
}

typedef struct bit_writer {
    sample_file *out;
    uint32_t bits;
    int count;
} bit_writer;

static void put_bits(bit_writer *writer, uint32_t bits, int count) {
    writer->bits |= bits << writer->count;
    for (writer->count += count; writer->count >= 8; writer->count -= 8, writer->bits >>= 8)
        append(writer->out, (uint8_t[]){(uint8_t)writer->bits}, 1);
}

sample_file sample_png_bomb(size_t unpacked_bytes) {
    sample_file png = sample_png(1, 1, 8, 0, NULL, 0), stream = {0}, nothing = {0};
    png.bytes = 33; /* signature and IHDR */
    append(&stream, "\x78\x01", 2);
    bit_writer writer = {&stream, 0, 0};
    put_bits(&writer, 3, 3);    /* last block, fixed codes */
    put_bits(&writer, 0x0C, 8); /* a zero */
    for (size_t done = 1; done < unpacked_bytes; done += 258) {
        put_bits(&writer, 0xA3, 8); /* copy 258 bytes ... */
        put_bits(&writer, 0, 5);    /* ... from one byte before */
    }
    put_bits(&writer, 0, 7 + 7); /* end of the block */
    append_chunk(&png, "IDAT", &stream);
    append_chunk(&png, "IEND", &nothing);
    free(stream.data);
    return png;
}

sample_file sample_bmp(int32_t width, int32_t height, const uint8_t *rgb, bool top_down) {
    sample_file bmp = {0};
    uint32_t row = (uint32_t)(width * 3 + 3) / 4 * 4;
    append(&bmp, "BM", 2);
    append_le(&bmp, 54 + row * (uint32_t)height, 4);
    append_le(&bmp, 0, 4);
    append_le(&bmp, 54, 4);
    append_le(&bmp, 40, 4);
    append_le(&bmp, (uint32_t)width, 4);
    append_le(&bmp, (uint32_t)(top_down ? -height : height), 4);
    append_le(&bmp, 1 | 24u << 16, 4);
    for (int i = 0; i < 6; i++) append_le(&bmp, 0, 4);
    for (int y = 0; y < height; y++) {
        const uint8_t *from = rgb + (top_down ? y : height - 1 - y) * width * 3;
        for (int x = 0; x < width; x++) append(&bmp, (uint8_t[]){from[3 * x + 2], from[3 * x + 1], from[3 * x]}, 3);
        append(&bmp, "\0\0\0", row - (uint32_t)width * 3);
    }
    return bmp;
}

static sample_file read_back(const char *path) {
    sample_file file = {0};
    FILE *stream = fopen(path, "rb");
    uint8_t buffer[4096];
    size_t got;
    while (stream && (got = fread(buffer, 1, sizeof buffer, stream)) > 0) append(&file, buffer, got);
    if (stream) fclose(stream);
    remove(path);
    return file;
}

static ColorMapObject *make_palette(bool local) {
    ColorMapObject *map = GifMakeMapObject(16, NULL);
    for (int i = 0; i < 16; i++)
        map->Colors[i] = local ? (GifColorType){(GifByteType)i, (GifByteType)(i * 10), 7}
                               : (GifColorType){(GifByteType)(i * 10), (GifByteType)(255 - i), (GifByteType)i};
    return map;
}

static void put_lines(GifFileType *gif, const sample_gif_frame *frame) {
    static const int first[4] = {0, 4, 2, 1}, step[4] = {8, 8, 4, 2};
    GifPixelType line[256];
    for (int pass = 0; pass < (frame->interlaced ? 4 : 1); pass++) {
        int begin = frame->interlaced ? first[pass] : 0, stride = frame->interlaced ? step[pass] : 1;
        for (int y = begin; y < frame->height; y += stride) {
            memcpy(line, frame->indices + y * frame->width, (size_t)frame->width);
            EGifPutLine(gif, line, frame->width);
        }
    }
}

sample_file sample_gif(const char *folder, const sample_gif_frame *frame) {
    char path[256];
    snprintf(path, sizeof path, "%s/sample.gif", folder);
    int code;
    GifFileType *gif = EGifOpenFileName(path, false, &code);
    if (gif == NULL) return (sample_file){0};
    ColorMapObject *global = make_palette(false), *local = make_palette(true);
    EGifPutScreenDesc(gif, frame->canvas_width, frame->canvas_height, 4, 3, global);
    EGifPutComment(gif, "a comment stands before the picture");
    EGifPutImageDesc(gif, frame->left, frame->top, frame->width, frame->height, frame->interlaced,
                     frame->local_palette ? local : NULL);
    put_lines(gif, frame);
    EGifCloseFile(gif, &code);
    GifFreeMapObject(global);
    GifFreeMapObject(local);
    return read_back(path);
}

/* The samples of the rectangle (x0, y0) + width x height, zero outside the picture; of one plane when separate. */
static void gather(const sample_tiff_kind *kind, const uint8_t *pixels, int x0, int y0, int width, int height,
                   int plane, uint8_t *out) {
    int bytes = kind->bits / 8, taken = kind->separate ? 1 : kind->samples;
    memset(out, 0, (size_t)(width * height * taken * bytes));
    for (int y = 0; y < height && y0 + y < kind->height; y++)
        for (int x = 0; x < width && x0 + x < kind->width; x++) {
            int from = ((y0 + y) * kind->width + x0 + x) * kind->samples + (kind->separate ? plane : 0);
            memcpy(out + (y * width + x) * taken * bytes, pixels + from * bytes, (size_t)(taken * bytes));
        }
}

static void write_units(TIFF *tiff, const sample_tiff_kind *kind, const uint8_t *pixels) {
    uint8_t buffer[64 * 64 * 8];
    int planes = kind->separate ? kind->samples : 1, taken = kind->separate ? 1 : kind->samples;
    int width = kind->tile ? kind->tile : kind->width, height = kind->tile ? kind->tile : 3;
    for (int plane = 0; plane < planes; plane++)
        for (int y = 0; y < kind->height; y += height)
            for (int x = 0; x < kind->width; x += width) {
                int rows = kind->tile || y + height <= kind->height ? height : kind->height - y;
                tmsize_t bytes = (tmsize_t)width * rows * taken * kind->bits / 8;
                gather(kind, pixels, x, y, width, rows, plane, buffer);
                uint32_t column = (uint32_t)x, row = (uint32_t)y;
                uint16_t p = (uint16_t)plane;
                if (kind->tile)
                    TIFFWriteEncodedTile(tiff, TIFFComputeTile(tiff, column, row, 0, p), buffer, bytes);
                else
                    TIFFWriteEncodedStrip(tiff, TIFFComputeStrip(tiff, row, p), buffer, bytes);
            }
}

static void write_bit_rows(TIFF *tiff, const sample_tiff_kind *kind, const uint8_t *pixels) {
    uint8_t row[64];
    size_t bytes = (size_t)(kind->width + 7) / 8;
    for (int y = 0; y < kind->height; y++) {
        memcpy(row, pixels + (size_t)y * bytes, bytes);
        TIFFWriteScanline(tiff, row, (uint32_t)y, 0);
    }
}

static void set_tags(TIFF *tiff, const sample_tiff_kind *kind) {
    TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, kind->width);
    TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, kind->height);
    TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, kind->bits);
    TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, kind->samples);
    TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, kind->photometric);
    TIFFSetField(tiff, TIFFTAG_COMPRESSION, kind->compression);
    TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, kind->separate ? PLANARCONFIG_SEPARATE : PLANARCONFIG_CONTIG);
    if (kind->orientation) TIFFSetField(tiff, TIFFTAG_ORIENTATION, kind->orientation);
    if (kind->samples == 4) TIFFSetField(tiff, TIFFTAG_EXTRASAMPLES, 1, (uint16_t[]){EXTRASAMPLE_UNASSALPHA});
    if (kind->tile) TIFFSetField(tiff, TIFFTAG_TILEWIDTH, kind->tile);
    if (kind->tile) TIFFSetField(tiff, TIFFTAG_TILELENGTH, kind->tile);
    if (!kind->tile) TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, 3);
}

/* Entry i of the palette is (i, 2 i, 3 i) modulo 256, as 16-bit values. */
static void set_palette(TIFF *tiff) {
    static uint16_t red[256], green[256], blue[256];
    for (int i = 0; i < 256; i++) {
        red[i] = (uint16_t)(i * 257);
        green[i] = (uint16_t)(2 * i % 256 * 257);
        blue[i] = (uint16_t)(3 * i % 256 * 257);
    }
    TIFFSetField(tiff, TIFFTAG_COLORMAP, red, green, blue);
}

sample_file sample_tiff(const char *folder, const sample_tiff_kind *kind, const void *pixels) {
    char path[256];
    snprintf(path, sizeof path, "%s/sample.tif", folder);
    TIFF *tiff = TIFFOpen(path, kind->big_endian ? "wb" : "wl");
    if (tiff == NULL) return (sample_file){0};
    set_tags(tiff, kind);
    if (kind->photometric == PHOTOMETRIC_PALETTE) set_palette(tiff);
    if (kind->bits == 1)
        write_bit_rows(tiff, kind, pixels);
    else
        write_units(tiff, kind, pixels);
    TIFFClose(tiff);
    return read_back(path);
}
