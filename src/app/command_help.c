#include <stdio.h>
#include <string.h>

#include "fovea/base/version.h"
#include "help.h"

const char help_notice[] =
    "Research software, not a medical device. Not cleared or certified anywhere, not validated for diagnosis, "
    "screening\n"
    "decisions or patient care. Numbers are estimates from image masks; have a qualified clinician judge the "
    "eye.";

static void print_overview(void) {
    printf("fovea %s: segmentation of retinal photographs on CPUs\n\nusage: fovea COMMAND ...\n\n", fv_version());
    for (const command *c = command_list(); c->name; c++) printf("  %-10s %s\n", c->name, c->summary);
    printf("\nexamples:\n"
           "  fovea train configs/od_oc.ini\n"
           "  fovea eval runs/od_oc --split test\n"
           "  fovea predict runs/od_oc/best.safetensors photo.jpg --out results\n"
           "  fovea COMMAND --help\n\n%s\n",
           help_notice);
}

/* The command's own --help. */
static fv_status help_of(const command *c) {
    char name[64], option[] = "--help";
    snprintf(name, sizeof name, "%s", c->name);
    return c->run(2, (char *[]){name, option, NULL});
}

void help_each(options_visit *visit, void *context) {
    options_divert_help(visit, context);
    for (const command *c = command_list(); c->name; c++) {
        const command *verbs = command_verbs(c->name);
        if (!verbs) (void)help_of(c);
        for (; verbs && verbs->name; verbs++) (void)help_of(verbs);
    }
    options_divert_help(NULL, NULL);
}

static fv_status print_completion(const char *shell) {
    static const struct {
        const char *shell;
        void (*print)(void);
    } known[] = {{"bash", help_bash}, {"zsh", help_zsh}, {"fish", help_fish}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(shell, known[i].shell) != 0) continue;
        known[i].print();
        return FV_OK;
    }
    return fv_fail(FV_BAD_INPUT, "--completion %s: expected bash, zsh or fish", shell);
}

static fv_status print_command(char *const *words, int word_count) {
    const command *list = command_list();
    for (int i = 0; i < word_count; i++) {
        const command *c = list;
        while (c && c->name && strcmp(c->name, words[i]) != 0) c++;
        if (!c || !c->name)
            return fv_fail(FV_BAD_INPUT, "there is no command \"%s%s%s\"; fovea --help lists them", i ? words[0] : "",
                           i ? " " : "", words[i]);
        if (i == word_count - 1) return help_of(c);
        list = command_verbs(c->name);
    }
    return FV_OK;
}

fv_status command_help(int argc, char **argv) {
    bool man = false, done;
    const char *shell = NULL;
    char **words;
    int word_count;
    const option_spec options[] = {
        {"man", OPTION_FLAG, &man, NULL, "the manual page, for man -l", 0, 0},
        {"completion", OPTION_TEXT, &shell, "bash|zsh|fish", "completion of commands, options and files", 0, 0},
    };
    const command_line line = {
        "help",
        "[COMMAND | --man | --completion SHELL]",
        "Prints what the commands are, or one of them; or the manual page; or what a shell needs "
        "to complete the words\n"
        "of a command line. make install puts both where they belong.",
        "  fovea help predict\n"
        "  fovea help --man | man -l -\n"
        "  . <(fovea help --completion bash)",
        options,
        sizeof options / sizeof *options};
    FV_TRY(options_parse(&line, argc, argv, &words, &word_count, &done));
    if (done) return FV_OK;
    if (man + (shell != NULL) + (word_count > 0) > 1)
        return fv_fail(FV_BAD_INPUT, "give one of COMMAND, --man and --completion");
    if (man) help_man();
    if (shell) return print_completion(shell);
    if (word_count > 0) return print_command(words, word_count);
    if (!man) print_overview();
    return FV_OK;
}
