/* Files of torch.save: what a state_dict needs is read, whatever else a pickle can do is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "foreign_samples.h"

static const float numbers[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};

static const sample_tensor plain = {"a.weight", "FloatStorage", "0", 12, 4, 2, {2, 3}, {3, 1}};

static void parse_good(const sample_bytes *pickle, const void *storage, size_t bytes, fv_foreign *file) {
    sample_bytes archive = sample_torch(pickle, storage, bytes);
    if (fv_foreign_parse(archive.data, archive.count, "the.file", file) != FV_OK) fail_msg("%s", fv_error());
    assert_int_equal(file->kind, FV_FOREIGN_TORCH);
    free(archive.data);
}

static void views_of_a_storage(void **state) {
    (void)state;
    const sample_tensor tensors[] = {plain,
                                     {"transposed", "FloatStorage", "0", 12, 0, 2, {3, 4}, {1, 3}},
                                     {"scalar", "FloatStorage", "0", 12, 11, 0, {0}, {0}},
                                     {"empty", "FloatStorage", "0", 12, 0, 2, {0, 5}, {5, 1}},
                                     {"counter", "LongStorage", "missing", 1, 0, 0, {0}, {0}}};
    sample_bytes pickle = sample_state_dict(tensors, 5);
    fv_foreign file;
    parse_good(&pickle, numbers, sizeof numbers, &file);
    assert_int_equal(file.count, 4);
    assert_int_equal(file.passed, 1);
    assert_string_equal(file.list[0].name, "a.weight");
    assert_int_equal(file.list[0].dims, 2);
    assert_int_equal(file.list[0].shape[1], 3);
    assert_memory_equal(file.list[0].values, numbers + 4, 6 * sizeof *numbers);
    const float transposed[12] = {0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11};
    assert_memory_equal(file.list[1].values, transposed, sizeof transposed);
    assert_true(file.list[2].dims == 0 && file.list[2].count == 1 && file.list[2].values[0] == 11);
    assert_int_equal(file.list[3].count, 0);
    fv_foreign_free(&file);
    free(pickle.data);
}

static void halves_bfloat16_and_doubles(void **state) {
    (void)state;
    const uint16_t half[2] = {0x3c00, 0xc100}, bfloat16[2] = {0x3f80, 0xc020}; /* 1, -2.5 */
    const double wide[2] = {1, -2.5};
    const struct {
        const char *storage;
        const void *data;
        size_t bytes;
    } cases[] = {{"HalfStorage", half, 4}, {"BFloat16Storage", bfloat16, 4}, {"DoubleStorage", wide, 16}};
    for (int i = 0; i < 3; i++) {
        fv_foreign file;
        const sample_tensor tensor = {"a", cases[i].storage, "0", 2, 0, 1, {2}, {1}};
        sample_bytes pickle = sample_state_dict(&tensor, 1);
        parse_good(&pickle, cases[i].data, cases[i].bytes, &file);
        assert_true(file.list[0].values[0] == 1 && file.list[0].values[1] == -2.5f);
        fv_foreign_free(&file);
        free(pickle.data);
    }
}

/* {"epoch": 7, KEY: {"a.weight": tensor}} */
static sample_bytes checkpoint(const char *key) {
    sample_bytes pickle = {0};
    sample_append_text(&pickle, "\x80\x02}(");
    sample_pickle_text(&pickle, "epoch");
    sample_append(&pickle, "K\x07", 2);
    sample_pickle_text(&pickle, key);
    sample_append_text(&pickle, "}(");
    sample_pickle_tensor(&pickle, &plain);
    sample_append_text(&pickle, "uu.");
    return pickle;
}

static void checkpoints_under_any_key(void **state) {
    (void)state;
    static const char *const keys[] = {"state_dict", "model_state_dict", "model", "weights_of_today"};
    for (int i = 0; i < 4; i++) {
        fv_foreign file;
        sample_bytes pickle = checkpoint(keys[i]);
        parse_good(&pickle, numbers, sizeof numbers, &file);
        assert_int_equal(file.count, 1);
        fv_foreign_free(&file);
        free(pickle.data);
    }
}

