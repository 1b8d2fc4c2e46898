/* Names of tensors, and what their parts say. */
#ifndef SRC_EXCHANGE_NAMES_H
#define SRC_EXCHANGE_NAMES_H

#include <stdbool.h>
#include <stddef.h>

/* As strcmp, but numbers within are compared by value: "features.2" before "features.10". */
int fv_names_compare(const char *a, const char *b);
bool fv_names_begins(const char *name, const char *beginning);

#endif
