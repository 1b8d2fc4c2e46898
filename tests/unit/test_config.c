#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/config.h"
#include "fovea/base/file.h"
#include "temporary.h"

static const char *const colours[] = {"rgb", "lab", "green", NULL};

static fv_config *parse(const char *text) {
    fv_config *config;
    assert_int_equal(fv_config_parse(text, "a.ini", &config), FV_OK);
    return config;
}

static void assert_refused(const char *text, const char *sentence) {
    fv_config *config;
    assert_int_equal(fv_config_parse(text, "a.ini", &config), FV_BAD_INPUT);
    assert_null(config);
    assert_string_equal(fv_error(), sentence);
}

static void assert_finish(fv_config *config, const char *sentence) {
    assert_int_equal(fv_config_finish(config), FV_BAD_INPUT);
    assert_string_equal(fv_error(), sentence);
    fv_config_free(config);
}

static void values_are_read(void **state) {
    (void)state;
    fv_config *config = parse("\xef\xbb\xbf[train] ; how\r\n"
                              "epochs = 30 # enough\n"
                              "  rate=1e-3\n"
                              "note = a ;comment\n"
                              "path = a;b#c\n"
                              "; nothing\n"
                              "# nothing\n"
                              "\n"
                              "flip: on\n"
                              "colour = lab\n"
                              "memory = 1.5 GiB\n"
                              "gamma = 0.8..1.25\n"
                              "turn = -10 10\n"
                              "zoom = 1..2\n"
                              "blur = 3\n"
                              "empty =");
    double low, high;
    assert_int_equal(fv_config_integer(config, "train", "epochs", 1, 1, 1000), 30);
    assert_true(fv_config_number(config, "train", "rate", 1, 0, 1) == 1e-3);
    assert_string_equal(fv_config_text(config, "train", "note", NULL), "a");
    assert_string_equal(fv_config_text(config, "train", "path", NULL), "a;b#c");
    assert_string_equal(fv_config_text(config, "train", "empty", "x"), "");
    assert_true(fv_config_flag(config, "train", "flip", false));
    assert_int_equal(fv_config_choice(config, "train", "colour", 0, colours), 1);
    assert_true(fv_config_bytes(config, "train", "memory", 0) == 3LL << 29);
    fv_config_span(config, "train", "gamma", 1, 1, &low, &high);
    assert_true(low == 0.8 && high == 1.25);
    fv_config_span(config, "train", "turn", 0, 0, &low, &high);
    assert_true(low == -10 && high == 10);
    fv_config_span(config, "train", "zoom", 0, 0, &low, &high);
    assert_true(low == 1 && high == 2);
    fv_config_span(config, "train", "blur", 0, 0, &low, &high);
    assert_true(low == 3 && high == 3);
    assert_int_equal(fv_config_finish(config), FV_OK);
    fv_config_free(config);
}

static void defaults_stand_in(void **state) {
    (void)state;
    fv_config *config;
    double low, high;
    assert_int_equal(fv_config_read(NULL, &config), FV_OK);
    assert_int_equal(fv_config_integer(config, "a", "i", -7, LONG_MIN, LONG_MAX), -7);
    assert_true(fv_config_number(config, "a", "n", 0.1, 0, 1) == 0.1);
    assert_string_equal(fv_config_text(config, "a", "t", "text"), "text");
    assert_null(fv_config_text(config, "a", "none", NULL));
    assert_true(fv_config_flag(config, "a", "f", true));
    assert_int_equal(fv_config_choice(config, "a", "c", 2, colours), 2);
    assert_true(fv_config_bytes(config, "a", "b", 5) == 5);
    fv_config_span(config, "a", "s", 1, 2, &low, &high);
    assert_true(low == 1 && high == 2);
    assert_false(fv_config_has(config, "a", "i"));
    assert_int_equal(fv_config_finish(config), FV_OK);
    fv_config_free(config);
    fv_config_free(NULL);
}

