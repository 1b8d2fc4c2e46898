/* The commands: each parses its own options and returns a status, which main() turns into a sentence and an exit code.
 */
#ifndef FOVEA_APP_COMMANDS_H
#define FOVEA_APP_COMMANDS_H

#include <stdbool.h>

#include "fovea/base/status.h"

fv_status command_train(int argc, char **argv);
fv_status command_eval(int argc, char **argv);
fv_status command_predict(int argc, char **argv);
fv_status command_measure(int argc, char **argv);
fv_status command_data(int argc, char **argv);
fv_status command_phantom(int argc, char **argv);
fv_status command_inspect(int argc, char **argv);
fv_status command_bench(int argc, char **argv);
fv_status command_export(int argc, char **argv);

/* SIGINT and SIGTERM ask the running command to stop at the next good moment; a second one ends it at once. */
void stop_on_signals(void);
bool stop_requested(void);

#endif
