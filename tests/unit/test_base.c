#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fovea/base/cpu.h"
#include "fovea/base/log.h"
#include "fovea/base/memory.h"
#include "fovea/base/nearest.h"
#include "fovea/base/progress.h"
#include "fovea/base/status.h"
#include "fovea/base/threads.h"
#include "fovea/base/version.h"

/* ---- status ---- */

/* Assertions work on the main thread only: others report. */
static void *fail_elsewhere(void *was_empty) {
    *(bool *)was_empty = !*fv_error();
    fv_fail(FV_NO_RESOURCE, "elsewhere");
    return NULL;
}

static void sentence_belongs_to_its_thread(void **state) {
    (void)state;
    assert_int_equal(fv_fail(FV_BAD_INPUT, "a.png:%d: bad", 7), FV_BAD_INPUT);
    pthread_t thread;
    bool was_empty = false;
    assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, &was_empty), 0);
    pthread_join(thread, NULL);
    assert_true(was_empty);
    assert_string_equal(fv_error(), "a.png:7: bad");
}

static void sentence_is_cut_and_may_quote_itself(void **state) {
    (void)state;
    char text[3000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    fv_fail(FV_BAD_INPUT, "%s", text);
    assert_int_equal(strlen(fv_error()), 1023);
    fv_fail(FV_BAD_INPUT, "inner");
    fv_fail(FV_BAD_INPUT, "outer: %s", fv_error());
    assert_string_equal(fv_error(), "outer: inner");
}

static void a_sentence_names_its_file_once(void **state) {
    (void)state;
    fv_fail(FV_BAD_INPUT, "all of it is black");
    assert_int_equal(fv_fail_about(FV_BAD_INPUT, "a.png"), FV_BAD_INPUT);
    assert_string_equal(fv_error(), "a.png: all of it is black");
    fv_fail_about(FV_BAD_INPUT, "a.png");
    assert_string_equal(fv_error(), "a.png: all of it is black");
    fv_fail(FV_NO_RESOURCE, "no memory");
    assert_int_equal(fv_fail_about(FV_NO_RESOURCE, "a.png"), FV_NO_RESOURCE);
    assert_string_equal(fv_error(), "no memory");
}

static void memory_failure_names_what_and_how_much(void **state) {
    (void)state;
    assert_int_equal(fv_fail_memory("the plan", 3u << 20), FV_NO_RESOURCE);
    assert_non_null(strstr(fv_error(), "the plan: 3.0 MiB"));
}

/* ---- memory ---- */

static void sizes_multiply_checked(void **state) {
    (void)state;
    assert_int_equal(fv_size_multiply(6, 7), 42);
    assert_int_equal(fv_size_multiply(0, SIZE_MAX), 0);
    assert_true(fv_size_multiply((size_t)1 << 40, (size_t)1 << 40) == SIZE_MAX);
    assert_true(fv_size_multiply(SIZE_MAX, 2) == SIZE_MAX);
    assert_int_equal(fv_align_up(0), 0);
    assert_int_equal(fv_align_up(1), 64);
    assert_int_equal(fv_align_up(64), 64);
    assert_int_equal(fv_align_up(65), 128);
}

static void blocks_are_aligned_and_zero(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 63, 4096, ((size_t)2 << 20) - 1, (size_t)2 << 20, ((size_t)5 << 20) + 3};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        void *block;
        assert_int_equal(fv_block_allocate(sizes[i], "a test", &block), FV_OK);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % FV_ALIGNMENT, 0);
        const unsigned char *bytes = block;
        unsigned sum = 0;
        for (size_t j = 0; j < sizes[i]; j++) sum |= bytes[j];
        assert_int_equal(sum, 0);
        memset(block, 0xff, sizes[i]);
        fv_block_free(block);
    }
    fv_block_free(NULL);
}

static void impossible_blocks_fail(void **state) {
    (void)state;
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 64, PTRDIFF_MAX, (size_t)1 << 50};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        void *block = &block;
        assert_int_equal(fv_block_allocate(sizes[i], "the moon", &block), FV_NO_RESOURCE);
        assert_null(block);
        assert_non_null(strstr(fv_error(), "the moon"));
    }
}

