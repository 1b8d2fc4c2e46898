/* Vessel measures as a row of a table and as JSON, under the same names. */
#ifndef FOVEA_APP_VESSEL_TABLE_H
#define FOVEA_APP_VESSEL_TABLE_H

#include <cjson/cJSON.h>
#include <stdio.h>

#include "fovea/clinical/vessels.h"

/* What is said beside every set of figures. */
#define RESEARCH_NOTICE                                                                                                \
    "Research software, not a medical device. Not cleared or certified anywhere, not validated for diagnosis, "        \
    "screening decisions or patient care. Numbers are estimates from image masks; have a qualified clinician judge "   \
    "the eye."

/* One photograph's measures. */
typedef struct vessel_row {
    char stem[256];
    int width, height; /* px, of the photograph */
    fv_vessels vessels;
} vessel_row;

/* Names of the columns. Units stand in them; "experimental_" before what must not be trusted. */
void vessel_table_header(FILE *stream);
/* One row; what is not known stays empty. */
void vessel_table_row(FILE *stream, const vessel_row *row);
/* Header and rows, atomically, or to standard output for "-". */
fv_status vessel_table_write(const char *path, const vessel_row *rows, int count);
/* The measures as members of `object`, null where not known, with a reason where a zone has no density. */
void vessel_json(cJSON *object, const fv_vessels *vessels);

#endif
