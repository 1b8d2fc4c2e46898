#include <ini.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_store.h"
#include "fovea/base/file.h"
#include "fovea/base/memory.h"
#include "fovea/base/nearest.h"

#define FILE_LIMIT ((size_t)1 << 20)
#define LINE_LIMIT 4096  /* bytes of one line, its end included */
#define NAME_LIMIT 49    /* inih cuts longer names without a word */
#define ENTRY_LIMIT 4096 /* keys, and sections */

/* ---- storage ---- */

fv_config_entry *fv_config_find(const fv_config *config, const char *section, const char *key) {
    for (int i = 0; i < config->entry_count; i++) {
        fv_config_entry *entry = &config->entries[i];
        if (!strcmp(entry->key, key) && !strcmp(entry->section, section)) return entry;
    }
    return NULL;
}

void fv_config_place(const fv_config *config, int line, char *text, int size) {
    if (line == FV_COMMAND_LINE)
        snprintf(text, (size_t)size, "command line: ");
    else if (line < 0)
        snprintf(text, (size_t)size, "%s: ", config->name);
    else
        snprintf(text, (size_t)size, "%s:%d: ", config->name, line);
}

void fv_config_keep(fv_config *config, fv_status status, const char *sentence) {
    if (config->status != FV_OK) return;
    config->status = status;
    snprintf(config->complaint, sizeof config->complaint, "%s", sentence);
}

__attribute__((format(printf, 3, 4))) static void complain_at(fv_config *config, int line, const char *format, ...) {
    char sentence[FV_CONFIG_COMPLAINT];
    fv_config_place(config, line, sentence, sizeof sentence);
    size_t used = strlen(sentence);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence + used, sizeof sentence - used, format, arguments);
    va_end(arguments);
    fv_config_keep(config, FV_BAD_INPUT, sentence);
}

static void complain_memory(fv_config *config) {
    fv_config_keep(config, FV_NO_RESOURCE, "not enough memory for the settings");
}

void *fv_config_grow(fv_config *config, void *list, int count, int size) {
    bool full = (count & (count - 1)) == 0; /* capacities are powers of two */
    if (!full) return list;
    void *larger = realloc(list, (count ? 2 * (size_t)count : 1) * (size_t)size);
    if (!larger) complain_memory(config);
    return larger;
}

static const fv_config_heading *find_heading(const fv_config *config, const char *name) {
    for (int i = 0; i < config->heading_count; i++)
        if (!strcmp(config->headings[i].name, name)) return &config->headings[i];
    return NULL;
}

static void add_heading(fv_config *config, const char *name, int line) {
    if (find_heading(config, name)) return;
    if (config->heading_count >= ENTRY_LIMIT) {
        complain_at(config, line, "more than %d sections", ENTRY_LIMIT);
        return;
    }
    void *larger = fv_config_grow(config, config->headings, config->heading_count, sizeof *config->headings);
    if (!larger) return;
    config->headings = larger;
    char *copy = strdup(name);
    if (copy)
        config->headings[config->heading_count++] = (fv_config_heading){.name = copy, .line = line};
    else
        complain_memory(config);
}

static void add_entry(fv_config *config, const char *section, const char *key, const char *value, int line) {
    if (config->entry_count >= ENTRY_LIMIT) {
        complain_at(config, line, "more than %d keys", ENTRY_LIMIT);
        return;
    }
    void *larger = fv_config_grow(config, config->entries, config->entry_count, sizeof *config->entries);
    if (!larger) return;
    config->entries = larger;
    fv_config_entry entry = {strdup(section), strdup(key), strdup(value), line, false};
    if (entry.section && entry.key && entry.value) {
        config->entries[config->entry_count++] = entry;
        return;
    }
    free(entry.section);
    free(entry.key);
    free(entry.value);
    complain_memory(config);
}

/* ---- reading ---- */

typedef struct parse {
    fv_config *config;
    const char *rest; /* of the text */
    int line;         /* number of the line that inih looks at; Debian's inih does not tell it to the handler */
} parse;

/* Registers a "[section]" line: inih passes on only sections that have keys, and cuts long names. */
static void note_heading(parse *state, const char *line) {
    const char *start = line + strspn(line, " \t");
    if (state->line == 1 && !strncmp(start, "\xef\xbb\xbf", 3)) start += 3;
    const char *end = *start == '[' ? strchr(start, ']') : NULL;
    if (!end) return;
    int length = (int)(end - start - 1);
    if (length == 0 || length > NAME_LIMIT) {
        complain_at(state->config, state->line, "a section's name must have 1 to %d letters", NAME_LIMIT);
        return;
    }
    char name[NAME_LIMIT + 1];
    snprintf(name, sizeof name, "%.*s", length, start + 1);
    add_heading(state->config, name, state->line);
}

/* fgets for inih, from memory. */
static char *next_line(char *line, int size, void *stream) {
    parse *state = stream;
    if (!*state->rest) return NULL;
    state->line++;
    size_t length = strcspn(state->rest, "\n");
    size_t step = length + (state->rest[length] == '\n');
    if (step >= (size_t)size) {
        complain_at(state->config, state->line, "the line is longer than %d bytes; shorten it", size - 2);
        length = 0; /* inih sees an empty line */
    }
    memcpy(line, state->rest, length);
    line[length] = 0;
    state->rest += step;
    note_heading(state, line);
    return line;
}

