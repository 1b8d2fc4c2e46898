/* What values the layers of a network take on typical photographs: from that the steps of 8-bit activations are made.
 */
#ifndef FOVEA_EXCHANGE_RANGES_H
#define FOVEA_EXCHANGE_RANGES_H

#include "fovea/exchange/folded.h"

typedef struct fv_range {
    float low, high; /* low <= 0 <= high, and low < high: 0 is a value of every tensor (padding) */
} fv_range;

typedef struct fv_ranges {
    fv_range input;
    fv_range *layers; /* of each layer's result, behind its activation; folded->count of them */
    int count;
} fv_ranges;

/* Inputs as the network gets them in prediction: prepared photographs, or windows of them. */
typedef struct fv_calibration {
    const float *inputs; /* {count, height, width, channels} */
    int count, height, width;
} fv_calibration;

/* Runs the inputs through the list. The ends of a range lie where the mean squared error of rounding the values to 255
   steps is least, which is often short of the largest value: rare large values are clipped so that the others get
   finer steps.

   Layers that only pick or mix values have one range with their input, so that they need no rescaling: max_pool,
   upsample_nearest and upsample_bilinear. A sigmoid's range is 0 .. 1, and that of the logits before a last one within
   -10 .. 10, where it is not flat. FV_BAD_INPUT without inputs, and with the name of a layer that gives values that are
   not numbers. */
fv_status fv_ranges_measure(const fv_folded *folded, const fv_calibration *calibration, fv_ranges *ranges);
/* Accepts a zeroed struct. */
void fv_ranges_free(fv_ranges *ranges);
/* As JSON, {"input": [low, high], "layers": {"<name>": [low, high], ...}}: the text that an fv_model carries. NULL
   without memory; to be freed. */
char *fv_ranges_to_json(const fv_folded *folded, const fv_ranges *ranges);
/* Those of `folded`, whatever its size. FV_BAD_INPUT with a sentence that begins with `name` where the text is not such
   JSON, lacks a layer or has ends that cannot be. */
fv_status fv_ranges_from_json(const char *text, const char *name, const fv_folded *folded, fv_ranges *ranges);
/* Of the result of layer `index`, or of the input for FV_FOLDED_INPUT. */
fv_range fv_ranges_of(const fv_ranges *ranges, int index);

#endif
