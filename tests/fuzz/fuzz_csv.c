/* libFuzzer: no bytes may break the reader, and a table that it accepts must survive being written and read again.

   clang -std=c17 -D_GNU_SOURCE -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude tests/fuzz/fuzz_csv.c
   src/base/{csv,file,memory,nearest,status}.c -lcsv -o build/fuzz_csv */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void compare(const fv_csv *a, const fv_csv *b) {
    if (a->rows != b->rows || a->columns != b->columns) abort();
    for (int i = 0; i < a->columns; i++)
        if (strcmp(a->header[i], b->header[i])) abort();
    for (int i = 0; i < a->rows * a->columns; i++)
        if (strcmp(a->cells[i], b->cells[i])) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const fv_csv_limits limits = {.bytes = 1 << 20, .cells = 10000};
    fv_csv csv, again;
    if (fv_csv_parse(data, size, "fuzz", limits, &csv) != FV_OK) return 0;
    char *text = NULL;
    size_t bytes = 0;
    FILE *stream = open_memstream(&text, &bytes);
    if (!stream) abort();
    fv_csv_write_row(stream, csv.columns, csv.header);
    for (int i = 0; i < csv.rows; i++)
        fv_csv_write_row(stream, csv.columns, csv.cells + (size_t)i * (size_t)csv.columns);
    fclose(stream);
    /* A first name that begins like a byte order mark is read as one. */
    if ((unsigned char)csv.header[0][0] < 0x80) {
        if (fv_csv_parse(text, bytes, "again", limits, &again) != FV_OK) abort();
        compare(&csv, &again);
        fv_csv_free(&again);
    }
    free(text);
    fv_csv_free(&csv);
    return 0;
}
