/* libFuzzer: no pickle may break the reader of torch.save's files. The input is a whole archive; or a pickle,
   or changes to a good one, around which an archive with one storage of twelve numbers is made. */
#include "fuzz_foreign.h"

/* OrderedDict of one tensor of shape (2, 3), with opcodes as torch.save writes them. */
static const char good[] =
    "\x80\x02"
    "ccollections\nOrderedDict\nq\x00)Rq\x01(X\x01\x00\x00\x00wq\x02"
    "ctorch._utils\n_rebuild_tensor_v2\nq\x03((X\x07\x00\x00\x00storageq\x04"
    "ctorch\nFloatStorage\nq\x05X\x01\x00\x00\x00"
    "0q\x06X\x03\x00\x00\x00"
    "cpuq\x07K\x0ctq\x08QK\x01K\x02K\x03\x86q\tK\x03K\x01\x86q\n\x89h\x00)Rq\x0btq\x0cRq\ru}q\x0e"
    "X\x09\x00\x00\x00_metadataq\x0fh\x00)Rq\x10sb.";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const float storage[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    if (size > 4 && memcmp(data, "PK\003\004", 4) == 0) {
        fuzz_foreign(data, size);
    } else if (size > 0 && data[0] == 0x80) {
        fuzz_zipped("a/data.pkl", data, size, storage, sizeof storage);
    } else {
        uint8_t *changed = fuzz_changed(good, sizeof good - 1, data, size);
        fuzz_zipped("a/data.pkl", changed, sizeof good - 1, storage, sizeof storage);
        free(changed);
    }
    return 0;
}
