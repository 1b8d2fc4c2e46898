#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fovea/base/csv.h"
#include "fovea/base/file.h"
#include "temporary.h"

static fv_csv parse(const char *text) {
    fv_csv csv;
    assert_int_equal(fv_csv_parse(text, strlen(text), "a.csv", FV_CSV_LIMITS, &csv), FV_OK);
    return csv;
}

static void assert_refused(const char *text, const char *sentence) {
    fv_csv csv;
    assert_int_equal(fv_csv_parse(text, strlen(text), "a.csv", FV_CSV_LIMITS, &csv), FV_BAD_INPUT);
    assert_null(csv.text);
    assert_null(csv.header);
    assert_int_equal(csv.rows, 0);
    assert_string_equal(fv_error(), sentence);
}

static void table_is_read(void **state) {
    (void)state;
    fv_csv csv = parse("\xef\xbb\xbfimage,mask , note\r\n"
                       "a.png,m.png,\"two, three\"\r\n"
                       "\r\n"
                       "b.png,,\"said \"\"no\"\"\nand left\"\r\n"
                       "c d.png, x y ,\"\"");
    assert_int_equal(csv.columns, 3);
    assert_int_equal(csv.rows, 3);
    assert_int_equal(fv_csv_column(&csv, "image"), 0);
    assert_int_equal(fv_csv_column(&csv, "mask"), 1);
    assert_int_equal(fv_csv_column(&csv, "note"), 2);
    assert_int_equal(fv_csv_column(&csv, "Image"), -1);
    static const char *const cells[3][3] = {
        {"a.png", "m.png", "two, three"}, {"b.png", "", "said \"no\"\nand left"}, {"c d.png", "x y", ""}};
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) assert_string_equal(fv_csv_cell(&csv, i, j), cells[i][j]);
    assert_string_equal(fv_csv_cell(&csv, 0, -1), "");
    assert_int_equal(csv.lines[0], 2);
    assert_int_equal(csv.lines[1], 4);
    assert_int_equal(csv.lines[2], 6);
    fv_csv_free(&csv);
    fv_csv_free(&csv);
}

static void header_alone_is_a_table(void **state) {
    (void)state;
    fv_csv csv = parse("image");
    assert_int_equal(csv.columns, 1);
    assert_int_equal(csv.rows, 0);
    fv_csv_free(&csv);
}

static void wrong_tables_are_refused_with_their_line(void **state) {
    (void)state;
    assert_refused("", "a.csv: the table is empty; its first row must name the columns");
    assert_refused("\n \n\n", "a.csv: the table is empty; its first row must name the columns");
    assert_refused("a,b\n1,2\n\n3\n", "a.csv:4: 1 cells, but the header has 2; add what is missing or quote commas");
    assert_refused("a,b\n1,\"x\ny\"\n1,2,3\n",
                   "a.csv:4: 3 cells, but the header has 2; add what is missing or quote commas");
    assert_refused("a,b,a\n", "a.csv:1: two columns are named \"a\"; rename or delete one");
    assert_refused("a;b\n1;2\n", "a.csv:1: the header has no comma; save the table with commas between the columns");
    assert_refused(
        "a,b\n1,2\n3,\"4\n5,6\n",
        "a.csv:3: a quote stands alone or is not closed; put the whole cell in quotes and double those inside");
    assert_refused(
        "a,b\n1,x\"y\n",
        "a.csv:2: a quote stands alone or is not closed; put the whole cell in quotes and double those inside");
    assert_refused(
        "a,b\n\"x\"y,1\n",
        "a.csv:2: a quote stands alone or is not closed; put the whole cell in quotes and double those inside");
    assert_refused("\xff\xfe"
                   "a",
                   "a.csv is in UTF-16; save it as CSV in UTF-8");
    fv_csv csv;
    assert_int_equal(fv_csv_parse("a\0b", 3, "a.csv", FV_CSV_LIMITS, &csv), FV_BAD_INPUT);
    assert_string_equal(fv_error(), "a.csv is not a text file; name a CSV table");
}