static void lists_are_zero_and_checked(void **state) {
    (void)state;
    int *list = fv_allocate(100, sizeof *list, "a list");
    assert_non_null(list);
    for (int i = 0; i < 100; i++) assert_int_equal(list[i], 0);
    free(list);
    void *empty = fv_allocate(0, 8, "nothing");
    assert_non_null(empty);
    free(empty);
    volatile size_t huge = SIZE_MAX / 2; /* volatile: the compiler would warn of the constant */
    assert_null(fv_allocate(huge, 16, "the sun"));
    assert_non_null(strstr(fv_error(), "the sun"));
}

static void peak_memory_grows_with_use(void **state) {
    (void)state;
    size_t before = fv_memory_peak();
    if (before == 0) {
        printf("skip: no /proc here\n");
        skip();
    }
    void *block;
    assert_int_equal(fv_block_allocate((size_t)48 << 20, "a test", &block), FV_OK);
    assert_true(fv_memory_peak() >= before + ((size_t)30 << 20));
    fv_block_free(block);
}

/* ---- threads ---- */

typedef struct sums {
    int64_t results[1000];
    atomic_int busy[FV_MAX_THREADS], total, wrong;
    int threads;
} sums;

static void add_up(void *context, int64_t i, int worker) {
    sums *s = context;
    if (worker < 0 || worker >= s->threads) {
        atomic_fetch_add(&s->wrong, 1);
        return;
    }
    if (atomic_fetch_add(&s->busy[worker], 1)) atomic_fetch_add(&s->wrong, 1); /* scratch that another task has */
    for (int64_t j = 0; j <= i; j++) s->results[i] += j;
    atomic_fetch_add(&s->total, 1);
    atomic_fetch_sub(&s->busy[worker], 1);
}

static void every_task_runs_once(void **state) {
    (void)state;
    for (int threads = 1; threads <= 7; threads += 2) {
        fv_threads_set(threads);
        assert_int_equal(fv_threads(), threads);
        sums s = {.threads = threads};
        fv_parallel_for(1000, add_up, &s);
        assert_int_equal(atomic_load(&s.wrong), 0);
        assert_int_equal(atomic_load(&s.total), 1000);
        for (int64_t i = 0; i < 1000; i++) assert_int_equal(s.results[i], i * (i + 1) / 2);
        fv_parallel_for(0, add_up, &s);
        assert_int_equal(atomic_load(&s.total), 1000);
    }
    fv_threads_set(0);
}

typedef struct nest {
    int outer_worker;
    atomic_int *right;
} nest;

static void inner_task(void *context, int64_t i, int worker) {
    nest *n = context;
    (void)i;
    if (worker == n->outer_worker) atomic_fetch_add(n->right, 1);
}

static void outer_task(void *context, int64_t i, int worker) {
    nest n = {worker, context};
    (void)i;
    fv_parallel_for(10, inner_task, &n);
}

static void nested_calls_stay_on_their_worker(void **state) {
    (void)state;
    atomic_int right = 0;
    fv_threads_set(4);
    fv_parallel_for(20, outer_task, &right);
    assert_int_equal(atomic_load(&right), 200);
    fv_threads_set(0);
}

static void thread_count_is_bounded(void **state) {
    (void)state;
    fv_threads_set(1000);
    assert_int_equal(fv_threads(), FV_MAX_THREADS);
    fv_threads_set(-3);
    assert_in_range(fv_threads(), 1, FV_MAX_THREADS);
    fv_threads_set(0);
    assert_in_range(fv_threads(), 1, FV_MAX_THREADS);
}

/* ---- cpu ---- */

static void level_can_be_lowered_only(void **state) {
    (void)state;
    fv_cpu_level level = fv_cpu();
    fv_cpu_limit(FV_CPU_SCALAR);
    assert_int_equal(fv_cpu(), FV_CPU_SCALAR);
    fv_cpu_limit(level);
    assert_int_equal(fv_cpu(), level);
    fv_cpu_limit(FV_CPU_AVX512);
    assert_true(fv_cpu() >= level);
    fv_cpu_limit(level);
    assert_string_equal(fv_cpu_name(FV_CPU_SCALAR), "scalar");
    assert_string_equal(fv_cpu_name(FV_CPU_AVX2), "avx2");
    assert_string_equal(fv_cpu_name(FV_CPU_AVX512), "avx512");
    assert_true(strlen(fv_cpu_model()) > 0);
}