/* {"a.weight": _rebuild_parameter(tensor, True, OrderedDict())}, and a dict that holds the same tensor twice. */
static void parameters_and_recalled_objects(void **state) {
    (void)state;
    fv_foreign file;
    sample_bytes pickle = {0}, tensor = {0};
    sample_pickle_tensor(&tensor, &plain);
    size_t name = 5 + strlen(plain.name); /* what stands before the tensor itself */
    sample_append_text(&pickle, "\x80\x02}(");
    sample_append(&pickle, tensor.data, name);
    sample_append_text(&pickle, "ctorch._utils\n_rebuild_parameter\n");
    sample_append(&pickle, tensor.data + name, tensor.count - name);
    sample_append_text(&pickle, "\x88}\x87Rq\x01");
    sample_pickle_text(&pickle, "b.weight");
    sample_append_text(&pickle, "h\x01u.");
    parse_good(&pickle, numbers, sizeof numbers, &file);
    assert_int_equal(file.count, 2);
    assert_string_equal(file.list[1].name, "b.weight");
    for (int i = 0; i < 2; i++) assert_memory_equal(file.list[i].values, numbers + 4, 6 * sizeof *numbers);
    fv_foreign_free(&file);
    free(pickle.data);
    free(tensor.data);
}

/* ---- what is refused ---- */

static void expect_pickle_refused(const sample_bytes *pickle, const char *text, const char *more) {
    sample_bytes archive = sample_torch(pickle, numbers, sizeof numbers);
    sample_expect_refused(archive.data, archive.count, text, more);
    free(archive.data);
}

static void expect_opcodes_refused(const void *opcodes, size_t count, const char *text, const char *more) {
    sample_bytes pickle = {0};
    sample_append(&pickle, opcodes, count);
    expect_pickle_refused(&pickle, text, more);
    free(pickle.data);
}
#define EXPECT_REFUSED(opcodes, text, more) expect_opcodes_refused(opcodes, sizeof opcodes - 1, text, more)

static void code_is_named_and_not_run(void **state) {
    (void)state;
    EXPECT_REFUSED("\x80\x02"
                   "cos\nsystem\nX\x0d\0\0\0touch /tmp/owned\x85R.",
                   "asks for os.system", "save with torch.save(model.state_dict(), ...)");
    EXPECT_REFUSED("\x80\x02"
                   "cposix\nsystem\n.",
                   "asks for posix.system", NULL);
    EXPECT_REFUSED("\x80\x04\x8c\x08"
                   "builtins\x8c\x04"
                   "eval\x93.",
                   "asks for builtins.eval", NULL);
    EXPECT_REFUSED("\x80\x02"
                   "c__main__\nUNet\n)\x81.",
                   "asks for __main__.UNet", "no such thing");
    EXPECT_REFUSED("\x80\x02"
                   "ctorch\nload\n.",
                   "asks for torch.load", NULL);
    EXPECT_REFUSED("\x80\x02"
                   "ctorch._utils\n_rebuild_tensor_v2\nX\x01\0\0\0a\x85R.",
                   "a tensor with arguments", NULL);
    EXPECT_REFUSED("\x80\x02"
                   "ctorch\nFloatStorage\n)R.",
                   "a storage with arguments", NULL);
    EXPECT_REFUSED("\x80\x02"
                   "(ios\nsystem\n.",
                   "opcode 0x69", "does not need");
    EXPECT_REFUSED("\x80\x02"
                   "S'text'\n.",
                   "opcode 0x53", NULL);
    EXPECT_REFUSED("\x80\x02)Q.", "a persistent id with arguments", NULL);
}