static void limits_hold(void **state) {
    (void)state;
    fv_csv csv;
    fv_csv_limits limits = {.bytes = 12, .cells = 6};
    assert_int_equal(fv_csv_parse("a,b\n1,2\n3,4\n", 12, "a.csv", limits, &csv), FV_OK);
    fv_csv_free(&csv);
    assert_int_equal(fv_csv_parse("a,b\n1,2\n3,4\n5,6\n", 16, "a.csv", limits, &csv), FV_BAD_INPUT);
    assert_string_equal(fv_error(), "a.csv:4: more than 6 cells, the most that is read of such a table");
    const char *path = temporary_path("a.csv");
    assert_int_equal(fv_file_write(path, "a,b\n1,2\n3,4\n\n", 13), FV_OK);
    assert_int_equal(fv_csv_read(path, limits, &csv), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "a.csv is larger than"));
    assert_int_equal(fv_csv_read(temporary_path("none.csv"), limits, &csv), FV_BAD_INPUT);
    assert_null(csv.text);
    char commas[3000];
    memset(commas, ',', sizeof commas - 1);
    commas[sizeof commas - 1] = 0;
    assert_refused(commas, "a.csv:1: more than 1024 columns");
    unlink(path);
}

static void missing_columns_get_a_suggestion(void **state) {
    (void)state;
    fv_csv csv = parse("image,disc_mask\nx,y\n");
    int column;
    assert_int_equal(fv_csv_need(&csv, "disc_mask", &column), FV_OK);
    assert_int_equal(column, 1);
    assert_int_equal(fv_csv_need(&csv, "imgae", &column), FV_BAD_INPUT);
    assert_int_equal(column, -1);
    assert_string_equal(fv_error(), "a.csv: there is no column \"imgae\"; was \"image\" meant? Rename it");
    assert_int_equal(fv_csv_need(&csv, "patient", &column), FV_BAD_INPUT);
    assert_string_equal(fv_error(), "a.csv: there is no column \"patient\"; the table has image, disc_mask");
    assert_int_equal(fv_csv_fail(&csv, 0, 1, "no %s file", "such"), FV_BAD_INPUT);
    assert_string_equal(fv_error(), "a.csv:2: disc_mask = y: no such file");
    fv_csv_fail(&csv, 0, -1, "no mask");
    assert_string_equal(fv_error(), "a.csv:2: no mask");
    fv_csv_free(&csv);
}

static void written_table_reads_back(void **state) {
    (void)state;
    static const char *const header[3] = {"plain", "with space", "with,comma"};
    static const char *const row[3] = {" padded ", "say \"x\"", "two\nlines"}, *const empty[3] = {"", "", ""};
    const char *path = temporary_path("w.csv");
    fv_file file;
    assert_int_equal(fv_file_begin(&file, path), FV_OK);
    fv_csv_write_row(file.stream, 3, header);
    fv_csv_write_row(file.stream, 3, row);
    fv_csv_write_row(file.stream, 3, empty);
    assert_int_equal(fv_file_commit(&file), FV_OK);
    void *text;
    size_t bytes;
    assert_int_equal(fv_file_read(path, 1000, &text, &bytes), FV_OK);
    assert_string_equal(text, "plain,with space,\"with,comma\"\n\" padded \",\"say \"\"x\"\"\",\"two\nlines\"\n,,\n");
    free(text);
    fv_csv csv;
    assert_int_equal(fv_csv_read(path, FV_CSV_LIMITS, &csv), FV_OK);
    assert_int_equal(csv.rows, 2);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(csv.header[i], header[i]);
        assert_string_equal(fv_csv_cell(&csv, 0, i), row[i]);
        assert_string_equal(fv_csv_cell(&csv, 1, i), "");
    }
    fv_csv_free(&csv);
}

static void single_empty_cells_are_rows(void **state) {
    (void)state;
    static const char *const header[1] = {"a"}, *const empty[1] = {""};
    const char *path = temporary_path("s.csv");
    fv_file file;
    assert_int_equal(fv_file_begin(&file, path), FV_OK);
    fv_csv_write_row(file.stream, 1, header);
    fv_csv_write_row(file.stream, 1, empty);
    assert_int_equal(fv_file_commit(&file), FV_OK);
    fv_csv csv;
    assert_int_equal(fv_csv_read(path, FV_CSV_LIMITS, &csv), FV_OK);
    assert_int_equal(csv.rows, 1);
    assert_string_equal(fv_csv_cell(&csv, 0, 0), "");
    fv_csv_free(&csv);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_read),
        cmocka_unit_test(header_alone_is_a_table),
        cmocka_unit_test(wrong_tables_are_refused_with_their_line),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(missing_columns_get_a_suggestion),
        cmocka_unit_test(written_table_reads_back),
        cmocka_unit_test(single_empty_cells_are_rows),
    };
    return cmocka_run_group_tests(tests, temporary_setup, temporary_teardown);
}