/* ---- log and progress ---- */

static int kept_stderr;
static FILE *captured;

static void capture(void) {
    fflush(stderr);
    kept_stderr = dup(STDERR_FILENO);
    captured = tmpfile();
    dup2(fileno(captured), STDERR_FILENO);
}

static const char *release(void) {
    static char text[4096];
    fflush(stderr);
    dup2(kept_stderr, STDERR_FILENO);
    close(kept_stderr);
    rewind(captured);
    text[fread(text, 1, sizeof text - 1, captured)] = 0;
    fclose(captured);
    return text;
}

static void quiet_silences_information_only(void **state) {
    (void)state;
    capture();
    fv_log_info("epoch %d", 3);
    fv_log_set_quiet(true);
    bool quiet = fv_log_is_quiet();
    fv_log_info("not seen");
    fv_log_warning("disk is %s", "slow");
    fv_log_set_quiet(false);
    const char *text = release();
    assert_true(quiet);
    assert_string_equal(text, "epoch 3\nwarning: disk is slow\n");
}

static void progress_elsewhere_is_a_plain_line(void **state) {
    (void)state;
    fv_progress progress;
    capture();
    fv_progress_start(&progress, "train", 200);
    fv_progress_update(&progress, 10, "loss 0.5"); /* too early for a line */
    progress.started_s -= 60;
    progress.shown_s -= 60;
    fv_progress_update(&progress, 50, "loss 0.31");
    fv_progress_update(&progress, 51, "loss 0.30");
    fv_progress_end(&progress);
    const char *text = release();
    assert_string_equal(text, "train: 50 of 200 (25 %), 3 min 00 s left  loss 0.31\n");
}

/* Resumed at 150 of 200: 10 more took 60 s, so the other 40 take 4 minutes. */
static void progress_of_a_resumed_run_measures_itself(void **state) {
    (void)state;
    fv_progress progress;
    capture();
    fv_progress_start(&progress, "train", 200);
    fv_progress_resume(&progress, 150);
    progress.started_s -= 60;
    progress.shown_s -= 60;
    fv_progress_update(&progress, 160, NULL);
    fv_progress_end(&progress);
    assert_string_equal(release(), "train: 160 of 200 (80 %), 4 min 00 s left\n");
}

static void progress_is_silent_when_quiet(void **state) {
    (void)state;
    fv_progress progress;
    capture();
    fv_log_set_quiet(true);
    fv_progress_start(&progress, "train", 0);
    progress.shown_s -= 60;
    fv_progress_update(&progress, 50, NULL);
    fv_progress_end(&progress);
    fv_log_set_quiet(false);
    assert_string_equal(release(), "");
}

static void progress_on_a_terminal_is_redrawn(void **state) {
    (void)state;
    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    int end = terminal < 0 || grantpt(terminal) || unlockpt(terminal) ? -1 : open(ptsname(terminal), O_RDWR | O_NOCTTY);
    if (end < 0) {
        printf("skip: no pseudo terminal here\n");
        if (terminal >= 0) close(terminal);
        skip();
    }
    setenv("TERM", "xterm", 1);
    fflush(stderr);
    kept_stderr = dup(STDERR_FILENO);
    dup2(end, STDERR_FILENO);
    fv_progress progress;
    fv_progress_start(&progress, "test", 4);
    fv_progress_update(&progress, 1, NULL);
    fv_progress_update(&progress, 2, NULL); /* within a tenth of a second: not drawn */
    fv_log_info("between");
    progress.shown_s -= 1;
    fv_progress_update(&progress, 3, "dice 0.9");
    fv_progress_end(&progress);
    dup2(kept_stderr, STDERR_FILENO);
    close(kept_stderr);
    close(end); /* the terminal's other side then reads all that was written, and an error behind it */
    char text[2048] = "";
    size_t length = 0;
    for (ssize_t got; (got = read(terminal, text + length, sizeof text - 1 - length)) > 0;) length += (size_t)got;
    text[length] = 0;
    close(terminal);
    assert_string_equal(text, "\rtest [######..................]  25 %  0 s left\033[K"
                              "\r\033[Kbetween\r\n"
                              "\rtest [##################......]  75 %  0 s left  dice 0.9\033[K"
                              "\r\033[K");
}

