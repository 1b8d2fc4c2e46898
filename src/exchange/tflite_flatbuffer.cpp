/* See tflite_flatbuffer.h. Compiled without exceptions and run-time types; nothing of the C++ library but new and
   delete is used, so that a program that links fovea needs no C++ run time. */
#include "tflite_flatbuffer.h"

#include <cstdlib>
#include <cstring>

#include "tflite_generated.h"

namespace {

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;
using flatbuffers::String;
using flatbuffers::uoffset_t;
using flatbuffers::Vector;

template <typename T> using Tables = Offset<Vector<Offset<T>>>;

#define SAME_NUMBER(name)                                                                                              \
    static_assert((int)TFLITE_##name == (int)tflite::BuiltinOperator_##name, "as the schema has it")
SAME_NUMBER(ADD);
SAME_NUMBER(CONCATENATION);
SAME_NUMBER(CONV_2D);
SAME_NUMBER(DEPTHWISE_CONV_2D);
SAME_NUMBER(DEQUANTIZE);
SAME_NUMBER(LOGISTIC);
SAME_NUMBER(MAX_POOL_2D);
SAME_NUMBER(MUL);
SAME_NUMBER(RELU);
SAME_NUMBER(RELU6);
SAME_NUMBER(RESHAPE);
SAME_NUMBER(RESIZE_BILINEAR);
SAME_NUMBER(PAD);
SAME_NUMBER(MEAN);
SAME_NUMBER(SUB);
SAME_NUMBER(CAST);
SAME_NUMBER(PADV2);
SAME_NUMBER(SLICE);
SAME_NUMBER(TRANSPOSE_CONV);
SAME_NUMBER(RSQRT);
SAME_NUMBER(RESIZE_NEAREST_NEIGHBOR);
SAME_NUMBER(QUANTIZE);
static_assert((int)TFLITE_FLOAT32 == (int)tflite::TensorType_FLOAT32, "as the schema has it");
static_assert((int)TFLITE_FLOAT16 == (int)tflite::TensorType_FLOAT16, "as the schema has it");
static_assert((int)TFLITE_INT32 == (int)tflite::TensorType_INT32, "as the schema has it");
static_assert((int)TFLITE_UINT8 == (int)tflite::TensorType_UINT8, "as the schema has it");
static_assert((int)TFLITE_INT8 == (int)tflite::TensorType_INT8, "as the schema has it");
static_assert((int)TFLITE_ACTIVATION_RELU == (int)tflite::ActivationFunctionType_RELU, "as the schema has it");
static_assert((int)TFLITE_ACTIVATION_RELU6 == (int)tflite::ActivationFunctionType_RELU6, "as the schema has it");

constexpr uint32_t format_version = 3;
constexpr size_t alignment = 16; /* of a constant's numbers in the file */

/* Hands out one block that was allocated before, which is large enough: the builder can't be told that memory is
   short. */
class OneBlock : public flatbuffers::Allocator {
  public:
    OneBlock(uint8_t *block, size_t bytes) : block_(block), bytes_(bytes) {}
    uint8_t *allocate(size_t bytes) override {
        FLATBUFFERS_ASSERT(bytes <= bytes_); /* as tflite_file_bound() promises */
        return block_;
    }
    void deallocate(uint8_t *, size_t) override {}

  private:
    uint8_t *block_;
    size_t bytes_;
};

/* A FlatBuffer is written from its leaves to its root: each function writes one thing, whose parts were written before,
   and returns where it has put it. `list` collects the tables of the vector that is being made; there is only one at a
   time. */
struct Writer {
    FlatBufferBuilder builder;
    const tflite_model *model;
    uoffset_t *list;
};

template <typename T> Tables<T> write_list(Writer &w, int count) {
    w.builder.StartVector((size_t)count, sizeof(uoffset_t));
    for (int i = count; i > 0; i--) w.builder.PushElement(Offset<T>(w.list[i - 1]));
    return Tables<T>(w.builder.EndVector((size_t)count));
}

/* ---- buffers: number 0 is empty and means "no data", then come the constant tensors', then the metadata's ---- */

Offset<tflite::Buffer> write_buffer(Writer &w, const void *data, size_t bytes) {
    w.builder.ForceVectorAlignment(bytes, 1, alignment);
    return tflite::CreateBuffer(w.builder, w.builder.CreateVector(static_cast<const uint8_t *>(data), bytes));
}

int constant_count(const tflite_model *model) {
    int count = 0;
    for (int i = 0; i < model->tensor_count; i++) count += model->tensors[i].data != nullptr;
    return count;
}

Tables<tflite::Buffer> write_buffers(Writer &w) {
    const tflite_model *model = w.model;
    int count = 0;
    w.list[count++] = tflite::CreateBuffer(w.builder).o;
    for (int i = 0; i < model->tensor_count; i++) {
        const tflite_tensor &t = model->tensors[i];
        if (t.data) w.list[count++] = write_buffer(w, t.data, t.bytes).o;
    }
    for (int i = 0; i < model->metadata_count; i++) {
        const char *text = model->metadata[i].text;
        w.list[count++] = write_buffer(w, text, strlen(text)).o;
    }
    return write_list<tflite::Buffer>(w, count);
}

/* ---- tensors ---- */

Offset<tflite::QuantizationParameters> write_quantisation(Writer &w, const tflite_quantisation &q) {
    if (q.count == 0) return 0;
    size_t count = (size_t)q.count;
    Offset<Vector<float>> scale = w.builder.CreateVector(q.scale, count);
    int64_t *zero_points;
    Offset<Vector<int64_t>> zero_point = w.builder.CreateUninitializedVector(count, &zero_points);
    for (size_t i = 0; i < count; i++) flatbuffers::WriteScalar(&zero_points[i], (int64_t)q.zero_point);
    return tflite::CreateQuantizationParameters(w.builder, 0, 0, scale, zero_point, q.axis);
}

Offset<tflite::Tensor> write_tensor(Writer &w, const tflite_tensor &t, uint32_t buffer) {
    Offset<Vector<int32_t>> shape = w.builder.CreateVector(t.shape, (size_t)t.dims);
    Offset<String> name = w.builder.CreateString(t.name);
    Offset<tflite::QuantizationParameters> quantisation = write_quantisation(w, t.quantisation);
    return tflite::CreateTensor(w.builder, shape, (tflite::TensorType)t.type, buffer, name, quantisation);
}

Tables<tflite::Tensor> write_tensors(Writer &w) {
    const tflite_model *model = w.model;
    uint32_t constants = 0;
    for (int i = 0; i < model->tensor_count; i++) {
        const tflite_tensor &t = model->tensors[i];
        w.list[i] = write_tensor(w, t, t.data ? ++constants : 0).o;
    }
    return write_list<tflite::Tensor>(w, model->tensor_count);
}

/* ---- operators ---- */

/* The first operator of the same kind and version: an operator code is written for each of these. */
int first_alike(const tflite_model *model, int index) {
    const tflite_operator *list = model->operators;
    for (int i = 0; i < index; i++)
        if (list[i].kind == list[index].kind && list[i].version == list[index].version) return i;
    return index;
}

uint32_t code_index(const tflite_model *model, int index) {
    uint32_t count = 0;
    for (int i = 0, alike = first_alike(model, index); i < alike; i++) count += first_alike(model, i) == i;
    return count;
}

Tables<tflite::OperatorCode> write_codes(Writer &w) {
    int count = 0;
    for (int i = 0; i < w.model->operator_count; i++) {
        const tflite_operator &o = w.model->operators[i];
        if (first_alike(w.model, i) != i) continue;
        w.list[count++] =
            tflite::CreateOperatorCode(w.builder, (int8_t)o.kind, 0, o.version, (tflite::BuiltinOperator)o.kind).o;
    }
    return write_list<tflite::OperatorCode>(w, count);
}

struct Options {
    tflite::BuiltinOptions type;
    Offset<void> table;
};

template <typename T> Options options_of(Offset<T> table) {
    return {tflite::BuiltinOptionsTraits<T>::enum_value, table.Union()};
}

/* Of operators that slide a window. */
Options write_window_options(Writer &w, const tflite_operator &o) {
    FlatBufferBuilder &b = w.builder;
    tflite::Padding padding = o.same ? tflite::Padding_SAME : tflite::Padding_VALID;
    auto activation = (tflite::ActivationFunctionType)o.activation;
    if (o.kind == TFLITE_CONV_2D)
        return options_of(
            tflite::CreateConv2DOptions(b, padding, o.stride, o.stride, activation, o.dilation, o.dilation));
    if (o.kind == TFLITE_DEPTHWISE_CONV_2D)
        return options_of(tflite::CreateDepthwiseConv2DOptions(b, padding, o.stride, o.stride, 1, activation,
                                                               o.dilation, o.dilation));
    if (o.kind == TFLITE_TRANSPOSE_CONV)
        return options_of(tflite::CreateTransposeConvOptions(b, padding, o.stride, o.stride, activation));
    return options_of(tflite::CreatePool2DOptions(b, padding, o.stride, o.stride, o.filter_w, o.filter_h, activation));
}

/* Of operators without a choice: the type of an empty table is written where the schema has one, as converters do. */
Options write_empty_options(Writer &w, const tflite_operator &o) {
    FlatBufferBuilder &b = w.builder;
    switch (o.kind) {
    case TFLITE_PAD:
        return options_of(tflite::CreatePadOptions(b));
    case TFLITE_PADV2:
        return options_of(tflite::CreatePadV2Options(b));
    case TFLITE_SLICE:
        return options_of(tflite::CreateSliceOptions(b));
    case TFLITE_RESHAPE: /* its shape is an input */
        return options_of(tflite::CreateReshapeOptions(b));
    case TFLITE_QUANTIZE:
        return options_of(tflite::CreateQuantizeOptions(b));
    case TFLITE_DEQUANTIZE:
        return options_of(tflite::CreateDequantizeOptions(b));
    default:
        return {tflite::BuiltinOptions_NONE, 0};
    }
}

Options write_options(Writer &w, const tflite_operator &o) {
    FlatBufferBuilder &b = w.builder;
    auto activation = (tflite::ActivationFunctionType)o.activation;
    switch (o.kind) {
    case TFLITE_CONV_2D:
    case TFLITE_DEPTHWISE_CONV_2D:
    case TFLITE_TRANSPOSE_CONV:
    case TFLITE_MAX_POOL_2D:
        return write_window_options(w, o);
    case TFLITE_ADD:
        return options_of(tflite::CreateAddOptions(b, activation));
    case TFLITE_SUB:
        return options_of(tflite::CreateSubOptions(b, activation));
    case TFLITE_MUL:
        return options_of(tflite::CreateMulOptions(b, activation));
    case TFLITE_CONCATENATION: /* along channels */
        return options_of(tflite::CreateConcatenationOptions(b, 3));
    case TFLITE_RESIZE_BILINEAR:
        return options_of(tflite::CreateResizeBilinearOptions(b, false, o.half_pixel_centers));
    case TFLITE_RESIZE_NEAREST_NEIGHBOR:
        return options_of(tflite::CreateResizeNearestNeighborOptions(b));
    case TFLITE_MEAN: /* keeps the dimensions */
        return options_of(tflite::CreateReducerOptions(b, true));
    case TFLITE_CAST: /* fovea has one use of it */
        return options_of(tflite::CreateCastOptions(b, tflite::TensorType_UINT8, tflite::TensorType_FLOAT32));
    default:
        return write_empty_options(w, o);
    }
}

Offset<tflite::Operator> write_operator(Writer &w, int index) {
    const tflite_operator &o = w.model->operators[index];
    Offset<Vector<int32_t>> inputs = w.builder.CreateVector(o.inputs, (size_t)o.input_count);
    Offset<Vector<int32_t>> outputs = w.builder.CreateVector(&o.output, 1);
    Options options = write_options(w, o);
    return tflite::CreateOperator(w.builder, code_index(w.model, index), inputs, outputs, options.type, options.table);
}

Tables<tflite::Operator> write_operators(Writer &w) {
    for (int i = 0; i < w.model->operator_count; i++) w.list[i] = write_operator(w, i).o;
    return write_list<tflite::Operator>(w, w.model->operator_count);
}

/* ---- the whole ---- */

Offset<tflite::SubGraph> write_graph(Writer &w) {
    Tables<tflite::Tensor> tensors = write_tensors(w);
    Tables<tflite::Operator> operators = write_operators(w);
    Offset<Vector<int32_t>> inputs = w.builder.CreateVector(&w.model->input, 1);
    Offset<Vector<int32_t>> outputs = w.builder.CreateVector(&w.model->output, 1);
    return tflite::CreateSubGraph(w.builder, tensors, inputs, outputs, operators, w.builder.CreateString("main"));
}

Tables<tflite::Metadata> write_metadata(Writer &w) {
    for (int i = 0, constants = constant_count(w.model); i < w.model->metadata_count; i++) {
        Offset<String> name = w.builder.CreateString(w.model->metadata[i].name);
        w.list[i] = tflite::CreateMetadata(w.builder, name, (uint32_t)(1 + constants + i)).o;
    }
    return write_list<tflite::Metadata>(w, w.model->metadata_count);
}

Tables<tflite::TensorMap> write_end(Writer &w, const char *name, int tensor) {
    w.list[0] = tflite::CreateTensorMap(w.builder, w.builder.CreateString(name), (uint32_t)tensor).o;
    return write_list<tflite::TensorMap>(w, 1);
}

Tables<tflite::SignatureDef> write_signature(Writer &w) {
    Tables<tflite::TensorMap> inputs = write_end(w, "input", w.model->input);
    Tables<tflite::TensorMap> outputs = write_end(w, "output", w.model->output);
    Offset<String> key = w.builder.CreateString("serving_default");
    w.list[0] = tflite::CreateSignatureDef(w.builder, inputs, outputs, key).o;
    return write_list<tflite::SignatureDef>(w, 1);
}

void write_model(Writer &w) {
    Tables<tflite::Buffer> buffers = write_buffers(w);
    Tables<tflite::Metadata> metadata = write_metadata(w);
    w.list[0] = write_graph(w).o;
    Tables<tflite::SubGraph> graphs = write_list<tflite::SubGraph>(w, 1);
    Tables<tflite::OperatorCode> codes = write_codes(w);
    Tables<tflite::SignatureDef> signature = write_signature(w);
    Offset<String> description = w.builder.CreateString(w.model->description);
    tflite::FinishModelBuffer(w.builder, tflite::CreateModel(w.builder, format_version, codes, graphs, description,
                                                             buffers, metadata, signature));
}

/* Of the list, and never 0. */
size_t list_capacity(const tflite_model *model) {
    return 1 + (size_t)model->tensor_count + (size_t)model->operator_count + (size_t)model->metadata_count;
}

} // namespace

size_t tflite_file_bound(const tflite_model *model) {
    size_t bound = 4096 + strlen(model->description) + 512 * list_capacity(model);
    for (int i = 0; i < model->tensor_count; i++) {
        const tflite_tensor &t = model->tensors[i];
        bound += t.bytes + (size_t)t.quantisation.count * (sizeof(float) + sizeof(int64_t));
    }
    for (int i = 0; i < model->metadata_count; i++)
        bound += strlen(model->metadata[i].name) + strlen(model->metadata[i].text);
    return (bound + alignment - 1) / alignment * alignment; /* the builder would round it up */
}

bool tflite_file_make(const tflite_model *model, tflite_file *file) {
    size_t bound = tflite_file_bound(model);
    *file = {};
    file->block = malloc(bound);
    uoffset_t *list = static_cast<uoffset_t *>(malloc(list_capacity(model) * sizeof(uoffset_t)));
    if (file->block && list) {
        OneBlock block(static_cast<uint8_t *>(file->block), bound);
        Writer writer = {FlatBufferBuilder(bound, &block), model, list};
        write_model(writer);
        file->data = writer.builder.GetBufferPointer();
        file->bytes = writer.builder.GetSize();
    } else {
        free(file->block);
        file->block = nullptr;
    }
    free(list);
    return file->block != nullptr;
}

bool tflite_file_verify(const void *data, size_t bytes) {
    flatbuffers::Verifier verifier(static_cast<const uint8_t *>(data), bytes);
    return tflite::VerifyModelBuffer(verifier);
}
