/* libFuzzer: no text may break the parser of settings, and the resolved text must resolve to itself. What stands behind
   the first zero byte is an override.

   clang -std=c17 -D_GNU_SOURCE -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude tests/fuzz/fuzz_config.c
   src/base/{config,config_value,file,memory,nearest,status}.c -linih -lm -o build/fuzz_config */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *ask(fv_config *config) {
    static const char *const names[] = {"rgb", "lab", NULL};
    double low, high;
    fv_config_text(config, "a", "t", "text");
    fv_config_integer(config, "a", "i", 3, -9, 99);
    fv_config_number(config, "a", "n", 0.5, -1, 1e9);
    fv_config_span(config, "a", "s", 0, 1, &low, &high);
    fv_config_flag(config, "b", "f", true);
    fv_config_choice(config, "b", "c", 1, names);
    fv_config_bytes(config, "b", "b", 4096);
    for (int i = 0; fv_config_section(config, "s.", i) && i < 20; i++)
        fv_config_text(config, fv_config_section(config, "s.", i), "t", NULL);
    fv_config_finish(config);
    return fv_config_resolved(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 2);
    if (!text) return 0;
    memcpy(text, data, size);
    text[size] = text[size + 1] = 0;
    fv_config *config, *again;
    if (fv_config_parse(text, "fuzz", &config) == FV_OK) {
        fv_config_override(config, text + strlen(text) + 1);
        char *resolved = ask(config);
        if (!resolved || fv_config_parse(resolved, "again", &again) != FV_OK) abort();
        char *twice = ask(again);
        if (!twice || strcmp(resolved, twice)) abort();
        free(twice);
        free(resolved);
        fv_config_free(again);
        fv_config_free(config);
    }
    free(text);
    return 0;
}
