/* Values of a foreign layer into the parameters of ours. */
#ifndef SRC_EXCHANGE_CONVERT_H
#define SRC_EXCHANGE_CONVERT_H

#include "match.h"

/* FV_BAD_INPUT unless each vector of every matched layer has as many values as our layer has filters, and there is none
   that ours has no place for. Nothing is changed. */
fv_status fv_convert_check(const fv_own_layers *own, const fv_match *match, const char *path);
/* Writes all parameters of the matched layers into `values` (laid out as params->values), so that inference computes
   the same function:
   - kernels to {height, width, in, out};
   - batch norms with another epsilon than ours get gamma' = gamma sqrt((var + ours) / (var + theirs));
   - a bias in front of a batch norm goes into its mean;
   - a convolution without batch norm, where ours has one, gets one that does nothing but add the bias;
   - a batch norm that ours lacks is multiplied into kernel and bias.
   `epsilon`: of the file's batch norms; 0: as ours. Returns how many layers needed one of the last two. */
int fv_convert_values(const fv_own_layers *own, const fv_match *match, bool hwio, double epsilon, fv_real *values);

#endif
