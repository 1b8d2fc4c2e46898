#include "fovea/base/text.h"

#include <stdbool.h>
#include <string.h>

/* Bytes of the well-formed UTF-8 character at `s`, 0 where there is none. (RFC 3629, section 4.) */
static int utf8_length(const unsigned char *s) {
    if (s[0] < 0x80) return 1;
    if (s[0] < 0xC2 || s[0] > 0xF4) return 0;
    const int length = s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
    for (int i = 1; i < length; i++)
        if ((s[i] & 0xC0) != 0x80) return 0;
    const bool overlong = (s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xF0 && s[1] < 0x90);
    const bool outside = (s[0] == 0xED && s[1] > 0x9F) || (s[0] == 0xF4 && s[1] > 0x8F);
    return overlong || outside ? 0 : length;
}

void fv_text_clean(const char *text, char *out, size_t size) {
    size_t used = 0;
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        const int length = utf8_length(s);
        if (used + (size_t)(length ? length : 1) >= size) break;
        if (length == 0 || *s < 0x20) {
            out[used++] = '?';
            s++;
        } else {
            memcpy(out + used, s, (size_t)length);
            used += (size_t)length;
            s += length;
        }
    }
    out[used] = 0;
}
