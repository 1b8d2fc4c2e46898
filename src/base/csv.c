#include "fovea/base/csv.h"

#include <csv.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/file.h"
#include "fovea/base/memory.h"
#include "fovea/base/nearest.h"

#define HEADER_TEXT 400
#define COLUMN_LIMIT 1024

/* ---- reading ---- */

/* What libcsv's callbacks fill. Cells are collected as one list, the header's first. */
typedef struct reader {
    fv_csv *csv;
    const char **cells;
    int *lines; /* of all rows, the header's first */
    size_t cell_count, cell_capacity, cell_limit, text_used, row_begin;
    int row_count, row_capacity, line, row_line;
    bool row_ended;
    fv_status status;
} reader;

static void take_cell(void *cell, size_t bytes, void *user) {
    reader *state = user;
    if (state->status != FV_OK) return;
    if (state->cell_count == state->cell_limit) {
        state->status = fv_fail(FV_BAD_INPUT, "%s:%d: more than %zu cells, the most that is read of such a table",
                                state->csv->path, state->line, state->cell_limit);
        return;
    }
    if (state->cell_count == state->cell_capacity) {
        size_t capacity = state->cell_capacity ? 2 * state->cell_capacity : 256;
        const char **larger = realloc(state->cells, capacity * sizeof *larger);
        if (!larger) {
            state->status = fv_fail_memory("a table", capacity * sizeof *larger);
            return;
        }
        state->cells = larger;
        state->cell_capacity = capacity;
    }
    char *copy = state->csv->text + state->text_used;
    if (bytes) memcpy(copy, cell, bytes);
    copy[bytes] = 0;
    state->text_used += bytes + 1;
    state->cells[state->cell_count++] = copy;
}

static fv_status check_header(const reader *state) {
    const fv_csv *csv = state->csv;
    const char *first = state->cells[0];
    if (csv->columns > COLUMN_LIMIT)
        return fv_fail(FV_BAD_INPUT, "%s:%d: more than %d columns", csv->path, state->row_line, COLUMN_LIMIT);
    if (csv->columns == 1 && (strchr(first, ';') || strchr(first, '\t')))
        return fv_fail(FV_BAD_INPUT, "%s:%d: the header has no comma; save the table with commas between the columns",
                       csv->path, state->row_line);
    for (int i = 0; i < csv->columns; i++)
        for (int j = 0; j < i; j++)
            if (*state->cells[i] && !strcmp(state->cells[i], state->cells[j]))
                return fv_fail(FV_BAD_INPUT, "%s:%d: two columns are named \"%s\"; rename or delete one", csv->path,
                               state->row_line, state->cells[i]);
    return FV_OK;
}

static void take_row(int terminator, void *user) {
    reader *state = user;
    (void)terminator;
    state->row_ended = true;
    if (state->status != FV_OK) return;
    size_t count = state->cell_count - state->row_begin;
    state->row_begin = state->cell_count;
    if (state->row_count == 0) {
        state->csv->columns = (int)count;
        state->status = check_header(state);
    } else if (count != (size_t)state->csv->columns) {
        state->status =
            fv_fail(FV_BAD_INPUT, "%s:%d: %zu cells, but the header has %d; add what is missing or quote commas",
                    state->csv->path, state->row_line, count, state->csv->columns);
    }
    if (state->status != FV_OK) return;
    if (state->row_count == state->row_capacity) {
        int capacity = state->row_capacity ? 2 * state->row_capacity : 64;
        int *larger = realloc(state->lines, (size_t)capacity * sizeof *larger);
        if (!larger) {
            state->status = fv_fail_memory("a table", (size_t)capacity * sizeof *larger);
            return;
        }
        state->lines = larger;
        state->row_capacity = capacity;
    }
    state->lines[state->row_count++] = state->row_line;
}

static fv_status fail_parser(const reader *state, struct csv_parser *parser) {
    if (csv_error(parser) != CSV_EPARSE) return fv_fail_memory("a table", csv_get_buffer_size(parser));
    return fv_fail(FV_BAD_INPUT,
                   "%s:%d: a quote stands alone or is not closed; put the whole cell in quotes and double those inside",
                   state->csv->path, state->row_line);
}

/* Feeds line by line, so that rows know where they began. */
static fv_status parse_lines(reader *state, struct csv_parser *parser, const char *text, size_t bytes) {
    bool open = false; /* a quoted cell goes on over the line end */
    for (size_t at = 0; at < bytes && state->status == FV_OK;) {
        const char *end = memchr(text + at, '\n', bytes - at);
        size_t length = end ? (size_t)(end - text) - at + 1 : bytes - at;
        state->line++;
        if (!open) state->row_line = state->line;
        state->row_ended = false;
        if (csv_parse(parser, text + at, length, take_cell, take_row, state) != length)
            return fail_parser(state, parser);
        open = !state->row_ended && (open || memchr(text + at, '"', length));
        at += length;
    }
    if (state->status == FV_OK && csv_fini(parser, take_cell, take_row, state)) return fail_parser(state, parser);
    return state->status;
}

