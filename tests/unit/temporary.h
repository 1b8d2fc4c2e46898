/* A fresh folder below /tmp for one test program: pass setup and teardown to cmocka_run_group_tests(). */
#ifndef TESTS_UNIT_TEMPORARY_H
#define TESTS_UNIT_TEMPORARY_H

int temporary_setup(void **state);
int temporary_teardown(void **state);
/* Path of `name` in the folder; the text lives until four calls later. */
const char *temporary_path(const char *name);
/* Number of entries of the folder: what a failed write left behind shows here. */
int temporary_count(void);

#endif
