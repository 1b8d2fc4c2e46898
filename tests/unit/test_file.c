#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fovea/base/file.h"
#include "temporary.h"

static void assert_content(const char *path, const char *expected) {
    void *data;
    size_t bytes;
    assert_int_equal(fv_file_read(path, 1 << 20, &data, &bytes), FV_OK);
    assert_int_equal(bytes, strlen(expected));
    assert_string_equal(data, expected); /* a 0 stands behind the end */
    free(data);
}

static void written_file_reads_back(void **state) {
    (void)state;
    const char *path = temporary_path("a.txt");
    assert_int_equal(fv_file_write(path, "first", 5), FV_OK);
    assert_content(path, "first");
    assert_int_equal(fv_file_write(path, "second one", 10), FV_OK);
    assert_content(path, "second one");
    assert_int_equal(fv_file_write(path, NULL, 0), FV_OK);
    assert_content(path, "");
    assert_int_equal(temporary_count(), 1);
    unlink(path);
}

static void old_content_stands_until_commit(void **state) {
    (void)state;
    const char *path = temporary_path("b.txt");
    assert_int_equal(fv_file_write(path, "old", 3), FV_OK);
    fv_file file;
    assert_int_equal(fv_file_begin(&file, path), FV_OK);
    fputs("new", file.stream);
    fflush(file.stream);
    assert_content(path, "old");
    assert_int_equal(fv_file_commit(&file), FV_OK);
    assert_content(path, "new");
    assert_int_equal(fv_file_begin(&file, path), FV_OK);
    fputs("never", file.stream);
    fv_file_abandon(&file);
    fv_file_abandon(&file);
    assert_content(path, "new");
    assert_int_equal(temporary_count(), 1);
    unlink(path);
}

static void two_writers_do_not_meet(void **state) {
    (void)state;
    const char *path = temporary_path("c.txt");
    fv_file one, two;
    assert_int_equal(fv_file_begin(&one, path), FV_OK);
    assert_int_equal(fv_file_begin(&two, path), FV_OK);
    fputs("one", one.stream);
    fputs("two", two.stream);
    assert_int_equal(fv_file_commit(&one), FV_OK);
    assert_content(path, "one");
    assert_int_equal(fv_file_commit(&two), FV_OK);
    assert_content(path, "two");
    unlink(path);
}

/* A file size limit stands for the full disk: it fails in the same places. */
static void full_disk_leaves_the_old_content(void **state) {
    (void)state;
    const char *path = temporary_path("d.bin");
    assert_int_equal(fv_file_write(path, "old", 3), FV_OK);
    size_t size = 1 << 20;
    char *data = calloc(size, 1);
    assert_non_null(data);
    struct rlimit kept, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &kept), 0);
    small = (struct rlimit){.rlim_cur = 100000, .rlim_max = kept.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    fv_status at_once = fv_file_write(path, data, size);
    fv_file file;
    fv_status begun = fv_file_begin(&file, path);
    if (begun == FV_OK)
        for (size_t i = 0; i < size; i += 10) fputs("0123456789", file.stream); /* fails long before the commit */
    fv_status at_commit = begun == FV_OK ? fv_file_commit(&file) : begun;
    setrlimit(RLIMIT_FSIZE, &kept);
    signal(SIGXFSZ, SIG_DFL);
    free(data);
    assert_int_equal(at_once, FV_NO_RESOURCE);
    assert_int_equal(begun, FV_OK);
    assert_int_equal(at_commit, FV_NO_RESOURCE);
    assert_non_null(strstr(fv_error(), "d.bin: cannot be written: no space left"));
    assert_content(path, "old");
    assert_int_equal(temporary_count(), 1);
    unlink(path);
}

static void unwritable_places_are_bad_input(void **state) {
    (void)state;
    fv_file file;
    assert_int_equal(fv_file_begin(&file, temporary_path("nowhere/a.txt")), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "nowhere does not exist; make it or name another"));
    fv_file_abandon(&file);
    assert_int_equal(fv_file_begin(&file, temporary_path("")), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "is a folder"));
    assert_int_equal(fv_file_begin(&file, "/dev/null"), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "device or a pipe"));
    assert_int_equal(fv_file_begin(&file, ""), FV_BAD_INPUT);
    assert_int_equal(fv_file_begin(&file, "/proc/self/a.txt"), FV_BAD_INPUT);
    char *path = malloc(FV_PATH_MAX + 1);
    memset(path, 'a', FV_PATH_MAX);
    path[FV_PATH_MAX] = 0;
    assert_int_equal(fv_file_begin(&file, path), FV_BAD_INPUT);
    free(path);
}

static void unreadable_files_say_why(void **state) {
    (void)state;
    void *data = &data;
    size_t bytes = 1;
    assert_int_equal(fv_file_read(temporary_path("none.txt"), 10, &data, &bytes), FV_BAD_INPUT);
    assert_null(data);
    assert_int_equal(bytes, 0);
    assert_non_null(strstr(fv_error(), "none.txt: there is no such file"));
    assert_int_equal(fv_file_read(temporary_path("."), 10, &data, &bytes), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "is a folder"));
}