static int take_value(void *user, const char *section, const char *key, const char *value) {
    parse *state = user;
    fv_config *config = state->config;
    const fv_config_entry *old = fv_config_find(config, section, key);
    if (!*section)
        complain_at(config, state->line, "%s stands before the first [section]", key);
    else if (!*key)
        complain_at(config, state->line, "a key is missing in front of \"=\"");
    else if (strlen(key) > NAME_LIMIT)
        complain_at(config, state->line, "a key must have at most %d letters", NAME_LIMIT);
    else if (old)
        complain_at(config, state->line, "[%s] %s was given already in line %d; delete one of them", section, key,
                    old->line);
    else
        add_entry(config, section, key, value, state->line);
    return 1;
}

/* inih is set up by global variables. Lines are ended by the reader above, so that initial size and limit are the same;
   a continued value ("multiline") would swallow an indented key. */
static void set_up_inih(void) {
    static char comments[] = ";#";
    ini_use_stack = false;
    ini_allow_realloc = false;
    ini_initial_alloc = ini_max_line = LINE_LIMIT;
    ini_allow_multiline = false;
    ini_allow_bom = true;
    ini_allow_no_value = false;
    ini_stop_on_first_error = true; /* what the handler finds in later lines must not come first */
    ini_allow_inline_comments = true;
    ini_inline_comment_prefixes = comments;
    ini_start_comment_prefixes = comments;
}

static void parse_text(fv_config *config, const char *text) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_up_inih);
    parse state = {.config = config, .rest = text};
    int wrong = ini_parse_stream(next_line, &state, take_value, &state);
    if (wrong < 0) complain_memory(config);
    if (wrong > 0) complain_at(config, wrong, "this is neither a [section] nor \"key = value\" nor a comment");
}

fv_status fv_config_parse(const char *text, const char *name, fv_config **config) {
    *config = NULL;
    fv_config *fresh = fv_allocate(1, sizeof *fresh, "the settings");
    if (!fresh) return FV_NO_RESOURCE;
    fresh->name = strdup(name);
    if (fresh->name)
        parse_text(fresh, text);
    else
        complain_memory(fresh);
    if (fresh->status != FV_OK) {
        fv_status status = fv_fail(fresh->status, "%s", fresh->complaint);
        fv_config_free(fresh);
        return status;
    }
    *config = fresh;
    return FV_OK;
}

fv_status fv_config_read(const char *path, fv_config **config) {
    *config = NULL;
    if (!path) return fv_config_parse("", "settings", config);
    void *text;
    size_t bytes;
    FV_TRY(fv_file_read(path, FILE_LIMIT, &text, &bytes));
    fv_status status =
        memchr(text, 0, bytes)
            ? fv_fail(FV_BAD_INPUT, "%s is not a text file (it holds a zero byte); name an INI file", path)
            : fv_config_parse(text, path, config);
    free(text);
    return status;
}

void fv_config_free(fv_config *config) {
    if (!config) return;
    for (int i = 0; i < config->entry_count; i++) {
        free(config->entries[i].section);
        free(config->entries[i].key);
        free(config->entries[i].value);
    }
    for (int i = 0; i < config->asked_count; i++) {
        free(config->asked[i].section);
        free(config->asked[i].key);
        free(config->asked[i].value);
    }
    for (int i = 0; i < config->heading_count; i++) free(config->headings[i].name);
    free(config->entries);
    free(config->asked);
    free(config->headings);
    free(config->name);
    free(config);
}

/* ---- overriding ---- */

/* Cuts white space at both ends, in place. */
static char *trim(char *text) {
    text += strspn(text, " \t");
    size_t length = strlen(text);
    while (length && strchr(" \t", text[length - 1])) length--;
    text[length] = 0;
    return text;
}

static fv_status replace_value(fv_config *config, const char *section, const char *key, const char *value) {
    fv_config_entry *old = fv_config_find(config, section, key);
    if (old) {
        char *copy = strdup(value);
        if (!copy) return fv_fail_memory("a setting of the command line", strlen(value));
        free(old->value);
        old->value = copy;
        old->line = FV_COMMAND_LINE;
        return FV_OK;
    }
    add_heading(config, section, FV_COMMAND_LINE);
    add_entry(config, section, key, value, FV_COMMAND_LINE);
    return config->status == FV_OK ? FV_OK : fv_fail(config->status, "%s", config->complaint);
}

