/* The manual page and completions for shells, made of the tables that the commands parse. */
#ifndef FOVEA_APP_HELP_H
#define FOVEA_APP_HELP_H

#include "commands.h"
#include "options.h"

/* Calls `visit` with the line of every command and verb, in order. */
void help_each(options_visit *visit, void *context);

/* Each to standard output. */
void help_man(void);
void help_bash(void);
void help_zsh(void);
void help_fish(void);

extern const char help_notice[]; /* what the program is not, in lines */

#endif
