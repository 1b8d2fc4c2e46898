/* What programs around the library see of `base`; fovea/fovea.h includes it. C99 or later, and C++. */
#ifndef FOVEA_BASE_PUBLIC_H
#define FOVEA_BASE_PUBLIC_H

#ifdef __cplusplus
extern "C" {
#endif

/* The functions that libfovea.so shows: all others stay inside. */
#define FV_API __attribute__((visibility("default")))

/* Results of functions. The values are also the exit codes of the command. */
typedef enum fv_status {
    FV_OK = 0,
    FV_FINDINGS = 1,     /* `fovea data check`: something would spoil training */
    FV_BAD_INPUT = 2,    /* a file, a key or an argument is wrong */
    FV_NO_RESOURCE = 3,  /* out of memory, disk full */
    FV_INTERRUPTED = 130 /* stopped by a signal, state saved */
} fv_status;

/* The sentence of the last failure on this thread: what was found, where, what was expected, how to mend it; "" when
   there was none. Valid until the next failure. */
FV_API const char *fv_error(void);

/* "0.1.0" */
FV_API const char *fv_version(void);

/* Number of threads that one call computes with, 1 .. 64; 0, as at first: all processors that the process may use.
   Results are the same bits for any number. Not to be called while another thread is inside the library. */
FV_API void fv_threads_set(int count);

/* A figure and its name: units stand in names ("length_px"), "experimental_" before what must not be trusted. */
typedef struct fv_measure {
    const char *name;
    double value; /* NAN: not measurable */
} fv_measure;

#ifdef __cplusplus
}
#endif

#endif
