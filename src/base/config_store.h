/* What config.c (reading, overriding, complaining) and config_value.c (asking) share. */
#ifndef SRC_BASE_CONFIG_STORE_H
#define SRC_BASE_CONFIG_STORE_H

#include <stdbool.h>

#include "fovea/base/config.h"

#define FV_CONFIG_COMPLAINT 1024
#define FV_COMMAND_LINE 0 /* as a line number: an override */

/* A value that was given. */
typedef struct fv_config_entry {
    char *section, *key, *value;
    int line;
    bool asked;
} fv_config_entry;

/* A key that a module knows, with the value in force; value is NULL when there is neither a given one nor a default. */
typedef struct fv_config_asked {
    char *section, *key, *value;
} fv_config_asked;

typedef struct fv_config_heading {
    char *name;
    int line;
} fv_config_heading;

struct fv_config {
    char *name; /* of the file, for messages */
    fv_config_entry *entries;
    fv_config_asked *asked;
    fv_config_heading *headings; /* sections in file order */
    int entry_count, asked_count, heading_count;
    char complaint[FV_CONFIG_COMPLAINT]; /* the first one; "" when all is well */
    fv_status status;                    /* of the complaint */
};

/* NULL when the key is not given. */
fv_config_entry *fv_config_find(const fv_config *config, const char *section, const char *key);
/* "FILE:LINE: " or "command line: "; line < 0: "FILE: ". */
void fv_config_place(const fv_config *config, int line, char *text, int size);
/* Keeps the sentence when it is the first. */
void fv_config_keep(fv_config *config, fv_status status, const char *sentence);
/* Makes room for one more element behind `count` of `size` bytes each; NULL, with a complaint kept, without memory. */
void *fv_config_grow(fv_config *config, void *list, int count, int size);

#endif
