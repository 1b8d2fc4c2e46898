#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config_store.h"
#include "fovea/base/nearest.h"

#define NUMBER_TEXT 40
#define CHOICES_TEXT 512

/* ---- asking ---- */

/* The text given for a key, NULL when there is none; the key is known from now on. */
static const char *given(fv_config *config, const char *section, const char *key) {
    fv_config_entry *entry = fv_config_find(config, section, key);
    if (!entry) return NULL;
    entry->asked = true;
    return entry->value;
}

/* Records the value in force. Asked again, a key keeps its place in the order. */
static void record(fv_config *config, const char *section, const char *key, const char *value) {
    fv_config_asked fresh = {strdup(section), strdup(key), value ? strdup(value) : NULL};
    fv_config_asked *place = NULL;
    for (int i = 0; i < config->asked_count && !place; i++)
        if (!strcmp(config->asked[i].key, key) && !strcmp(config->asked[i].section, section)) place = &config->asked[i];
    if (!place) {
        fv_config_asked *larger = fv_config_grow(config, config->asked, config->asked_count, sizeof *larger);
        if (larger) {
            config->asked = larger;
            place = &larger[config->asked_count];
        }
    }
    bool complete = place && fresh.section && fresh.key && (fresh.value || !value);
    fv_config_asked spare = fresh;
    if (complete) {
        bool is_new = place == config->asked + config->asked_count;
        spare = is_new ? (fv_config_asked){0} : *place;
        *place = fresh;
        config->asked_count += is_new;
    } else {
        fv_config_keep(config, FV_NO_RESOURCE, "not enough memory for the settings");
    }
    free(spare.section);
    free(spare.key);
    free(spare.value);
}

bool fv_config_has(const fv_config *config, const char *section, const char *key) {
    return fv_config_find(config, section, key) != NULL;
}

const char *fv_config_text(fv_config *config, const char *section, const char *key, const char *standard) {
    const char *text = given(config, section, key);
    record(config, section, key, text ? text : standard);
    return text ? text : standard;
}

/* ---- numbers ---- */

/* The shortest decimal that reads back as the same number. */
static void number_text(double value, char text[NUMBER_TEXT]) {
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, NUMBER_TEXT, "%.*g", digits, value);
        if (strtod(text, NULL) == value) return;
    }
}

/* One finite number and nothing behind it but white space. */
static bool parse_number(const char *text, double *value) {
    char *end;
    *value = strtod(text, &end);
    return end != text && end[strspn(end, " \t")] == 0 && isfinite(*value);
}

double fv_config_number(fv_config *config, const char *section, const char *key, double standard, double low,
                        double high) {
    char text[NUMBER_TEXT], least[NUMBER_TEXT], most[NUMBER_TEXT];
    const char *word = given(config, section, key);
    double value = standard;
    bool right = !word || (parse_number(word, &value) && value >= low && value <= high);
    if (!right) {
        value = standard;
        number_text(low, least);
        number_text(high, most);
        if (isinf(low) && isinf(high))
            fv_config_complain(config, section, key, "must be a number");
        else if (isinf(high))
            fv_config_complain(config, section, key, "must be a number of at least %s", least);
        else if (isinf(low))
            fv_config_complain(config, section, key, "must be a number of at most %s", most);
        else
            fv_config_complain(config, section, key, "must be a number from %s to %s", least, most);
    }
    number_text(value, text);
    record(config, section, key, text);
    return value;
}

static bool parse_integer(const char *text, long *value) {
    char *end;
    errno = 0;
    *value = strtol(text, &end, 10);
    return end != text && end[strspn(end, " \t")] == 0 && errno == 0;
}

long fv_config_integer(fv_config *config, const char *section, const char *key, long standard, long low, long high) {
    const char *word = given(config, section, key);
    long value = standard;
    bool right = !word || (parse_integer(word, &value) && value >= low && value <= high);
    if (!right) {
        value = standard;
        if (low == LONG_MIN && high == LONG_MAX)
            fv_config_complain(config, section, key, "must be a whole number");
        else if (high == LONG_MAX)
            fv_config_complain(config, section, key, "must be a whole number of at least %ld", low);
        else if (low == LONG_MIN)
            fv_config_complain(config, section, key, "must be a whole number of at most %ld", high);
        else
            fv_config_complain(config, section, key, "must be a whole number from %ld to %ld", low, high);
    }
    char text[NUMBER_TEXT];
    snprintf(text, sizeof text, "%ld", value);
    record(config, section, key, text);
    return value;
}

/* "low..high", "low high" or one number. The dots are looked for first: strtod would eat the first of "1..2". */
static bool parse_span(const char *text, double *low, double *high) {
    char copy[128];
    if (snprintf(copy, sizeof copy, "%s", text) >= (int)sizeof copy) return false;
    char *dots = strstr(copy, "..");
    if (dots) {
        *dots = 0;
        return parse_number(copy, low) && parse_number(dots + 2, high) && *low <= *high;
    }
    char *end;
    *low = strtod(copy, &end);
    if (end == copy || !isfinite(*low)) return false;
    *high = *low;
    if (end[strspn(end, " \t")] == 0) return true;
    return strchr(" \t", *end) && parse_number(end, high) && *low <= *high;
}