static void damaged_pickles(void **state) {
    (void)state;
    EXPECT_REFUSED("\x80\x02"
                   "X\xff\xff\xff\xff"
                   "abc.",
                   "a text is longer than the file", NULL);
    EXPECT_REFUSED("\x80\x02}r\xff\xff\xff\xff.", "remembers more objects", NULL);
    EXPECT_REFUSED("\x80\x02h\x05.", "recalls an object that it has not remembered", NULL);
    EXPECT_REFUSED("\x80\x02\x8a\xff.", "a whole number of more than 64 bits", NULL);
    EXPECT_REFUSED("\x80\x02.", "an object is used that is not there", NULL);
    EXPECT_REFUSED("\x80\x02(.", "an object is used that is not there", NULL);
    EXPECT_REFUSED("\x80\x02t.", "a mark is missing", NULL);
    EXPECT_REFUSED("\x80\x02K\x01\x87.", "too few items", NULL);
    EXPECT_REFUSED("\x80\x02}(K\x01u.", "a key without a value", NULL);
    EXPECT_REFUSED("\x80\x02N(K\x01K\x02u.", "neither dict nor list", NULL);
    EXPECT_REFUSED("\x80\x02(K\x01K\x02s.", "items without a dict", NULL);
    EXPECT_REFUSED("\x80\x02K\x01}b.", "attributes for what is no dict", NULL);
    EXPECT_REFUSED("\x80\x02K\x01)R.", "a call of what is no function", NULL);
    EXPECT_REFUSED("\x80\x02"
                   "cos",
                   "ends within a name", NULL);
    EXPECT_REFUSED("\x80\x02}", "ends within an object", NULL);
    EXPECT_REFUSED("\x80\x02K\x07.", "no dict of tensors", "state_dict");
}

/* Objects that contain themselves, or each other twice over and over, cost nothing: nothing walks through them. */
static void cycles_and_bombs(void **state) {
    (void)state;
    EXPECT_REFUSED("\x80\x02]q\x00h\x00"
                   "a.",
                   "no dict of tensors", NULL);
    sample_bytes self = {0}, tower = {0}, nest = {0};
    sample_append(&self, "\x80\x02}q\x00", 5);
    sample_pickle_text(&self, "state_dict");
    sample_append(&self, "h\x00s.", 4);
    expect_pickle_refused(&self, "no dict of tensors", NULL);
    sample_append(&tower, "\x80\x02)q\x00", 5);
    for (int i = 0; i < 100; i++) { /* 2^100 leaves */
        const unsigned char step[] = {'h', (unsigned char)i, 'h', (unsigned char)i, 0x86, 'q', (unsigned char)(i + 1)};
        sample_append(&tower, step, sizeof step);
    }
    sample_append_text(&tower, ".");
    expect_pickle_refused(&tower, "no dict of tensors", NULL);
    sample_append_text(&nest, "\x80\x02");
    for (int i = 0; i < 300000; i++) sample_append_text(&nest, "]");
    for (int i = 0; i < 299999; i++) sample_append_text(&nest, "a");
    sample_append_text(&nest, ".");
    expect_pickle_refused(&nest, "no dict of tensors", NULL);
    free(self.data);
    free(tower.data);
    free(nest.data);
}

static void expect_tensor_refused(sample_tensor tensor, const char *text) {
    sample_bytes pickle = sample_state_dict(&tensor, 1);
    expect_pickle_refused(&pickle, text, NULL);
    free(pickle.data);
}

static void tensors_beyond_their_storage(void **state) {
    (void)state;
    sample_tensor t = plain;
    t.offset = 7;
    expect_tensor_refused(t, "reaches beyond its storage of 12 numbers");
    t.offset = INT64_MAX;
    expect_tensor_refused(t, "reaches beyond its storage");
    t.offset = -1;
    expect_tensor_refused(t, "reaches beyond its storage");
    t = plain;
    t.sizes[0] = t.sizes[1] = (int64_t)1 << 62;
    expect_tensor_refused(t, "reaches beyond its storage");
    t = plain;
    t.strides[0] = INT64_MAX;
    expect_tensor_refused(t, "reaches beyond its storage");
    t.strides[0] = -3;
    expect_tensor_refused(t, "no whole number of at least 0");
    t = plain;
    t.sizes[0] = (int64_t)1 << 40;
    t.strides[0] = 0;
    expect_tensor_refused(t, "repeats the numbers of its storage");
    t = plain;
    t.numbers = (int64_t)1 << 62;
    expect_tensor_refused(t, "should have 4611686018427387904 numbers, it has 48 bytes");
    t.numbers = 13;
    expect_tensor_refused(t, "should have 13 numbers");
    t.numbers = -1;
    expect_tensor_refused(t, "a persistent id with arguments");
    t = plain;
    t.key = "1";
    expect_tensor_refused(t, "has no entry archive/data/1");
    t.key = "../../0";
    expect_tensor_refused(t, "has no entry");
    t = plain;
    t.storage = "QInt8Storage";
    expect_tensor_refused(t, "asks for torch.QInt8Storage");
    const sample_tensor whole = {"n", "LongStorage", "0", 6, 0, 0, {0}, {0}};
    expect_tensor_refused(whole, "holds no tensor of floating point numbers");
}

