/* Texts of any bytes made UTF-8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fovea/base/text.h"

static void expect_clean(const char *text, const char *expected) {
    char out[64];
    fv_text_clean(text, out, sizeof out);
    assert_string_equal(out, expected);
}

static void good_text_stays(void **state) {
    (void)state;
    expect_clean("", "");
    expect_clean("eye 7.tif", "eye 7.tif");
    expect_clean("\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x91\x81", "\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x91\x81");
}

static void what_is_not_utf8_is_marked(void **state) {
    (void)state;
    expect_clean("\xE9ye", "?ye");                  /* Latin-1 */
    expect_clean("a\tb\n", "a?b?");                 /* control characters */
    expect_clean("\xC0\xAF", "??");                 /* overlong */
    expect_clean("\xED\xA0\x80", "???");            /* a surrogate */
    expect_clean("\xF4\x90\x80\x80", "????");       /* above U+10FFFF */
    expect_clean("\xE2\x82", "??");                 /* cut off */
    expect_clean("\x80\xC3\xA9\xFF", "?\xC3\xA9?"); /* among good ones */
}

static void no_character_is_cut(void **state) {
    (void)state;
    char out[4] = "xyz";
    fv_text_clean("ab\xC3\xA9", out, sizeof out);
    assert_string_equal(out, "ab");
    fv_text_clean("abcdef", out, sizeof out);
    assert_string_equal(out, "abc");
    fv_text_clean("abc", out, 1);
    assert_string_equal(out, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_text_stays),
        cmocka_unit_test(what_is_not_utf8_is_marked),
        cmocka_unit_test(no_character_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
