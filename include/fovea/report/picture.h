/* Pictures of photographs, masks and figures, as PNG on white. All are written atomically.

   Masks have 1 channel, 0 or not 0, and cover the whole photograph whatever their size. Where a function takes an array
   of masks it has one for each class, in the order of the names; an element with data NULL is unknown (a truth nobody
   drew). Disc is green, cup blue, vessel cyan (farthest from the retina's own colours), the truth's contour red. Texts
   are UTF-8; what is not is shown as
   '?'.

   FV_BAD_INPUT: nothing to draw, an empty photograph or mask, a picture above 32767 px a side, a path that can't be
   written. */
#ifndef FOVEA_REPORT_PICTURE_H
#define FOVEA_REPORT_PICTURE_H

#include <stdint.h>

#include "fovea/image/image.h"
#include "fovea/report/chart.h"

typedef struct fv_report_classes {
    int count;                /* 1 .. FV_REPORT_MAX_CLASSES */
    const char *const *names; /* "disc", "cup", "vessel" */
} fv_report_classes;

#define FV_REPORT_MAX_CLASSES 8
#define FV_REPORT_MAX_SIDE 32767 /* px, of a photograph and of a picture: cairo's bound */

/* Colour of a class by its name, of an unknown name by its index: 0xRRGGBB. Its series in charts should have it too. */
uint32_t fv_report_class_colour(const char *name, int index);

/* One photograph with its masks. */
typedef struct fv_report_sample {
    const char *name;          /* may be NULL */
    const char *figures;       /* "disc 0.97  cup 0.88"; may be NULL */
    const fv_image *photo;     /* RGB or grey */
    const fv_image *input;     /* what the network sees, after enhancement; NULL for none */
    const fv_image *truth;     /* classes.count masks; NULL when all are unknown */
    const fv_image *predicted; /* classes.count masks */
} fv_report_sample;

/* A row for each sample: photograph, enhanced input (where one has it), true and predicted mask of each class, overlay
   enlarged around the masks; below them the charts (chart_count may be 0) in one row. `header`, e.g. "Epoch 12   Dice
   0.951", stands on top. */
fv_status fv_report_epoch(const char *path, const char *header, const fv_report_classes *classes,
                          const fv_report_sample *samples, int count, const fv_chart *charts, int chart_count);

/* The panel of one prediction: photograph, mask of each class, overlay, each at most 512 px a side, and `lines` of text
   beside them. The first line is the heading. A tab in a line sets what follows it to the right edge ("vCDR\t0.62"),
   one line lower where it does not fit; an empty line is a gap; long lines are wrapped. `truth` may be NULL. */
fv_status fv_report_panel(const char *path, const fv_image *photo, const fv_report_classes *classes,
                          const fv_image *predicted, const fv_image *truth, const char *const *lines, int line_count);

/* The photograph at its own size under translucent masks and their contours, whose width grows with the photograph; the
   truth's contours in red (`truth` may be NULL). */
fv_status fv_report_overlay(const char *path, const fv_image *photo, const fv_report_classes *classes,
                            const fv_image *predicted, const fv_image *truth);
/* The same as an RGB image; free with fv_image_free(). */
fv_status fv_report_overlay_image(const fv_image *photo, const fv_report_classes *classes, const fv_image *predicted,
                                  const fv_image *truth, fv_image *overlay);

/* Worst cases of an evaluation, a row each: photograph with the enlarged square marked, that square alone, with the
   truth, with the prediction (truth in red); name and figures above the row. The square holds all masks of the sample
   with a margin, 64 px at least. */
fv_status fv_report_worst(const char *path, const char *header, const fv_report_classes *classes,
                          const fv_report_sample *samples, int count);

/* Contact sheet: images in `columns` columns, each fitted into at most 256x256, captions (may be NULL, as may each)
 * below. */
fv_status fv_report_sheet(const char *path, const fv_image *images, int count, int columns,
                          const char *const *captions);

#endif
