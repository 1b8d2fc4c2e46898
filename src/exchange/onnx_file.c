#include "onnx_file.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/file.h"
#include "fovea/base/memory.h"
#include "fovea/exchange/onnx_read.h"

/* protobuf-c calls itself for each message within a message, without a limit. Graphs within attributes, the deepest
   that exporters nest, take 4 levels each. */
#define DEEPEST 32
/* Memory for a file: so much, and so much more for each byte. An empty message of 2 bytes becomes a struct of up
   to 200, but no network consists of these. */
#define MEMORY_PER_BYTE 8
#define MEMORY_AT_LEAST ((size_t)64 << 20)

/* ---- depth ---- */

typedef struct cursor {
    const uint8_t *at, *end;
} cursor;

static bool read_varint(cursor *c, uint64_t *value) {
    *value = 0;
    for (int shift = 0; shift < 64 && c->at < c->end; shift += 7) {
        uint8_t byte = *c->at++;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) return true;
    }
    return false;
}

/* Steps over a field's value; `inside` is what a length-delimited one holds, else empty. */
static bool skip_value(cursor *c, unsigned wire_type, cursor *inside) {
    uint64_t length = 0;
    *inside = (cursor){c->at, c->at};
    if (wire_type == PROTOBUF_C_WIRE_TYPE_VARINT) return read_varint(c, &length);
    if (wire_type == PROTOBUF_C_WIRE_TYPE_64BIT)
        length = 8;
    else if (wire_type == PROTOBUF_C_WIRE_TYPE_32BIT)
        length = 4;
    else if (wire_type != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED || !read_varint(c, &length))
        return false;
    if (length > (uint64_t)(c->end - c->at)) return false;
    *inside = (cursor){c->at, c->at + length};
    c->at += length;
    return true;
}

/* Whether the message can be unpacked with at most `depth` levels below it. */
static bool is_shallow(cursor c, const ProtobufCMessageDescriptor *type, int depth) {
    while (c.at < c.end) {
        uint64_t tag;
        cursor inside;
        if (!read_varint(&c, &tag) || tag >> 3 > UINT32_MAX || !skip_value(&c, tag & 7, &inside)) return false;
        const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(type, (unsigned)(tag >> 3));
        if (!field || field->type != PROTOBUF_C_TYPE_MESSAGE) continue;
        if (depth == 0 || !is_shallow(inside, field->descriptor, depth - 1)) return false;
    }
    return true;
}

/* ---- memory ---- */

typedef struct budget {
    size_t left;
    bool exceeded, out_of_memory; /* why an allocation has failed */
} budget;

static void *limited_allocate(void *context, size_t bytes) {
    budget *memory = context;
    memory->exceeded = memory->exceeded || bytes > memory->left;
    if (memory->exceeded) return NULL;
    memory->left -= bytes;
    void *made = malloc(bytes);
    memory->out_of_memory = memory->out_of_memory || !made;
    return made;
}

static void release(void *context, void *memory) {
    (void)context;
    free(memory);
}

fv_status fv_onnx_file_parse(const void *data, size_t bytes, const char *name, Onnx__ModelProto **model) {
    *model = NULL;
    if (!is_shallow((cursor){data, (const uint8_t *)data + bytes}, &onnx__model_proto__descriptor, DEEPEST))
        return fv_fail(FV_BAD_INPUT, "%s is no ONNX file, or it is cut off or damaged", name);
    budget memory = {.left = SIZE_MAX};
    if (bytes < SIZE_MAX / MEMORY_PER_BYTE / 2) memory.left = bytes * MEMORY_PER_BYTE + MEMORY_AT_LEAST;
    ProtobufCAllocator allocator = {limited_allocate, release, &memory};
    *model = onnx__model_proto__unpack(&allocator, bytes, data);
    if (*model) return FV_OK;
    if (memory.out_of_memory) return fv_fail_memory("the messages of an ONNX file", bytes);
    if (memory.exceeded)
        return fv_fail(FV_BAD_INPUT, "%s takes far more memory than a network in a file of its size: it is damaged",
                       name);
    return fv_fail(FV_BAD_INPUT, "%s is no ONNX file, or it is cut off or damaged", name);
}

void fv_onnx_file_free(Onnx__ModelProto *model) {
    if (model) onnx__model_proto__free_unpacked(model, NULL);
}

/* The first field is what every exporter writes first, ir_version (field 1, a number), and not the length of a
   safetensors header, which a '{' follows at byte 8. */
static bool begins_like_onnx(const char *path) {
    unsigned char head[9] = {0};
    FILE *stream = fopen(path, "rb");
    if (!stream) return false;
    size_t bytes = fread(head, 1, sizeof head, stream);
    fclose(stream);
    return bytes == sizeof head && head[0] == 0x08 && head[8] != '{';
}

bool fv_onnx_is_file(const char *path) {
    size_t length = strlen(path);
    if (fv_folder_exists(path)) return false;
    return (length > 5 && strcmp(path + length - 5, ".onnx") == 0) || begins_like_onnx(path);
}
