/* Tables as CSV (RFC 4180) through libcsv: read whole and rectangular, written cell by cell. */
#ifndef FOVEA_BASE_CSV_H
#define FOVEA_BASE_CSV_H

#include <stddef.h>
#include <stdio.h>

#include "fovea/base/status.h"

/* How much of a file is accepted. */
typedef struct fv_csv_limits {
    size_t bytes; /* of the file */
    size_t cells; /* of all rows, the header included */
} fv_csv_limits;

#define FV_CSV_LIMITS ((fv_csv_limits){.bytes = (size_t)64 << 20, .cells = 4000000})

typedef struct fv_csv {
    int columns, rows;
    const char **header; /* columns names */
    const char **cells;  /* rows * columns texts */
    int *lines;          /* rows: line of the file where each begins, from 1 */
    char *path;          /* for messages */
    char *text;          /* owns all cells */
} fv_csv;

/* Reads a table with a header row. Comma separated, cells may be quoted (then also over several lines, "" is a quote),
   LF or CRLF, UTF-8 with or without byte order mark; white space around unquoted cells and blank lines are dropped.
   FV_BAD_INPUT "FILE:LINE: ..." for a file over the limits, without header, with a column named twice, with a row of
   another number of cells, with a stray or unclosed quote, or in another encoding or separator. */
fv_status fv_csv_read(const char *path, fv_csv_limits limits, fv_csv *csv);
/* The same from memory (UTF-8, not 0-terminated); `name` stands in messages. limits.bytes is not looked at. */
fv_status fv_csv_parse(const void *text, size_t bytes, const char *name, fv_csv_limits limits, fv_csv *csv);
/* Accepts a zeroed struct. */
void fv_csv_free(fv_csv *csv);

/* Index of the column, -1 when there is none. */
int fv_csv_column(const fv_csv *csv, const char *name);
/* The same, but FV_BAD_INPUT with the nearest name, or all of them, when there is none. */
fv_status fv_csv_need(const fv_csv *csv, const char *name, int *column);
/* Text of a cell; row in 0 .. rows-1. With column -1 (a column that the file does not have): "". */
const char *fv_csv_cell(const fv_csv *csv, int row, int column);
/* FV_BAD_INPUT "FILE:LINE: COLUMN = TEXT: MESSAGE". Column -1: "FILE:LINE: MESSAGE". */
fv_status fv_csv_fail(const fv_csv *csv, int row, int column, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Writes one cell and `end`, ',' or '\n'; quoted only when it must be. Errors are found by fv_file_commit(). */
void fv_csv_write_cell(FILE *stream, const char *text, char end);
/* Writes a row of cells. */
void fv_csv_write_row(FILE *stream, int count, const char *const *cells);

#endif