/* Storages that deflate packs a thousandfold, each within bounds, not all together. */
static void packed_storages_have_a_bound(void **state) {
    (void)state;
    const int64_t count = 10 << 20;
    float *zeros = calloc((size_t)count, sizeof *zeros);
    const sample_tensor tensors[] = {{"a", "FloatStorage", "0", count, 0, 1, {1}, {1}},
                                     {"b", "FloatStorage", "1", count, 0, 1, {1}, {1}}};
    for (int i = 1; i <= 2; i++) {
        sample_bytes pickle = sample_state_dict(tensors, i);
        const sample_entry entries[] = {{"a/data.pkl", pickle.data, pickle.count},
                                        {"a/data/0", zeros, (size_t)count * sizeof *zeros},
                                        {"a/data/1", zeros, (size_t)count * sizeof *zeros}};
        sample_bytes archive = sample_zip(entries, 3, 1);
        fv_foreign file;
        if (i == 2)
            sample_expect_refused(archive.data, archive.count, "more numbers than a file of its size holds", NULL);
        else
            assert_int_equal(fv_foreign_parse(archive.data, archive.count, "the.file", &file), FV_OK);
        if (i == 1) fv_foreign_free(&file);
        free(archive.data);
        free(pickle.data);
    }
    free(zeros);
}

static void damaged_archives(void **state) {
    (void)state;
    sample_bytes pickle = sample_state_dict(&plain, 1), archive = sample_torch(&pickle, numbers, sizeof numbers);
    sample_expect_cuts_refused(&archive, 1);
    for (size_t cut = 0; cut + 1 < pickle.count; cut++) { /* a whole archive around a pickle that is cut off */
        sample_bytes beginning = {pickle.data, cut};
        expect_pickle_refused(&beginning, NULL, NULL);
    }
    unsigned char *storage = memmem(archive.data, archive.count, numbers, sizeof numbers);
    assert_non_null(storage);
    storage[5] ^= 1;
    sample_expect_refused(archive.data, archive.count, "archive/data/0", "checksum");
    const sample_entry big[] = {{"archive/data.pkl", pickle.data, pickle.count}, {"archive/byteorder", "big", 3}};
    sample_bytes big_endian = sample_zip(big, 2, 0);
    sample_expect_refused(big_endian.data, big_endian.count, "big-endian", NULL);
    sample_expect_refused(pickle.data, pickle.count, "bare pickle", "before 1.6");
    free(big_endian.data);
    free(archive.data);
    free(pickle.data);
}

static void other_files(void **state) {
    (void)state;
    const sample_entry text = {"readme.txt", "hello", 5}, keras = {"model.weights.h5", "\211HDF", 4};
    sample_bytes zip = sample_zip(&text, 1, 1), keras3 = sample_zip(&keras, 1, 1);
    sample_expect_refused(zip.data, zip.count, "neither of torch.save", "numpy.savez");
    sample_expect_refused(keras3.data, keras3.count, ".keras file of Keras 3", "model.save(\"model.h5\")");
    sample_expect_refused("GIF89a", 6, "no file of weights that fovea knows", ".npz");
    sample_expect_refused("", 0, "no file of weights", NULL);
    fv_foreign file;
    assert_int_equal(fv_foreign_read("/tmp/there/is/no/such.pth", &file), FV_BAD_INPUT);
    free(zip.data);
    free(keras3.data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_of_a_storage),
        cmocka_unit_test(halves_bfloat16_and_doubles),
        cmocka_unit_test(checkpoints_under_any_key),
        cmocka_unit_test(parameters_and_recalled_objects),
        cmocka_unit_test(code_is_named_and_not_run),
        cmocka_unit_test(damaged_pickles),
        cmocka_unit_test(cycles_and_bombs),
        cmocka_unit_test(tensors_beyond_their_storage),
        cmocka_unit_test(packed_storages_have_a_bound),
        cmocka_unit_test(damaged_archives),
        cmocka_unit_test(other_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
