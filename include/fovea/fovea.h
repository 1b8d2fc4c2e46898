/* libfovea for other programs: a model file, pixels in, masks, probabilities and measures out, as `fovea predict` finds
   them. C99 or later, and C++. A whole program: docs/examples/embed.c; how to build one: docs/embedding.md.

   Functions that can fail return an fv_status, FV_OK being 0, and leave one sentence for fv_error(). On failure what
   they should have made is NULL, and nothing stays allocated.

   Threads: any number of analysers may work at the same time, each in a thread of its own; one analyser serves one
   thread at a time. An analysis is never changed: any threads may read it. Each call computes on all processors
   (fv_threads_set()); calls that meet it compute on their own thread alone. The bits of a result depend on neither.
   After fork(), at a moment when no other thread is inside the library, the child computes on one thread.

   Research software, not a medical device: have a qualified clinician judge the eye. */
#ifndef FOVEA_FOVEA_H
#define FOVEA_FOVEA_H

#include <stddef.h>

#include "fovea/base/public.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- a model, ready to work ---- */

typedef struct fv_analyser fv_analyser;

/* Reads a model file. FV_BAD_INPUT for a file that is missing, damaged or no model. */
FV_API fv_status fv_analyser_open(const char *model_path, fv_analyser **analyser);
FV_API void fv_analyser_close(fv_analyser *analyser); /* NULL is fine; its analyses stay */

/* The model's classes: "disc", "cup", "vessel" or what it was trained for. NULL for an index out of range. */
FV_API int fv_analyser_class_count(const fv_analyser *analyser);
FV_API const char *fv_analyser_class_name(const fv_analyser *analyser, int class_index);

/* The probability at and above which a pixel belongs to the class, at first the model file's. FV_BAD_INPUT for a class
   that the model has not and for a threshold outside 0..1. */
FV_API fv_status fv_analyser_set_threshold(fv_analyser *analyser, const char *class_name, double threshold);
/* Not 0: the mean of the four flips, slower and a little better. 0 at first. */
FV_API void fv_analyser_set_flips(fv_analyser *analyser, int flips);
/* The angle that the camera sees, 10 to 200 degrees, NAN for unknown as at first. It scales photographs for models that
   count pixels a degree, and, up to 60 degrees, gives vessel measures in um for an eye of 24 mm. */
FV_API fv_status fv_analyser_set_camera(fv_analyser *analyser, double degrees);
/* Models of vessels: at most so many bytes for the network, by smaller windows. 0, as at first: no limit. */
FV_API void fv_analyser_set_memory(fv_analyser *analyser, size_t bytes);

/* ---- a photograph analysed ---- */

typedef struct fv_analysis fv_analysis;

/* Pixels are RGB, 8 bits each, rows from the top; `stride`: bytes from row to row, at least 3 width. FV_BAD_INPUT for
   no pixels, a smaller stride, more than 120 million pixels, and a picture without any light where the model needs its
   field of view. */
FV_API fv_status fv_analyse(fv_analyser *analyser, const unsigned char *rgb, int width, int height, size_t stride,
                            fv_analysis **analysis);
/* The same of a JPEG, PNG, BMP, GIF or TIFF file, turned upright as its EXIF says. */
FV_API fv_status fv_analyse_file(fv_analyser *analyser, const char *path, fv_analysis **analysis);
FV_API void fv_analysis_free(fv_analysis *analysis); /* NULL is fine */

FV_API int fv_analysis_width(const fv_analysis *analysis); /* px, of the photograph and all that follows */
FV_API int fv_analysis_height(const fv_analysis *analysis);

/* The mask of a class, 255 where it is and 0 elsewhere, rows without gaps; good until the analysis is freed. NULL for
   a class that the model has not. */
FV_API const unsigned char *fv_analysis_mask(const fv_analysis *analysis, const char *class_name);
/* The class's probability, 0..1, at each pixel, into width * height floats. FV_BAD_INPUT for a class that the model has
   not. */
FV_API fv_status fv_analysis_probabilities(const fv_analysis *analysis, const char *class_name, float *probabilities);

/* All that was measured, with its length; good until the analysis is freed. "<class>_share_of_photo" of every class.
   Where the model has disc and cup, their ratios ("vcdr", "hcdr", "area_cdr") and sizes; where it has vessels, the
   columns of measures.csv ("density_ratio", "length_px", "mean_width_px", "branch_points", ...). Definitions:
   docs/clinical.md. */
FV_API const fv_measure *fv_analysis_measures(const fv_analysis *analysis, int *count);
/* One of them; NAN for a name that is not there. */
FV_API double fv_analysis_measure(const fv_analysis *analysis, const char *name);

#ifdef __cplusplus
}
#endif

#endif