static void durations_read_well(void **state) {
    (void)state;
    static const struct {
        double seconds;
        const char *text;
    } cases[] = {{0, "0 s"},           {-5, "0 s"},
                 {42.4, "42 s"},       {59.6, "1 min 00 s"},
                 {185, "3 min 05 s"},  {3600, "1 h 00 min"},
                 {7800, "2 h 10 min"}, {360000, "100 h 00 min"},
                 {NAN, "0 s"},         {INFINITY, "10000 h 00 min"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[32];
        fv_duration_text(cases[i].seconds, text);
        assert_string_equal(text, cases[i].text);
    }
    double before = fv_seconds();
    assert_true(fv_seconds() >= before);
}

/* ---- nearest ---- */

static void distances_count_edits(void **state) {
    (void)state;
    static const struct {
        const char *a, *b;
        int distance;
    } cases[] = {{"", "", 0},       {"abc", "abc", 0},        {"", "abc", 3},         {"abc", "", 3},
                 {"abc", "abd", 1}, {"abc", "ac", 1},         {"ac", "abc", 1},       {"epohcs", "epochs", 1},
                 {"ca", "abc", 3},  {"kitten", "sitting", 3}, {"abcdef", "badcfe", 3}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(fv_edit_distance(cases[i].a, cases[i].b), cases[i].distance);
}

static void nearest_name_is_found_or_none(void **state) {
    (void)state;
    static const char *const names[] = {"epochs", NULL, "batch", "learning_rate", "lr"};
    assert_int_equal(fv_nearest("epohcs", names, 5), 0);
    assert_int_equal(fv_nearest("bach", names, 5), 2);
    assert_int_equal(fv_nearest("learningrate", names, 5), 3);
    assert_int_equal(fv_nearest("lt", names, 5), 4);
    assert_int_equal(fv_nearest("colour", names, 5), -1);
    assert_int_equal(fv_nearest("xy", names, 5), -1);
    assert_int_equal(fv_nearest("", names, 5), -1);
    assert_int_equal(fv_nearest("epochs", names, 0), -1);
}

static void version_is_known(void **state) {
    (void)state;
    assert_string_equal(fv_version(), "0.1.0");
    assert_true(strlen(fv_revision()) > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sentence_belongs_to_its_thread),
        cmocka_unit_test(sentence_is_cut_and_may_quote_itself),
        cmocka_unit_test(a_sentence_names_its_file_once),
        cmocka_unit_test(memory_failure_names_what_and_how_much),
        cmocka_unit_test(sizes_multiply_checked),
        cmocka_unit_test(blocks_are_aligned_and_zero),
        cmocka_unit_test(impossible_blocks_fail),
        cmocka_unit_test(lists_are_zero_and_checked),
        cmocka_unit_test(peak_memory_grows_with_use),
        cmocka_unit_test(every_task_runs_once),
        cmocka_unit_test(nested_calls_stay_on_their_worker),
        cmocka_unit_test(thread_count_is_bounded),
        cmocka_unit_test(level_can_be_lowered_only),
        cmocka_unit_test(quiet_silences_information_only),
        cmocka_unit_test(progress_elsewhere_is_a_plain_line),
        cmocka_unit_test(progress_of_a_resumed_run_measures_itself),
        cmocka_unit_test(progress_is_silent_when_quiet),
        cmocka_unit_test(progress_on_a_terminal_is_redrawn),
        cmocka_unit_test(durations_read_well),
        cmocka_unit_test(distances_count_edits),
        cmocka_unit_test(nearest_name_is_found_or_none),
        cmocka_unit_test(version_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