static void words_of_flags(void **state) {
    (void)state;
    static const char *const yes[] = {"yes", "TRUE", "On", "1"}, *const no[] = {"no", "false", "OFF", "0"};
    for (int i = 0; i < 4; i++) {
        char text[64];
        snprintf(text, sizeof text, "[a]\nyes = %s\nno = %s\n", yes[i], no[i]);
        fv_config *config = parse(text);
        assert_true(fv_config_flag(config, "a", "yes", false));
        assert_false(fv_config_flag(config, "a", "no", true));
        assert_int_equal(fv_config_finish(config), FV_OK);
        fv_config_free(config);
    }
}

static void units_of_bytes(void **state) {
    (void)state;
    static const struct {
        const char *text;
        long long bytes;
    } cases[] = {{"1000000", 1000000},
                 {"512MiB", 512LL << 20},
                 {"2GiB", 2LL << 30},
                 {"2gib", 2LL << 30},
                 {"3 kB", 3000},
                 {"0.5KiB", 512},
                 {"1TiB", 1LL << 40},
                 {"7B", 7},
                 {"0", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[64];
        snprintf(text, sizeof text, "[a]\nb = %s\n", cases[i].text);
        fv_config *config = parse(text);
        assert_true(fv_config_bytes(config, "a", "b", -1) == cases[i].bytes);
        assert_int_equal(fv_config_finish(config), FV_OK);
        fv_config_free(config);
    }
}

static void bad_values_name_place_and_range(void **state) {
    (void)state;
    typedef enum { integer, integer_above, number, number_below, any_number, flag, choice, span, bytes } kind;
    static const struct {
        kind kind;
        const char *value, *message;
    } cases[] = {
        {integer, "0", "must be a whole number from 1 to 9"},
        {integer, "10", "must be a whole number from 1 to 9"},
        {integer, "2.5", "must be a whole number from 1 to 9"},
        {integer, "99999999999999999999", "must be a whole number from 1 to 9"},
        {integer, "many", "must be a whole number from 1 to 9"},
        {integer_above, "-1", "must be a whole number of at least 0"},
        {number, "1.5", "must be a number from 0 to 1"},
        {number, "nan", "must be a number from 0 to 1"},
        {number, "0.5x", "must be a number from 0 to 1"},
        {number_below, "3", "must be a number of at most 2.5"},
        {any_number, "inf", "must be a number"},
        {flag, "maybe", "must be yes or no"},
        {choice, "gren", "must be one of rgb, lab, green; did you mean \"green\"?"},
        {choice, "hyperspectral", "must be one of rgb, lab, green"},
        {span, "2..1", "must be two numbers \"low..high\", the lower one first, or one number"},
        {span, "1..", "must be two numbers \"low..high\", the lower one first, or one number"},
        {span, "1 2 3", "must be two numbers \"low..high\", the lower one first, or one number"},
        {span, "1,2", "must be two numbers \"low..high\", the lower one first, or one number"},
        {bytes, "2 pounds", "must be a number of bytes such as 512MiB, 2GiB or 1000000"},
        {bytes, "-1", "must be a number of bytes such as 512MiB, 2GiB or 1000000"},
        {bytes, "1e30", "must be a number of bytes such as 512MiB, 2GiB or 1000000"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[100], sentence[300];
        double low, high;
        snprintf(text, sizeof text, "[a]\n\nk = %s\n", cases[i].value);
        snprintf(sentence, sizeof sentence, "a.ini:3: [a] k = %s: %s", cases[i].value, cases[i].message);
        fv_config *config = parse(text);
        switch (cases[i].kind) {
        case integer:
            assert_int_equal(fv_config_integer(config, "a", "k", 5, 1, 9), 5);
            break;
        case integer_above:
            assert_int_equal(fv_config_integer(config, "a", "k", 5, 0, LONG_MAX), 5);
            break;
        case number:
            assert_true(fv_config_number(config, "a", "k", 0.5, 0, 1) == 0.5);
            break;
        case number_below:
            assert_true(fv_config_number(config, "a", "k", 0.5, -INFINITY, 2.5) == 0.5);
            break;
        case any_number:
            assert_true(fv_config_number(config, "a", "k", 0.5, -INFINITY, INFINITY) == 0.5);
            break;
        case flag:
            assert_true(fv_config_flag(config, "a", "k", true));
            break;
        case choice:
            assert_int_equal(fv_config_choice(config, "a", "k", 1, colours), 1);
            break;
        case span:
            fv_config_span(config, "a", "k", 3, 4, &low, &high);
            assert_true(low == 3 && high == 4);
            break;
        case bytes:
            assert_true(fv_config_bytes(config, "a", "k", 77) == 77);
            break;
        }
        assert_finish(config, sentence);
    }
}

static void first_complaint_wins(void **state) {
    (void)state;
    fv_config *config = parse("[a]\nx = 0\ny = 0\nzz = 0\n");
    fv_config_integer(config, "a", "y", 1, 1, 2);
    fv_config_integer(config, "a", "x", 1, 1, 2);
    assert_int_equal(fv_config_complain(config, "a", "zz", "no file of %d", 3), FV_BAD_INPUT);
    assert_string_equal(fv_error(), "a.ini:4: [a] zz = 0: no file of 3");
    assert_finish(config, "a.ini:3: [a] y = 0: must be a whole number from 1 to 2");
}

static void complaints_from_outside_know_the_place(void **state) {
    (void)state;
    fv_config *config = parse("[a]\nx = here\n");
    assert_int_equal(fv_config_override(config, "a.y=there"), FV_OK);
    fv_config_text(config, "a", "z", "default");
    fv_config_complain(config, "a", "x", "no such file");
    assert_string_equal(fv_error(), "a.ini:2: [a] x = here: no such file");
    fv_config_complain(config, "a", "y", "no such file");
    assert_string_equal(fv_error(), "command line: [a] y = there: no such file");
    fv_config_complain(config, "a", "z", "no such file");
    assert_string_equal(fv_error(), "a.ini: [a] z = default: no such file");
    fv_config_complain(config, "a", "missing", "must be given");
    assert_string_equal(fv_error(), "a.ini: [a] missing: must be given");
    assert_finish(config, "a.ini:2: [a] x = here: no such file");
}

static fv_config *ask_three(const char *text) {
    fv_config *config = parse(text);
    fv_config_integer(config, "train", "epochs", 1, 1, 100);
    fv_config_integer(config, "train", "batch", 1, 1, 100);
    fv_config_text(config, "input", "folder", "");
    return config;
}

static void unknown_names_get_a_suggestion(void **state) {
    (void)state;
    assert_finish(ask_three("[train]\nbatch = 2\nepohcs = 3\n"),
                  "a.ini:3: [train] epohcs is not a key that fovea knows; did you mean \"epochs\"?");
    assert_finish(ask_three("[train]\nfolder = 2\n"),
                  "a.ini:2: [train] folder is not a key that fovea knows; did you mean the one of [input]?");
    assert_finish(ask_three("[train]\nquux = 2\n"), "a.ini:2: [train] quux is not a key that fovea knows; delete it");
    assert_finish(ask_three("[trian]\nepochs = 2\n"),
                  "a.ini:2: [trian] is not a section that fovea knows here; did you mean [train]?");
    assert_finish(ask_three("[train]\n[trian]\n"),
                  "a.ini:2: [trian] is not a section that fovea knows here; did you mean [train]?");
    assert_finish(ask_three("\n[colours]\n"), "a.ini:2: [colours] is not a section that fovea knows here; delete it");
    fv_config *config = ask_three("");
    assert_int_equal(fv_config_override(config, "train.bach=3"), FV_OK);
    assert_finish(config, "command line: [train] bach is not a key that fovea knows; did you mean \"batch\"?");
}

static void wrong_lines_are_refused(void **state) {
    (void)state;
    assert_refused("[a]\nx = 1\nwhat is this\n",
                   "a.ini:3: this is neither a [section] nor \"key = value\" nor a comment");
    assert_refused("[a\nx = 1\n", "a.ini:1: this is neither a [section] nor \"key = value\" nor a comment");
    assert_refused("x = 1\n", "a.ini:1: x stands before the first [section]");
    assert_refused("[a]\n= 1\n", "a.ini:2: a key is missing in front of \"=\"");
    assert_refused("[a]\nx = 1\n[b]\n[a]\nx = 2\n", "a.ini:5: [a] x was given already in line 2; delete one of them");
    assert_refused("[]\n", "a.ini:1: a section's name must have 1 to 49 letters");
    assert_refused("[123456789012345678901234567890123456789012345678901]\nx = 1\n",
                   "a.ini:1: a section's name must have 1 to 49 letters");
}

static void long_lines_are_read_or_refused(void **state) {
    (void)state;
    char text[6000] = "[a]\nx = ";
    size_t start = strlen(text);
    memset(text + start, 'v', 4094 - 4);
    strcpy(text + start + 4094 - 4, "\ny = 2\n");
    fv_config *config = parse(text); /* a line of 4094 bytes */
    assert_int_equal(strlen(fv_config_text(config, "a", "x", "")), 4090);
    assert_int_equal(fv_config_integer(config, "a", "y", 0, 0, 9), 2);
    fv_config_free(config);
    strcpy(text + start + 4094 - 4, "w\ny = 2\n");
    assert_refused(text, "a.ini:2: the line is longer than 4094 bytes; shorten it");
}

static void sections_with_dots_are_listed_in_order(void **state) {
    (void)state;
    fv_config *config =
        parse("[set.refuge]\nmanifest = r.csv\n[train]\nx = 1\n[set.drishti]\n[set.refuge]\nweight = 2\n");
    assert_int_equal(fv_config_override(config, "set.rim.manifest = a=b.csv "), FV_OK);
    assert_int_equal(fv_config_override(config, "set.refuge.weight=1"), FV_OK);
    assert_int_equal(fv_config_override(config, "set.refuge.weight=3"), FV_OK);
    assert_string_equal(fv_config_section(config, "set.", 0), "set.refuge");
    assert_string_equal(fv_config_section(config, "set.", 1), "set.drishti");
    assert_string_equal(fv_config_section(config, "set.", 2), "set.rim");
    assert_null(fv_config_section(config, "set.", 3));
    assert_string_equal(fv_config_text(config, "set.rim", "manifest", ""), "a=b.csv");
    assert_string_equal(fv_config_text(config, "set.refuge", "manifest", ""), "r.csv");
    assert_int_equal(fv_config_integer(config, "set.refuge", "weight", 0, 0, 9), 3);
    assert_true(fv_config_has(config, "train", "x"));
    fv_config_free(config);
}

static void overrides_have_one_form(void **state) {
    (void)state;
    static const char *const wrong[] = {"",     "epochs=3", "train.epochs", "=3",
                                        ".x=3", "train.=3", "tr[ain.x=3",   "train.a:b=1"};
    fv_config *config = parse("");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char sentence[200];
        snprintf(sentence, sizeof sentence,
                 "command line: \"%s\" is not of the form section.key=value, as train.epochs=30", wrong[i]);
        assert_int_equal(fv_config_override(config, wrong[i]), FV_BAD_INPUT);
        assert_string_equal(fv_error(), sentence);
    }
    assert_int_equal(fv_config_override(config, "a.b=c ; d"), FV_BAD_INPUT);
    assert_int_equal(fv_config_override(config, "a.b=c\nd"), FV_BAD_INPUT);
    assert_false(fv_config_has(config, "a", "b"));
    assert_int_equal(fv_config_override(config, "a.b="), FV_OK);
    assert_string_equal(fv_config_text(config, "a", "b", "x"), "");
    fv_config_free(config);
}

static void ask_all(fv_config *config) {
    double low, high;
    fv_config_integer(config, "train", "epochs", 10, 1, 1000);
    fv_config_text(config, "input", "folder", "photos");
    fv_config_number(config, "train", "rate", 0.1, 0, 1);
    fv_config_number(config, "train", "third", 1.0 / 3, 0, 1);
    fv_config_flag(config, "train", "flip", true);
    fv_config_choice(config, "input", "colour", 1, colours);
    fv_config_bytes(config, "input", "cache", 512 << 20);
    fv_config_span(config, "train", "gamma", 0.8, 1.25, &low, &high);
    fv_config_text(config, "input", "none", NULL);
    fv_config_integer(config, "train", "epochs", 10, 1, 1000);
}

static void resolved_text_reads_back_to_itself(void **state) {
    (void)state;
    fv_config *config = parse("[train]\nepochs = 20\nrate = 1e-4\n");
    assert_int_equal(fv_config_override(config, "train.flip=off"), FV_OK);
    ask_all(config);
    assert_int_equal(fv_config_finish(config), FV_OK);
    char *text = fv_config_resolved(config);
    assert_string_equal(
        text, "[train]\nepochs = 20\nrate = 0.0001\nthird = 0.3333333333333333\nflip = no\ngamma = 0.8..1.25\n\n"
              "[input]\nfolder = photos\ncolour = lab\ncache = 512MiB\n");
    fv_config_free(config);
    config = parse(text);
    ask_all(config);
    assert_int_equal(fv_config_finish(config), FV_OK);
    char *again = fv_config_resolved(config);
    assert_string_equal(again, text);
    free(text);
    free(again);
    fv_config_free(config);
}

static void value_like_a_comment_survives(void **state) {
    (void)state;
    fv_config *config = parse("[a]\nx =#00ff00\n");
    assert_string_equal(fv_config_text(config, "a", "x", NULL), "#00ff00");
    assert_string_equal(fv_config_text(config, "a", "empty", ""), "");
    char *text = fv_config_resolved(config);
    fv_config_free(config);
    config = parse(text);
    assert_string_equal(fv_config_text(config, "a", "x", NULL), "#00ff00");
    assert_string_equal(fv_config_text(config, "a", "empty", "full"), "");
    free(text);
    fv_config_free(config);
}

static void files_are_read_and_checked(void **state) {
    (void)state;
    fv_config *config;
    const char *path = temporary_path("c.ini");
    assert_int_equal(fv_file_write(path, "[a]\nx = 3\n", 10), FV_OK);
    assert_int_equal(fv_config_read(path, &config), FV_OK);
    assert_int_equal(fv_config_integer(config, "a", "x", 0, 0, 9), 3);
    fv_config_free(config);
    assert_int_equal(fv_config_read(temporary_path("none.ini"), &config), FV_BAD_INPUT);
    assert_null(config);
    assert_int_equal(fv_file_write(path, "[a]\nx = \0003\n", 11), FV_OK);
    assert_int_equal(fv_config_read(path, &config), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "c.ini is not a text file"));
    char *large = malloc((1 << 20) + 1);
    memset(large, '\n', (1 << 20) + 1);
    assert_int_equal(fv_file_write(path, large, (1 << 20) + 1), FV_OK);
    free(large);
    assert_int_equal(fv_config_read(path, &config), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "larger than 1.0 MiB"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_read),
        cmocka_unit_test(defaults_stand_in),
        cmocka_unit_test(words_of_flags),
        cmocka_unit_test(units_of_bytes),
        cmocka_unit_test(bad_values_name_place_and_range),
        cmocka_unit_test(first_complaint_wins),
        cmocka_unit_test(complaints_from_outside_know_the_place),
        cmocka_unit_test(unknown_names_get_a_suggestion),
        cmocka_unit_test(wrong_lines_are_refused),
        cmocka_unit_test(long_lines_are_read_or_refused),
        cmocka_unit_test(sections_with_dots_are_listed_in_order),
        cmocka_unit_test(overrides_have_one_form),
        cmocka_unit_test(resolved_text_reads_back_to_itself),
        cmocka_unit_test(value_like_a_comment_survives),
        cmocka_unit_test(files_are_read_and_checked),
    };
    return cmocka_run_group_tests(tests, temporary_setup, temporary_teardown);
}
