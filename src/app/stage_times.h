/* Where the time of a prediction goes. */
#ifndef FOVEA_APP_STAGE_TIMES_H
#define FOVEA_APP_STAGE_TIMES_H

typedef enum stage {
    STAGE_START,      /* processor time until the command is read: loading libraries */
    STAGE_READ_MODEL, /* and building the plan */
    STAGE_DECODE,
    STAGE_ENHANCE,
    STAGE_NETWORK, /* and the last sampling of its input */
    STAGE_MASKS,
    STAGE_MEASURES,
    STAGE_WRITE_MASKS,
    STAGE_OVERLAY,
    STAGE_PANEL,
    STAGE_COUNT,
} stage;
#define STAGE_FIRST_OF_PHOTO STAGE_DECODE

extern const char *const stage_names[]; /* "start", "read_model", "decode", ... NULL */

typedef struct stage_times {
    double ms[STAGE_COUNT];
    double mark_ms; /* when the running stage began */
} stage_times;

/* The first stage to be noted begins now. */
void stage_begin(stage_times *times);
/* Adds the time since the last mark to the stage; the next one begins now. */
void stage_end(stage_times *times, stage ended);
/* Processor time of the process so far, to STAGE_START. */
void stage_note_start(stage_times *times);
double stage_total_ms(const stage_times *times);
/* Stages, ms of each and their sum on standard error. `photos`: those of a photograph are divided by it. */
void stage_print(const stage_times *times, int photos);

#endif
