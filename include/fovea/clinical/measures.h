/* Clinical measures as lists of named figures: what tables, JSON and other programs are given. */
#ifndef FOVEA_CLINICAL_MEASURES_H
#define FOVEA_CLINICAL_MEASURES_H

#include "fovea/base/public.h" /* fv_measure */
#include "fovea/clinical/cdr.h"
#include "fovea/clinical/vessels.h"

#define FV_CDR_MEASURES 12
#define FV_VESSEL_MEASURES 29

/* "vcdr", "hcdr", ...; ratios and centre NAN without a disc. */
void fv_cdr_list(const fv_cdr *cdr, fv_measure list[FV_CDR_MEASURES]);
/* In the order of measures.csv; those in um NAN without a scale. */
void fv_vessels_list(const fv_vessels *vessels, fv_measure list[FV_VESSEL_MEASURES]);

#endif
