/* libFuzzer: no pickle may break the reader of torch.save's files. The input is a whole archive, or a pickle, around
   which an archive with one storage of twelve numbers is made. */
#include "fuzz_foreign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const float storage[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    if (size > 4 && memcmp(data, "PK\003\004", 4) == 0)
        fuzz_foreign(data, size);
    else
        fuzz_zipped("a/data.pkl", data, size, storage, sizeof storage);
    return 0;
}
