/* The manual page, in the man macros. */
#include <stdio.h>
#include <string.h>

#include "fovea/base/version.h"
#include "help.h"

static const char *const variables[][2] = {
    {"FOVEA_DATA", "folder of the data sets that configurations and --on name"},
    {"FOVEA_WEIGHTS", "folder of the ImageNet weights for encoders"},
    {"FOVEA_CPU", "scalar, avx2, avx512 or neon: use no more of the processor than this"},
};

/* Plain text: nothing in it is a request, and signs stay the signs of the keyboard. */
static void put(const char *text) {
    bool line_begins = true;
    for (const char *c = text; *c; c++) {
        if (line_begins && (*c == '.' || *c == '\'')) fputs("\\&", stdout);
        line_begins = *c == '\n';
        switch (*c) {
        case '\\':
            fputs("\\e", stdout);
            break;
        case '-':
            fputs("\\-", stdout);
            break;
        case '\'':
            fputs("\\(aq", stdout);
            break;
        case '`':
            fputs("\\(ga", stdout);
            break;
        case '^':
            fputs("\\(ha", stdout);
            break;
        case '~':
            fputs("\\(ti", stdout);
            break;
        case '"':
            fputs("\\(dq", stdout);
            break; /* within a request's argument, too */
        default:
            putchar(*c);
        }
    }
}

static void put_option(const option_spec *o) {
    fputs(".TP\n\\fB\\-\\-", stdout);
    put(o->name);
    fputs("\\fR", stdout);
    if (o->value) {
        fputs(" \\fI", stdout);
        put(o->value);
        fputs("\\fR", stdout);
    }
    putchar('\n');
    put(o->help);
    putchar('\n');
}

/* Its lines as they are. */
static void put_examples(const char *examples) {
    fputs(".PP\nExamples:\n.PP\n.nf\n", stdout);
    put(examples);
    fputs("\n.fi\n", stdout);
}

static void put_command(void *context, const command_line *line) {
    (void)context;
    fputs(".SS \"fovea ", stdout);
    put(line->command);
    putchar(' ');
    put(line->usage);
    fputs("\"\n", stdout);
    put(line->summary);
    putchar('\n');
    for (int i = 0; i < line->option_count; i++) put_option(&line->options[i]);
    put_examples(line->examples);
}

static void put_common(void *context, const command_line *line) {
    bool *done = context;
    for (int i = line->option_count; i < options_count(line) && !*done; i++) put_option(options_at(line, i));
    *done = true;
}

static void put_variables(void) {
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        printf(".TP\n.B %s\n", variables[i][0]);
        put(variables[i][1]);
        putchar('\n');
    }
}

void help_man(void) {
    bool common_done = false;
    printf(".TH FOVEA 1 \"%s\" \"fovea %s\" \"User Commands\"\n", fv_revision_date(), fv_version());
    fputs(".SH NAME\nfovea \\- segmentation of retinal photographs on CPUs\n"
          ".SH SYNOPSIS\n.B fovea\n.I COMMAND\n[\\fIARGUMENT\\fR ...]\n"
          ".SH DESCRIPTION\nTrains, evaluates and runs networks that find optic disc, cup and vessels in colour fundus "
          "photographs, and measures what they find.\n.SH COMMANDS\n",
          stdout);
    help_each(put_command, NULL);
    fputs(".SH \"OPTIONS OF EVERY COMMAND\"\n", stdout);
    help_each(put_common, &common_done);
    fputs(".SH \"EXIT STATUS\"\n", stdout);
    put(options_exit_codes);
    fputs(".\n.SH ENVIRONMENT\n", stdout);
    put_variables();
    fputs(".SH NOTES\n", stdout);
    put(help_notice);
    putchar('\n');
}
