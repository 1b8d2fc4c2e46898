/* Completion of command lines for three shells. Options that take a number are completed by nothing, those of a few
   words ("train|val") by these, all others by names of files; so are words that are no options, and by keys of settings
   where the command takes such. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "help.h"
#include "run_setup.h"

/* Whether the value is one of a few words. */
static bool is_choice(const option_spec *o) {
    return o->value && islower((unsigned char)o->value[0]) && strchr(o->value, '|');
}

static bool is_number(const option_spec *o) {
    return o->kind == OPTION_INTEGER || o->kind == OPTION_NUMBER;
}

/* `text` with '|' as blanks. */
static void put_words(const char *text) {
    for (const char *c = text; *c; c++) putchar(*c == '|' ? ' ' : *c);
}

/* `text` inside '...', signs of `special` with a backslash. */
static void put_quoted(const char *text, const char *special) {
    for (const char *c = text; *c; c++) {
        if (strchr(special, *c)) putchar('\\');
        if (*c == '\'' && !strchr(special, '\''))
            fputs("'\\''", stdout);
        else
            putchar(*c);
    }
}

static bool takes_keys(const command_line *line) {
    return strstr(line->usage, "section.key=value") != NULL;
}

/* "run.name= model.width= ..." */
static void put_keys(void) {
    char *text = run_settings_standard(), *rest = NULL, section[64] = "";
    for (char *line = text ? strtok_r(text, "\n", &rest) : NULL; line; line = strtok_r(NULL, "\n", &rest)) {
        if (sscanf(line, "[%63[^]]", section) == 1) continue;
        printf("%s.%.*s= ", section, (int)strcspn(line, " ="), line);
    }
    free(text);
}

static void put_commands(const char *before, const char *after) {
    for (const command *c = command_list(); c->name; c++) printf("%s%s%s", before, c->name, after);
}

/* ---- bash ---- */

static void bash_options(void *context, const command_line *line) {
    (void)context;
    printf("    '%s')\n        options='", line->command);
    for (int i = 0; i < options_count(line); i++) printf("--%s ", options_at(line, i)->name);
    printf("'%s\n        case $before in\n", takes_keys(line) ? " kind=keys" : "");
    for (int i = 0; i < options_count(line); i++) {
        const option_spec *o = options_at(line, i);
        if (o->kind == OPTION_FLAG) continue;
        printf("        --%s) kind=%s", o->name, is_choice(o) ? "words words='" : is_number(o) ? "number" : "file");
        if (is_choice(o)) {
            put_words(o->value);
            putchar('\'');
        }
        fputs(" ;;\n", stdout);
    }
    fputs("        esac ;;\n", stdout);
}

static void bash_verbs(void) {
    for (const command *c = command_list(); c->name; c++) {
        const command *verb = command_verbs(c->name);
        if (!verb) continue;
        printf("    %s)\n        command=\"%s ${COMP_WORDS[2]}\"\n        [ $COMP_CWORD -eq 2 ] && words='", c->name,
               c->name);
        for (; verb->name; verb++) printf("%s ", verb->name);
        fputs("--help' ;;\n", stdout);
    }
}

void help_bash(void) {
    fputs("# Completion of fovea's command lines in bash; made by: fovea help --completion bash\n"
          "_fovea() {\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}\n"
          "    local options= words= kind= keys='",
          stdout);
    put_keys();
    fputs("'\n    COMPREPLY=()\n"
          "    [ $COMP_CWORD -eq 1 ] && words='",
          stdout);
    put_commands("", " ");
    fputs("--help --version'\n    case $command in\n", stdout);
    bash_verbs();
    fputs("    help)\n        [ $COMP_CWORD -eq 2 ] && [[ $word != -* ]] && words='", stdout);
    put_commands("", " ");
    fputs("' ;;\n    esac\n    case $command in\n", stdout);
    help_each(bash_options, NULL);
    fputs("    esac\n"
          "    if [ -n \"$words\" ]; then\n"
          "        COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
          "    elif [ \"$kind\" = number ]; then\n"
          "        compopt +o default 2>/dev/null\n"
          "    elif [ \"$kind\" != file ] && [[ $word == -* ]]; then\n"
          "        COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n"
          "    elif [ \"$kind\" = keys ] && [ -n \"$word\" ]; then\n"
          "        COMPREPLY=($(compgen -W \"$keys\" -- \"$word\"))\n"
          "        compopt -o nospace 2>/dev/null\n"
          "    fi\n"
          "}\n"
          "complete -o default -F _fovea fovea\n",
          stdout);
}

/* ---- zsh ---- */

