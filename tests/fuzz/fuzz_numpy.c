/* libFuzzer: no bytes may break the reader of .npz. The input is a whole archive, or a .npy file. */
#include "fuzz_foreign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 4 && memcmp(data, "PK\003\004", 4) == 0)
        fuzz_foreign(data, size);
    else
        fuzz_zipped("a.npy", data, size, NULL, 0);
    return 0;
}
