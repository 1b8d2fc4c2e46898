/* Command-line options by table: each command lists its own, --help is made from the list. */
#ifndef FOVEA_APP_OPTIONS_H
#define FOVEA_APP_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>

#include "fovea/base/status.h"

typedef enum option_kind { OPTION_FLAG, OPTION_TEXT, OPTION_INTEGER, OPTION_NUMBER, OPTION_LIST } option_kind;

#define OPTION_LIST_MAX 32

typedef struct option_list {
    const char *items[OPTION_LIST_MAX];
    int count;
} option_list;

typedef struct option_spec {
    const char *name; /* without the dashes */
    option_kind kind;
    void *target;      /* bool, const char *, long, double or option_list */
    const char *value; /* "FILE", "N"; "train|val" where only these words are taken; NULL for a flag */
    const char *help;
    long low, high; /* of an integer or a number */
} option_spec;

typedef struct command_line {
    const char *command;  /* "train" */
    const char *usage;    /* "CONFIG [section.key=value ...] [options]" */
    const char *summary;  /* one sentence */
    const char *examples; /* lines, each indented by two spaces */
    const option_spec *options;
    int option_count;
} command_line;

/* Parses argv (argv[0] is the command's name). The words that are no options are left in *words (pointing into argv);
   --quiet and --threads are carried out, --help prints and sets *done. FV_BAD_INPUT with a sentence for a wrong option.
 */
fv_status options_parse(const command_line *line, int argc, char **argv, char ***words, int *word_count, bool *done);

/* All options of a command: its own, then from line->option_count on those of every command. */
int options_count(const command_line *line);
const option_spec *options_at(const command_line *line, int i);
/* "0 good, 1 findings ..." */
extern const char options_exit_codes[];

/* Until called with NULL, --help calls `visit` instead of printing: so manual page and completions are made of the very
   tables that are parsed. */
typedef void options_visit(void *context, const command_line *line);
void options_divert_help(options_visit *visit, void *context);

/* Whether --threads was given to the last parse. */
bool options_threads_given(void);

#endif