static void zsh_options(void *context, const command_line *line) {
    (void)context;
    printf("    '%s') _arguments", line->command);
    for (int i = 0; i < options_count(line); i++) {
        const option_spec *o = options_at(line, i);
        printf(" \\\n        '%s--%s[", o->kind == OPTION_LIST ? "*" : "", o->name);
        put_quoted(o->help, "[]\\");
        putchar(']');
        if (o->value) {
            fputs(":", stdout);
            put_quoted(o->value, ":\\");
            if (is_choice(o)) {
                fputs(":(", stdout);
                put_words(o->value);
                putchar(')');
            } else {
                fputs(is_number(o) ? ": " : ":_files", stdout);
            }
        }
        putchar('\'');
    }
    fputs(takes_keys(line) ? " \\\n        '*:file or key:_fovea_words' ;;\n" : " \\\n        '*:file:_files' ;;\n",
          stdout);
}

/* A list that _describe takes. */
static void zsh_list(const char *name, const command *list) {
    printf("    local -a %s=(\n", name);
    for (const command *c = list; c->name; c++) {
        printf("        '%s:", c->name);
        put_quoted(c->summary, ":\\");
        fputs("'\n", stdout);
    }
    fputs("    )\n", stdout);
}

void help_zsh(void) {
    fputs("#compdef fovea\n# Completion of fovea's command lines in zsh; made by: fovea help --completion zsh\n"
          "_fovea_words() {\n    local -a keys=(",
          stdout);
    put_keys();
    fputs(")\n    _alternative 'keys:key:compadd -S \"\" -a keys' 'files:file:_files'\n}\n"
          "_fovea() {\n",
          stdout);
    zsh_list("commands", command_list());
    fputs("    if (( CURRENT == 2 )); then\n        _describe command commands\n        return\n    fi\n", stdout);
    for (const command *c = command_list(); c->name; c++) {
        if (!command_verbs(c->name)) continue;
        printf("    if [[ $words[2] == %s ]]; then\n    ", c->name);
        zsh_list("verbs", command_verbs(c->name));
        fputs("        if (( CURRENT == 3 )); then\n            _describe verb verbs\n            return\n        fi\n"
              "        words[2]=\"$words[2] $words[3]\"\n        words[3]=()\n        (( CURRENT-- ))\n    fi\n",
              stdout);
    }
    fputs("    local command=$words[2]\n    shift words\n    (( CURRENT-- ))\n    case $command in\n", stdout);
    help_each(zsh_options, NULL);
    fputs("    esac\n}\n_fovea \"$@\"\n", stdout);
}

/* ---- fish ---- */

/* "data check": both words stand on the line. */
static void fish_condition(const char *words) {
    fputs("complete -c fovea -n '__fish_seen_subcommand_from ", stdout);
    for (const char *c = words; *c; c++) {
        if (*c == ' ')
            fputs("; and __fish_seen_subcommand_from ", stdout);
        else
            putchar(*c);
    }
    putchar('\'');
}

static void fish_options(void *context, const command_line *line) {
    (void)context;
    if (takes_keys(line)) {
        fish_condition(line->command);
        fputs(" -a '", stdout);
        put_keys();
        fputs("' -d key\n", stdout);
    }
    for (int i = 0; i < options_count(line); i++) {
        const option_spec *o = options_at(line, i);
        fish_condition(line->command);
        printf(" -l %s", o->name);
        if (o->value) fputs(is_choice(o) || is_number(o) ? " -x" : " -r", stdout);
        if (is_choice(o)) {
            fputs(" -a '", stdout);
            put_words(o->value);
            putchar('\'');
        }
        fputs(" -d '", stdout);
        put_quoted(o->help, "'\\");
        fputs("'\n", stdout);
    }
}

static void fish_word(const command *c) {
    printf(" -f -a %s -d '", c->name);
    put_quoted(c->summary, "'\\");
    fputs("'\n", stdout);
}

void help_fish(void) {
    fputs("# Completion of fovea's command lines in fish; made by: fovea help --completion fish\n", stdout);
    for (const command *c = command_list(); c->name; c++) {
        fputs("complete -c fovea -n __fish_use_subcommand", stdout);
        fish_word(c);
    }
    for (const command *c = command_list(); c->name; c++) {
        const command *verbs = command_verbs(c->name);
        for (const command *verb = verbs; verb && verb->name; verb++) {
            printf("complete -c fovea -n '__fish_seen_subcommand_from %s; and not __fish_seen_subcommand_from",
                   c->name);
            for (const command *other = verbs; other->name; other++) printf(" %s", other->name);
            putchar('\'');
            fish_word(verb);
        }
    }
    help_each(fish_options, NULL);
}
