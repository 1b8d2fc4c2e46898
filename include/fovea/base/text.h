/* Texts that come from elsewhere (file names, cells of tables) made safe to write where UTF-8 is expected. */
#ifndef FOVEA_BASE_TEXT_H
#define FOVEA_BASE_TEXT_H

#include <stddef.h>

/* Copies at most `size` - 1 bytes (size at least 1), never half a character. Bytes that are not UTF-8 (RFC 3629,
   section 4), and control characters, become '?'. The copy is never longer than the text. */
void fv_text_clean(const char *text, char *out, size_t size);

#endif