fv_status fv_config_override(fv_config *config, const char *assignment) {
    char text[LINE_LIMIT];
    if (snprintf(text, sizeof text, "%s", assignment) >= (int)sizeof text)
        return fv_fail(FV_BAD_INPUT, "command line: \"%.60s...\" is longer than %d bytes", assignment, LINE_LIMIT - 1);
    char *equals = strchr(text, '=');
    if (equals) *equals = 0;
    char *dot = equals ? strrchr(text, '.') : NULL;
    if (dot) *dot = 0;
    char *section = trim(text), *key = dot ? trim(dot + 1) : section;
    if (!dot || !*section || !*key || strlen(section) > NAME_LIMIT || strlen(key) > NAME_LIMIT ||
        strpbrk(section, "[]\r\n") || strpbrk(key, "[]:\r\n"))
        return fv_fail(FV_BAD_INPUT, "command line: \"%s\" is not of the form section.key=value, as train.epochs=30",
                       assignment);
    char *value = trim(equals + 1);
    /* The value must survive in the INI text of the run. */
    if (strpbrk(value, "\r\n\v\f") || strstr(value, " ;") || strstr(value, " #") || strstr(value, "\t;") ||
        strstr(value, "\t#"))
        return fv_fail(FV_BAD_INPUT, "command line: the value of %s.%s must not contain a line end, \" ;\" or \" #\"",
                       section, key);
    return replace_value(config, section, key, value);
}

/* ---- complaining ---- */

fv_status fv_config_complain(fv_config *config, const char *section, const char *key, const char *format, ...) {
    const fv_config_entry *entry = fv_config_find(config, section, key);
    char place[256], message[FV_CONFIG_COMPLAINT], sentence[FV_CONFIG_COMPLAINT];
    fv_config_place(config, entry ? entry->line : -1, place, sizeof place);
    const char *value = entry ? entry->value : NULL;
    for (int i = 0; i < config->asked_count && !value; i++)
        if (!strcmp(config->asked[i].section, section) && !strcmp(config->asked[i].key, key))
            value = config->asked[i].value;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    int used = snprintf(sentence, sizeof sentence, "%s[%s] %s%s%.200s: ", place, section, key, value ? " = " : "",
                        value ? value : "");
    if (used >= 0 && used < (int)sizeof sentence)
        snprintf(sentence + used, sizeof sentence - (size_t)used, "%s", message);
    fv_config_keep(config, FV_BAD_INPUT, sentence);
    return fv_fail(FV_BAD_INPUT, "%s", sentence);
}

static bool section_is_known(const fv_config *config, const char *section) {
    for (int i = 0; i < config->asked_count; i++)
        if (!strcmp(config->asked[i].section, section)) return true;
    return false;
}

/* Index into config->asked of what a mistyped name probably meant, -1 when nothing is near. With `section`, a key of
   this section, else a section. */
static int nearest_asked(fv_config *config, const char *section, const char *word) {
    const char **names = calloc((size_t)config->asked_count + 1, sizeof *names);
    if (!names) return -1;
    for (int i = 0; i < config->asked_count; i++) {
        const fv_config_asked *asked = &config->asked[i];
        names[i] = !section ? asked->section : strcmp(asked->section, section) ? NULL : asked->key;
    }
    int best = fv_nearest(word, names, config->asked_count);
    free(names);
    return best;
}

static void complain_unknown_section(fv_config *config, const char *section, int line) {
    int near = nearest_asked(config, NULL, section);
    if (near >= 0)
        complain_at(config, line, "[%s] is not a section that fovea knows here; did you mean [%s]?", section,
                    config->asked[near].section);
    else
        complain_at(config, line, "[%s] is not a section that fovea knows here; delete it", section);
}

static void complain_unknown_key(fv_config *config, const fv_config_entry *entry) {
    const char *section = entry->section, *key = entry->key;
    int near = nearest_asked(config, section, key);
    if (near >= 0) {
        complain_at(config, entry->line, "[%s] %s is not a key that fovea knows; did you mean \"%s\"?", section, key,
                    config->asked[near].key);
        return;
    }
    for (int i = 0; i < config->asked_count; i++) {
        if (strcmp(config->asked[i].key, key)) continue;
        complain_at(config, entry->line, "[%s] %s is not a key that fovea knows; did you mean the one of [%s]?",
                    section, key, config->asked[i].section);
        return;
    }
    complain_at(config, entry->line, "[%s] %s is not a key that fovea knows; delete it", section, key);
}

fv_status fv_config_finish(fv_config *config) {
    for (int i = 0; i < config->entry_count && config->status == FV_OK; i++) {
        const fv_config_entry *entry = &config->entries[i];
        if (entry->asked) continue;
        if (section_is_known(config, entry->section))
            complain_unknown_key(config, entry);
        else
            complain_unknown_section(config, entry->section, entry->line);
    }
    for (int i = 0; i < config->heading_count && config->status == FV_OK; i++)
        if (!section_is_known(config, config->headings[i].name))
            complain_unknown_section(config, config->headings[i].name, config->headings[i].line);
    return fv_config_check(config);
}

fv_status fv_config_check(const fv_config *config) {
    return config->status == FV_OK ? FV_OK : fv_fail(config->status, "%s", config->complaint);
}

const char *fv_config_section(const fv_config *config, const char *prefix, int index) {
    for (int i = 0; i < config->heading_count; i++)
        if (!strncmp(config->headings[i].name, prefix, strlen(prefix)) && index-- == 0) return config->headings[i].name;
    return NULL;
}
