#include "onnx_file.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

/* protobuf-c calls itself for each message within a message, without a limit. Graphs within attributes, the deepest
   that exporters nest, take 4 levels each. */
#define DEEPEST 32
/* Memory for a file: its own bytes, and so much for each byte of messages, for an empty message of 2 bytes becomes a
   struct of up to 200. */
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

static void *limited_allocate(void *context, size_t bytes) {
    size_t *left = context;
    if (bytes > *left) return NULL;
    *left -= bytes;
    return malloc(bytes);
}

static void release(void *context, void *memory) {
    (void)context;
    free(memory);
}

fv_status fv_onnx_file_parse(const void *data, size_t bytes, const char *name, Onnx__ModelProto **model) {
    *model = NULL;
    if (!is_shallow((cursor){data, (const uint8_t *)data + bytes}, &onnx__model_proto__descriptor, DEEPEST))
        return fv_fail(FV_BAD_INPUT, "%s is no ONNX file, or it is cut off or damaged", name);
    size_t left = bytes > SIZE_MAX / MEMORY_PER_BYTE / 2 ? SIZE_MAX : bytes * MEMORY_PER_BYTE + MEMORY_AT_LEAST;
    ProtobufCAllocator allocator = {limited_allocate, release, &left};
    *model = onnx__model_proto__unpack(&allocator, bytes, data);
    if (*model) return FV_OK;
    return fv_fail(FV_BAD_INPUT, "%s is no ONNX file, or it is cut off or damaged", name);
}

void fv_onnx_file_free(Onnx__ModelProto *model) {
    if (model) onnx__model_proto__free_unpacked(model, NULL);
}
