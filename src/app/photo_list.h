/* The photographs that a command line names: files, and all images of folders. */
#ifndef FOVEA_APP_PHOTO_LIST_H
#define FOVEA_APP_PHOTO_LIST_H

#include "fovea/base/status.h"

typedef struct photo_list {
    char **paths;
    int count, capacity;
    char **by_stem; /* the same in the order of their names without folder and ending, for photo_list_find() */
} photo_list;

/* Folders are read one level deep, in alphabetical order. FV_BAD_INPUT for a word that is neither file nor folder, for
   a folder without images, and for two photographs whose results would have the same name. */
fv_status photo_list_make(char *const *words, int word_count, photo_list *list);
/* FV_BAD_INPUT when results in the folder `out` would lie among the photographs: a later run would take the masks for
   photographs, and files of the user's own could be overwritten. `out` need not exist. */
fv_status photo_list_check_out(const photo_list *list, const char *out);
/* The path whose name without folder and ending is `stem`; NULL when there is none. */
const char *photo_list_find(const photo_list *list, const char *stem);
void photo_list_free(photo_list *list);

#endif