static void limit_is_exact(void **state) {
    (void)state;
    const char *path = temporary_path("e.txt");
    assert_int_equal(fv_file_write(path, "0123456789", 10), FV_OK);
    void *data;
    size_t bytes;
    assert_int_equal(fv_file_read(path, 10, &data, &bytes), FV_OK);
    assert_int_equal(bytes, 10);
    free(data);
    assert_int_equal(fv_file_read(path, 9, &data, &bytes), FV_BAD_INPUT);
    assert_null(data);
    assert_non_null(strstr(fv_error(), "e.txt is larger than"));
    unlink(path);
    /* Files that do not tell their size are held to it as well. */
    assert_int_equal(fv_file_read("/dev/zero", 100000, &data, &bytes), FV_BAD_INPUT);
    assert_null(data);
    assert_int_equal(fv_file_read("/proc/self/stat", 100000, &data, &bytes), FV_OK);
    assert_true(bytes > 10);
    free(data);
}

static void folders_are_made_with_their_parents(void **state) {
    (void)state;
    char path[600];
    snprintf(path, sizeof path, "%s", temporary_path("f/g//h/"));
    assert_false(fv_folder_exists(path));
    assert_int_equal(fv_folder_make(path), FV_OK);
    assert_int_equal(fv_folder_make(path), FV_OK);
    assert_true(fv_folder_exists(path));
    assert_false(fv_file_exists(path));
    const char *file = temporary_path("f/file");
    assert_int_equal(fv_file_write(file, "", 0), FV_OK);
    assert_true(fv_file_exists(file));
    assert_false(fv_folder_exists(file));
    assert_int_equal(fv_folder_make(temporary_path("f/file/below")), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "a file of that name is in the way"));
}

static void paths_join(void **state) {
    (void)state;
    static const char *const cases[][3] = {{"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"", "b", "b"},
                                           {"a", "/b", "/b"}, {"/", "b", "/b"},   {"a/b", "c/d", "a/b/c/d"}};
    char out[FV_PATH_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(fv_path_join(out, cases[i][0], cases[i][1]), FV_OK);
        assert_string_equal(out, cases[i][2]);
    }
    char *name = malloc(FV_PATH_MAX);
    memset(name, 'a', FV_PATH_MAX - 1);
    name[FV_PATH_MAX - 1] = 0;
    assert_int_equal(fv_path_join(out, "", name), FV_OK);
    assert_int_equal(fv_path_join(out, "b", name), FV_BAD_INPUT);
    assert_string_equal(out, "");
    free(name);
}

static void stems_lose_folder_and_extension(void **state) {
    (void)state;
    static const char *const cases[][2] = {{"a/b.png", "b"},       {"b", "b"}, {"x.y/b.tar.gz", "b.tar"},
                                           {".hidden", ".hidden"}, {"a/", ""}, {"abcdefghij.png", "abcdefg"}};
    char out[8];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fv_path_stem(cases[i][0], out, sizeof out);
        assert_string_equal(out, cases[i][1]);
    }
}

static void sweep_takes_only_what_dead_processes_left(void **state) {
    (void)state;
    char folder[FV_PATH_MAX], alive[64], path[FV_PATH_MAX];
    snprintf(folder, sizeof folder, "%s", temporary_path("swept"));
    assert_int_equal(fv_folder_make(folder), FV_OK);
    snprintf(alive, sizeof alive, ".last.%ld.0.tmp", (long)getpid());
    const char *const names[] = {".last.safetensors.999999999.3.tmp", alive, "notes.tmp", ".x.tmp", "last.safetensors"};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(fv_path_join(path, folder, names[i]), FV_OK);
        assert_int_equal(fv_file_write(path, "x", 1), FV_OK);
    }
    fv_folder_sweep(folder);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(fv_path_join(path, folder, names[i]), FV_OK);
        assert_int_equal(fv_file_exists(path), i > 0);
        remove(path);
    }
    rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sweep_takes_only_what_dead_processes_left),
        cmocka_unit_test(written_file_reads_back),
        cmocka_unit_test(old_content_stands_until_commit),
        cmocka_unit_test(two_writers_do_not_meet),
        cmocka_unit_test(full_disk_leaves_the_old_content),
        cmocka_unit_test(unwritable_places_are_bad_input),
        cmocka_unit_test(unreadable_files_say_why),
        cmocka_unit_test(limit_is_exact),
        cmocka_unit_test(folders_are_made_with_their_parents),
        cmocka_unit_test(paths_join),
        cmocka_unit_test(stems_lose_folder_and_extension),
    };
    return cmocka_run_group_tests(tests, temporary_setup, temporary_teardown);
}
