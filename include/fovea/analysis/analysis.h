/* Inside of fovea/fovea.h: the way from a photograph to masks and measures that `fovea predict` and other programs
   share. */
#ifndef FOVEA_ANALYSIS_ANALYSIS_H
#define FOVEA_ANALYSIS_ANALYSIS_H

#include "fovea/clinical/measures.h"
#include "fovea/fovea.h"
#include "fovea/infer/predict.h"

struct fv_analyser {
    fv_model *model;
    fv_predictor *predictor;
    double degrees; /* that the camera sees, NAN: unknown */
};

/* Stages of an analysis. */
typedef enum fv_analysis_stage {
    FV_ANALYSIS_ENHANCE, /* with finding the field of view */
    FV_ANALYSIS_NETWORK, /* with the last sampling of its input */
    FV_ANALYSIS_MASKS,
    FV_ANALYSIS_MEASURES,
    FV_ANALYSIS_STAGES
} fv_analysis_stage;

#define FV_ANALYSIS_MEASURES_MAX (FV_MAX_CLASSES + FV_CDR_MEASURES + FV_VESSEL_MEASURES)

struct fv_analysis {
    fv_model_spec spec;
    int width, height;                     /* px, of the photograph */
    fv_image field, masks[FV_MAX_CLASSES]; /* field: of view, data NULL where nothing asks for it */
    float *probabilities;                  /* what `map` points to */
    fv_probability_map map;                /* at the network's scale */
    bool has_cdr, has_vessels;             /* what the model's classes allow */
    fv_cdr cdr;
    fv_vessels vessels; /* inside the field of view; a disc that the model finds is no part of it */
    fv_vessel_map vessel_map;
    fv_measure measures[FV_ANALYSIS_MEASURES_MAX];
    int measure_count;
    char share_names[FV_MAX_CLASSES][48]; /* "disc_share_of_photo" */
    double ms[FV_ANALYSIS_STAGES];        /* time that each stage took */
};

/* fv_analyse() of an image of 3 channels. */
fv_status fv_analyse_image(fv_analyser *analyser, const fv_image *photo, fv_analysis **analysis);

#endif