/* Moves what the callbacks collected into the table. */
static fv_status finish(reader *state) {
    fv_csv *csv = state->csv;
    if (state->row_count == 0)
        return fv_fail(FV_BAD_INPUT, "%s: the table is empty; its first row must name the columns", csv->path);
    csv->rows = state->row_count - 1;
    csv->header = state->cells;
    csv->cells = state->cells + csv->columns;
    csv->lines = state->lines;
    memmove(csv->lines, csv->lines + 1, (size_t)csv->rows * sizeof *csv->lines);
    state->cells = NULL;
    state->lines = NULL;
    return FV_OK;
}

static fv_status parse_table(const char *text, size_t bytes, fv_csv_limits limits, fv_csv *csv) {
    if (bytes >= 2 && (!memcmp(text, "\xff\xfe", 2) || !memcmp(text, "\xfe\xff", 2)))
        return fv_fail(FV_BAD_INPUT, "%s is in UTF-16; save it as CSV in UTF-8", csv->path);
    if (memchr(text, 0, bytes)) return fv_fail(FV_BAD_INPUT, "%s is not a text file; name a CSV table", csv->path);
    if (bytes >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) {
        text += 3;
        bytes -= 3;
    }
    if (bytes > INT_MAX) return fv_fail(FV_BAD_INPUT, "%s: the table is too large", csv->path);
    csv->text = fv_allocate(bytes + 2, 1, "a table"); /* the 0 behind each cell takes the place of its separator */
    struct csv_parser parser;
    if (!csv->text || csv_init(&parser, CSV_STRICT | CSV_STRICT_FINI)) return FV_NO_RESOURCE;
    csv_set_blk_size(&parser, 4096);
    reader state = {.csv = csv, .cell_limit = limits.cells};
    fv_status status = parse_lines(&state, &parser, text, bytes);
    csv_free(&parser);
    if (status == FV_OK) status = finish(&state);
    free(state.cells);
    free(state.lines);
    return status;
}

fv_status fv_csv_parse(const void *text, size_t bytes, const char *name, fv_csv_limits limits, fv_csv *csv) {
    *csv = (fv_csv){.path = strdup(name)};
    if (!csv->path) return fv_fail_memory("a file name", strlen(name));
    fv_status status = parse_table(text, bytes, limits, csv);
    if (status != FV_OK) fv_csv_free(csv);
    return status;
}

fv_status fv_csv_read(const char *path, fv_csv_limits limits, fv_csv *csv) {
    *csv = (fv_csv){0};
    void *text;
    size_t bytes;
    FV_TRY(fv_file_read(path, limits.bytes, &text, &bytes));
    fv_status status = fv_csv_parse(text, bytes, path, limits, csv);
    free(text);
    return status;
}

void fv_csv_free(fv_csv *csv) {
    free(csv->header); /* the cells follow in the same memory */
    free(csv->lines);
    free(csv->path);
    free(csv->text);
    *csv = (fv_csv){0};
}

/* ---- asking ---- */

int fv_csv_column(const fv_csv *csv, const char *name) {
    for (int i = 0; i < csv->columns; i++)
        if (!strcmp(csv->header[i], name)) return i;
    return -1;
}

fv_status fv_csv_need(const fv_csv *csv, const char *name, int *column) {
    *column = fv_csv_column(csv, name);
    if (*column >= 0) return FV_OK;
    int near = fv_nearest(name, csv->header, csv->columns);
    if (near >= 0)
        return fv_fail(FV_BAD_INPUT, "%s: there is no column \"%s\"; was \"%s\" meant? Rename it", csv->path, name,
                       csv->header[near]);
    char all[HEADER_TEXT] = "";
    size_t used = 0;
    for (int i = 0; i < csv->columns && used < sizeof all; i++)
        used += (size_t)snprintf(all + used, sizeof all - used, "%s%s", i ? ", " : "", csv->header[i]);
    return fv_fail(FV_BAD_INPUT, "%s: there is no column \"%s\"; the table has %s", csv->path, name, all);
}

const char *fv_csv_cell(const fv_csv *csv, int row, int column) {
    return column < 0 ? "" : csv->cells[(size_t)row * (size_t)csv->columns + (size_t)column];
}

fv_status fv_csv_fail(const fv_csv *csv, int row, int column, const char *format, ...) {
    char message[HEADER_TEXT];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    if (column < 0) return fv_fail(FV_BAD_INPUT, "%s:%d: %s", csv->path, csv->lines[row], message);
    return fv_fail(FV_BAD_INPUT, "%s:%d: %s = %.100s: %s", csv->path, csv->lines[row], csv->header[column],
                   fv_csv_cell(csv, row, column), message);
}

/* ---- writing ---- */

void fv_csv_write_cell(FILE *stream, const char *text, char end) {
    size_t length = strlen(text);
    bool quote = strpbrk(text, ",\"\r\n") || (length && (strchr(" \t", text[0]) || strchr(" \t", text[length - 1])));
    if (quote)
        csv_fwrite(stream, text, length);
    else
        fputs(text, stream);
    fputc(end, stream);
}

void fv_csv_write_row(FILE *stream, int count, const char *const *cells) {
    if (count == 1 && !*cells[0]) fputs("\"\"", stream); /* a blank line would be no row */
    for (int i = 0; i < count; i++) fv_csv_write_cell(stream, cells[i], i + 1 < count ? ',' : '\n');
}
