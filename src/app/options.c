#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/log.h"
#include "fovea/base/nearest.h"
#include "fovea/base/threads.h"

#define MAX_OPTIONS 32
#define FIRST_LONG 1000 /* getopt_long()'s values of options; letters lie below */

static bool quiet, help;
static long threads;

static const option_spec common[] = {
    {"threads", OPTION_INTEGER, &threads, "N", "threads to use (default: all processors)", 1, FV_MAX_THREADS},
    {"quiet", OPTION_FLAG, &quiet, NULL, "print errors and results only", 0, 0},
    {"help", OPTION_FLAG, &help, NULL, "show this text", 0, 0},
};
#define COMMON_COUNT (int)(sizeof common / sizeof *common)

const char options_exit_codes[] =
    "0 good, 1 findings (data check), 2 bad input or use, 3 out of memory or disk, 130 interrupted";

static options_visit *diverted;
static void *diverted_context;

void options_divert_help(options_visit *visit, void *context) {
    diverted = visit;
    diverted_context = context;
}

int options_count(const command_line *line) {
    return line->option_count + COMMON_COUNT;
}

const option_spec *options_at(const command_line *line, int i) {
    return i < line->option_count ? &line->options[i] : &common[i - line->option_count];
}

static void print_option(const option_spec *o) {
    char left[64];
    snprintf(left, sizeof left, "--%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
    printf("  %-24s %s\n", left, o->help);
}

static void print_help(const command_line *line) {
    printf("fovea %s %s\n\n%s\n\noptions:\n", line->command, line->usage, line->summary);
    for (int i = 0; i < options_count(line); i++) print_option(options_at(line, i));
    printf("\nexamples:\n%s\n\nexit codes: %s\n", line->examples, options_exit_codes);
}

static fv_status take_integer(const command_line *line, const option_spec *o, const char *text) {
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (*text == '\0' || *end != '\0' || errno || number < o->low || number > o->high)
        return fv_fail(FV_BAD_INPUT, "--%s %s: expected a whole number from %ld to %ld; see fovea %s --help", o->name,
                       text, o->low, o->high, line->command);
    *(long *)o->target = number;
    return FV_OK;
}

static fv_status take_number(const command_line *line, const option_spec *o, const char *text) {
    char *end;
    double number = strtod(text, &end);
    if (*text == '\0' || *end != '\0' || !(number >= (double)o->low && number <= (double)o->high))
        return fv_fail(FV_BAD_INPUT, "--%s %s: expected a number from %ld to %ld; see fovea %s --help", o->name, text,
                       o->low, o->high, line->command);
    *(double *)o->target = number;
    return FV_OK;
}

static fv_status take(const command_line *line, const option_spec *o, const char *text) {
    option_list *list = o->target;
    switch (o->kind) {
    case OPTION_FLAG:
        *(bool *)o->target = true;
        return FV_OK;
    case OPTION_TEXT:
        if (!*text) return fv_fail(FV_BAD_INPUT, "--%s needs a value; see fovea %s --help", o->name, line->command);
        *(const char **)o->target = text;
        return FV_OK;
    case OPTION_INTEGER:
        return take_integer(line, o, text);
    case OPTION_NUMBER:
        return take_number(line, o, text);
    case OPTION_LIST:
        if (list->count == OPTION_LIST_MAX)
            return fv_fail(FV_BAD_INPUT, "--%s is given more than %d times", o->name, OPTION_LIST_MAX);
        list->items[list->count++] = text;
        return FV_OK;
    }
    return FV_OK;
}

/* The word that getopt_long() stopped at. It is the last one taken, unless the slip is inside a word of short options
   ("-quiet": -q -u ...), which is taken only with its last letter. */
static const char *stopped_at(char **argv) {
    const char *taken = argv[optind - 1], *next = argv[optind];
    if (optopt <= 0 || optopt >= FIRST_LONG) return taken;
    bool at_end = taken[0] == '-' && taken[1] != '-' && taken[strlen(taken) - 1] == optopt;
    return at_end || !next ? taken : next;
}

static fv_status wrong_option(const command_line *line, int result, const char *word) {
    if (result == ':') return fv_fail(FV_BAD_INPUT, "%s needs a value; see fovea %s --help", word, line->command);
    const char *names[MAX_OPTIONS];
    int total = options_count(line);
    if (optopt >= FIRST_LONG)
        return fv_fail(FV_BAD_INPUT, "%s: --%s takes no value; see fovea %s --help", word,
                       options_at(line, optopt - FIRST_LONG)->name, line->command);
    for (int i = 0; i < total; i++) names[i] = options_at(line, i)->name;
    int near = fv_nearest(word + strspn(word, "-"), names, total);
    if (near >= 0)
        return fv_fail(FV_BAD_INPUT, "fovea %s has no option %s; did you mean --%s?", line->command, word, names[near]);
    return fv_fail(FV_BAD_INPUT, "fovea %s has no option %s; fovea %s --help lists them", line->command, word,
                   line->command);
}

fv_status options_parse(const command_line *line, int argc, char **argv, char ***words, int *word_count, bool *done) {
    struct option list[MAX_OPTIONS + 1] = {0};
    int total = options_count(line), index;
    for (int i = 0; i < total; i++)
        list[i] = (struct option){options_at(line, i)->name,
                                  options_at(line, i)->kind == OPTION_FLAG ? no_argument : required_argument, NULL,
                                  i + FIRST_LONG};
    opterr = 0;
    optind = 1;
    for (int result; (result = getopt_long(argc, argv, ":h", list, &index)) != -1;) {
        if (result == 'h')
            help = true;
        else if (result < FIRST_LONG)
            return wrong_option(line, result, stopped_at(argv));
        else
            FV_TRY(take(line, options_at(line, result - FIRST_LONG), optarg));
    }
    *word_count = argc - optind;
    *words = argv + optind; /* getopt_long() has moved the options before them */
    *done = help;
    if (help && diverted)
        diverted(diverted_context, line);
    else if (help)
        print_help(line);
    fv_log_set_quiet(quiet);
    fv_threads_set((int)threads);
    return FV_OK;
}

bool options_threads_given(void) {
    return threads > 0;
}
