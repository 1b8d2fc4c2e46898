/* Settings from an INI file, overridden by section.key=value words of the command line.

   Every module asks for the keys it knows, with default and range; asking also records the resolved value. After all
   modules have asked, fv_config_finish() reports the first bad value, or a key that nobody asked for, with file, line
   and the nearest known key. So there is one place where a key is defined: the place that uses it. */
#ifndef FOVEA_BASE_CONFIG_H
#define FOVEA_BASE_CONFIG_H

#include <stdbool.h>

#include "fovea/base/status.h"

typedef struct fv_config fv_config;

/* Parses an INI file (inih): [section] lines, "key = value" or "key: value", comments behind ';' or '#' at the
   beginning of a line or after white space, UTF-8, an optional byte order mark, at most 1 MiB, lines of at most 4094
   bytes, names of at most 49. A key given twice is an error, a section may be continued later. `path` may be NULL for
   an empty configuration. Free with fv_config_free(). */
fv_status fv_config_read(const char *path, fv_config **config);
/* The same from text in memory; `name` stands in error messages. */
fv_status fv_config_parse(const char *text, const char *name, fv_config **config);
void fv_config_free(fv_config *config);
/* Applies one override "section.key=value"; the section may itself contain dots ("set.drishti.manifest=a.csv"). The
   last one wins. FV_BAD_INPUT for another form, or a value that could not stand in an INI file. */
fv_status fv_config_override(fv_config *config, const char *assignment);
/* Whether the file or an override gives the key. */
bool fv_config_has(const fv_config *config, const char *section, const char *key);

/* Each returns the value given, or `standard`. A value that does not parse or is out of range is remembered for
   fv_config_finish() and `standard` is returned. Given texts live as long as the configuration or until the next
   override; `standard` may be NULL for a text without default, which fv_config_resolved() then leaves out. */
const char *fv_config_text(fv_config *config, const char *section, const char *key, const char *standard);
double fv_config_number(fv_config *config, const char *section, const char *key, double standard, double low,
                        double high);
long fv_config_integer(fv_config *config, const char *section, const char *key, long standard, long low, long high);
bool fv_config_flag(fv_config *config, const char *section, const char *key,
                    bool standard); /* yes/no/true/false/on/off/1/0 */
/* Two numbers "low..high" or "low high" or one number (both the same). */
void fv_config_span(fv_config *config, const char *section, const char *key, double standard_low, double standard_high,
                    double *low, double *high);
/* Index into the NULL-terminated list of names. */
int fv_config_choice(fv_config *config, const char *section, const char *key, int standard, const char *const *names);
/* Bytes, "512MiB", "2GiB", "1000000". */
long long fv_config_bytes(fv_config *config, const char *section, const char *key, long long standard);

/* Names of sections that begin with `prefix`, in file order, returned one by one: index 0, 1, ...; NULL at the end. */
const char *fv_config_section(const fv_config *config, const char *prefix, int index);

/* FV_OK, or FV_BAD_INPUT with the first complaint: a bad value in the order of asking, else a key or section that
   nobody asked for in the order of the file, with the nearest known name. */
fv_status fv_config_finish(fv_config *config);
/* Only the bad values: for who reads a part of the settings and lets the other keys pass. */
fv_status fv_config_check(const fv_config *config);
/* Marks a value wrong from outside (a file that it names is missing, say); first complaint wins. Returns FV_BAD_INPUT
   with the sentence "FILE:LINE: [section] key = value: MESSAGE" ("command line: ..." for an override, no line for a
   default). */
fv_status fv_config_complain(fv_config *config, const char *section, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* All resolved keys as INI text, sections and keys in the order they were asked for. Free with free(). */
char *fv_config_resolved(const fv_config *config);

#endif
