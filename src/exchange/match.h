/* Finds to each of our layers the one of a foreign file. */
#ifndef SRC_EXCHANGE_MATCH_H
#define SRC_EXCHANGE_MATCH_H

#include "layout.h"
#include "own_layers.h"

typedef struct fv_match {
    const fv_foreign_layer **of; /* for each of our layers; NULL: none fits */
    int found;
} fv_match;

/* Walks our layers in their order; each gets the next layer of the file within the names that the layout gives, and its
   kernel must have the right shape. FV_BAD_INPUT with a sentence that names the first layers which are missing or of
   another shape, expected and found shape each. `whole`: what is left over is an error too; else it is left. Marks the
   layers of the file as used. */
fv_status fv_match_make(const fv_own_layers *own, fv_foreign_layers *foreign, const fv_file_layout *layout, bool whole,
                        const char *path, fv_match *match);
void fv_match_free(fv_match *match);

/* Whether the kernel has the shape that our layer needs, in the file's own order of sizes. */
bool fv_kernel_fits(const fv_own_layers *own, int layer, bool hwio, const fv_foreign_tensor *kernel);

#endif
