/* Runs build/fovea as a user does: in a working folder (that of temporary.h), with words, an exit code and what it
   printed. The program lies beside the folder of the test programs; the environment variable FOVEA names another. */
#ifndef TESTS_UNIT_COMMAND_H
#define TESTS_UNIT_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define COMMAND_TEXT (1 << 17)

typedef struct command_result {
    int code; /* exit code; 128 + signal for a program that a signal ended */
    char out[COMMAND_TEXT], err[COMMAND_TEXT];
} command_result;

/* A group's setup and teardown: the temporary folder, and no setting of the caller's environment that would show. */
int command_setup(void **state);
int command_teardown(void **state);

/* Runs to the end: FOVEA("train", "tiny.ini", "--quiet"). Good until the next run. */
#define FOVEA(...) command_run((const char *const[]){__VA_ARGS__, NULL})
const command_result *command_run(const char *const *words);
/* In two steps; one program at a time. */
pid_t command_start(const char *const *words);
const command_result *command_wait(pid_t pid);

/* Of the next run only. No file may grow beyond these bytes, as on a full disk. */
void command_limit_files(long bytes);
/* Of the next run only: standard output goes to this file. */
void command_output_to(const char *path);

/* The run was good: exit code 0. */
void command_expect_good(const command_result *result);
/* It ended with this code, nothing on standard output and one line on standard error, which has all these texts. */
#define EXPECT_COMPLAINT(result, code, ...)                                                                            \
    command_expect_complaint(result, code, (const char *const[]){__VA_ARGS__, NULL})
void command_expect_complaint(const command_result *result, int code, const char *const *texts);

/* ---- training that takes about a second ---- */

/* Writes "tiny.ini" into the working folder: 12 phantoms of 96 px, a network of 32 px, 3 epochs of 4 batches. */
void command_write_tiny_ini(void);

/* ---- files of the working folder ---- */

/* The whole file, one byte 0 behind it; free(). Fails the test when it can't be read. */
char *command_file(const char *name, size_t *bytes);
bool command_exists(const char *name);
void command_write(const char *name, const void *data, size_t bytes);
void command_write_text(const char *name, const char *text);
/* Cuts the file to so many bytes. */
void command_cut(const char *name, long bytes);
void command_copy(const char *from, const char *to);
/* Same bytes. */
void command_expect_same_file(const char *a, const char *b);
/* Same tensors: the bytes behind the header. The metadata holds times, which differ from run to run. */
void command_expect_same_tensors(const char *a, const char *b);
/* Number of entries of a folder, hidden ones too; -1 when there is none. */
int command_count(const char *folder);

#endif
