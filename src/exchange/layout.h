/* Under which names a foreign file has our layers. */
#ifndef SRC_EXCHANGE_LAYOUT_H
#define SRC_EXCHANGE_LAYOUT_H

#include "foreign_layers.h"
#include "fovea/model/model.h"

#define FV_SCOPE_MAX (FV_FOREIGN_NAME_MAX + 192) /* a prefix, and what a rule makes of one of our names */

/* "down#.a" -> "encoder#_1": where our name begins with the left side ('#' is a number n), the layer is sought among
   those whose names begin with the right side ('#' is first + step n). A '*' at both ends stands for the rest of the
   name. Within what is found, layers follow each other as ours do. */
typedef struct fv_name_rule {
    const char *own, *foreign;
    int first, step;
} fv_name_rule;

typedef struct fv_layout {
    const char *name; /* for the report: "torchvision" */
    const char *sign; /* a layer that tells the layout; what stands before it in its name is a prefix of all names */
    const fv_name_rule *rules; /* the first that fits counts; NULL: all layers of the prefix, in their order */
    fv_convention convention;
    double epsilon; /* of batch norms, which the file does not hold; 0: as in our network */
} fv_layout;

/* What is known of a file: the layout, and the prefix that its names have. */
typedef struct fv_file_layout {
    const fv_layout *layout;
    char prefix[FV_FOREIGN_NAME_MAX];
} fv_file_layout;

/* The layout of a file; `network` NULL for an encoder alone. `padding` is what a file of encoder weights says in its
   metadata, "" otherwise. */
void fv_layout_find(const fv_foreign_layers *layers, const char *network, const char *padding, fv_file_layout *found);
/* The beginning of the names among which our layer `own` is sought; "" for all names. */
void fv_layout_scope(const fv_file_layout *layout, const char *own, char scope[FV_SCOPE_MAX]);
/* Whether `name` lies in the scope. */
bool fv_layout_covers(const char *scope, const char *name);

#endif