void fv_config_span(fv_config *config, const char *section, const char *key, double standard_low, double standard_high,
                    double *low, double *high) {
    const char *word = given(config, section, key);
    if (!word || !parse_span(word, low, high)) {
        *low = standard_low;
        *high = standard_high;
        if (word)
            fv_config_complain(config, section, key,
                               "must be two numbers \"low..high\", the lower one first, or one number");
    }
    char text[2 * NUMBER_TEXT + 2], first[NUMBER_TEXT], second[NUMBER_TEXT];
    number_text(*low, first);
    number_text(*high, second);
    snprintf(text, sizeof text, "%s..%s", first, second);
    record(config, section, key, text);
}

/* ---- words ---- */

bool fv_config_flag(fv_config *config, const char *section, const char *key, bool standard) {
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1"}; /* odd: true */
    const char *word = given(config, section, key);
    bool value = standard;
    int found = 0, count = sizeof words / sizeof *words;
    while (word && found < count && strcasecmp(word, words[found])) found++;
    if (word && found < count) value = found % 2;
    if (word && found == count) fv_config_complain(config, section, key, "must be yes or no");
    record(config, section, key, value ? "yes" : "no");
    return value;
}

static void complain_choice(fv_config *config, const char *section, const char *key, const char *word,
                            const char *const *names) {
    char all[CHOICES_TEXT] = "";
    size_t used = 0;
    int count = 0;
    for (; names[count] && used < sizeof all; count++)
        used += (size_t)snprintf(all + used, sizeof all - used, "%s%s", count ? ", " : "", names[count]);
    int near = fv_nearest(word, names, count);
    if (near >= 0)
        fv_config_complain(config, section, key, "must be one of %s; did you mean \"%s\"?", all, names[near]);
    else
        fv_config_complain(config, section, key, "must be one of %s", all);
}

int fv_config_choice(fv_config *config, const char *section, const char *key, int standard, const char *const *names) {
    const char *word = given(config, section, key);
    int value = standard;
    if (word) {
        for (value = 0; names[value] && strcmp(names[value], word);) value++;
        if (!names[value]) {
            value = standard;
            complain_choice(config, section, key, word, names);
        }
    }
    record(config, section, key, names[value]);
    return value;
}

/* ---- bytes ---- */

static const struct {
    const char *name;
    double factor;
} units[] = {{"", 1},       {"B", 1},         {"kB", 1e3},      {"MB", 1e6},    {"GB", 1e9},
             {"KiB", 1024}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 0x1p40}};

static bool parse_bytes(const char *text, long long *bytes) {
    char *end;
    double number = strtod(text, &end);
    if (end == text) return false;
    end += strspn(end, " \t");
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcasecmp(end, units[i].name)) continue;
        double product = number * units[i].factor;
        if (!(product >= 0 && product < 0x1p62)) return false;
        *bytes = (long long)product;
        return true;
    }
    return false;
}

long long fv_config_bytes(fv_config *config, const char *section, const char *key, long long standard) {
    const char *word = given(config, section, key);
    long long value = standard;
    if (word && !parse_bytes(word, &value)) {
        value = standard;
        fv_config_complain(config, section, key, "must be a number of bytes such as 512MiB, 2GiB or 1000000");
    }
    char text[NUMBER_TEXT];
    bool whole = value > 0 && value % (1 << 20) == 0;
    snprintf(text, sizeof text, "%lld%s", whole ? value >> 20 : value, whole ? "MiB" : "");
    record(config, section, key, text);
    return value;
}

/* ---- the values in force ---- */

/* Writes section by section, a section where its first key was asked. */
static void write_resolved(const fv_config *config, FILE *stream) {
    for (int i = 0; i < config->asked_count; i++) {
        const char *section = config->asked[i].section;
        bool seen = false;
        for (int j = 0; j < i && !seen; j++) seen = !strcmp(config->asked[j].section, section);
        if (seen) continue;
        fprintf(stream, "%s[%s]\n", i ? "\n" : "", section);
        for (int j = i; j < config->asked_count; j++) {
            const fv_config_asked *asked = &config->asked[j];
            if (!asked->value || strcmp(asked->section, section)) continue;
            /* Behind a space, ';' or '#' would begin a comment. */
            fprintf(stream, "%s =%s%s\n", asked->key, strchr(";#", asked->value[0]) ? "" : " ", asked->value);
        }
    }
}

char *fv_config_resolved(const fv_config *config) {
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    if (!stream) return NULL;
    write_resolved(config, stream);
    bool failed = ferror(stream);
    if (fclose(stream) || failed) {
        free(text);
        return NULL;
    }
    return text;
}
