/* Fundus phantoms: drawn photographs with exact masks, so that everything can be tried without data. See
 * docs/phantoms.md. */
#ifndef FOVEA_DATASET_PHANTOM_H
#define FOVEA_DATASET_PHANTOM_H

#include <stdint.h>

#include "fovea/image/image.h"

/* Raised whenever the same (seed, index, side) would give other pixels; sets of another version are made anew. */
#define FV_PHANTOM_VERSION 2

#define FV_PHANTOM_MIN_SIDE 64     /* px */
#define FV_PHANTOM_MAX_SIDE 4096   /* px */
#define FV_PHANTOM_MAX_COUNT 10000 /* of a set: names have four digits */

typedef struct fv_phantom {
    fv_image photo;                  /* RGB */
    fv_image disc, cup, vessel, fov; /* 0 or 255, photo's size; a pixel belongs to the shape that holds its centre */
    double vcdr;                     /* vertical extent of the cup's outline / that of the disc's, 0.30 .. 0.85 */
} fv_phantom;

/* Phantom `index` of `seed`, side x side px (FV_PHANTOM_MIN_SIDE .. FV_PHANTOM_MAX_SIDE). The same anatomy at any side,
   the same bits for the same (seed, index, side) whatever the number of threads. cup within disc within fov, vessel
   within fov; the disc's height is 0.12 .. 0.22 of the field's diameter. FV_BAD_INPUT for a side out of range. Free
   with fv_phantom_free(). */
fv_status fv_phantom_make(uint64_t seed, uint64_t index, int side, fv_phantom *phantom);
void fv_phantom_free(fv_phantom *phantom); /* safe on a zeroed struct, and twice */

/* Writes phantoms 0 .. count-1 as folder/images/NNNN.png, od/, oc/, bv/, fov/ (NNNN: the index), phantoms.json (what
   the set is: version, seed, count, side) and, last and atomically, index.csv:
   name,fundus,od,oc,bv,fov,split,cdr_expert with paths relative to the folder. In order of index the first 70 % are
   train, the next 15 % val, the rest test (rounded to whole photographs). Does nothing when the same set lies there
   complete; another or an interrupted set of phantoms is replaced. FV_BAD_INPUT for numbers out of range, a folder that
   can't be written, and an index.csv that no phantoms.json accompanies: that one is somebody's data and stays. */
fv_status fv_phantom_write_set(const char *folder, int count, uint64_t seed, int side);

/* Contact sheet: phantoms 0 .. count-1 of `seed` (1 .. 100) in reading order, 4:3 columns to rows, each tile_px (64 ..
   512) px wide, averaged down from a phantom of four (up to 128 px), three (170) or two times the side. PNG,
   atomically. */
fv_status fv_phantom_sheet(const char *path, int count, uint64_t seed, int tile_px);

#endif
