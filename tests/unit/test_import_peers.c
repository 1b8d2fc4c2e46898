/* One encoder and one network of each framework that FOVEA_PYTHON has (tests/peers; `make import-peers` runs them all):
   FOVEA_PYTHON names a Python with torch, torchvision, PIL and safetensors, or one with keras and h5py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "data_samples.h"
#include "fovea/base/file.h"
#include "temporary.h"

/* Runs a script where the Python has its modules. */
static void check_framework(const char *script, const char *modules) {
    const char *python = getenv("FOVEA_PYTHON"), *build = getenv("BUILD");
    char photo[FV_PATH_MAX], program[256], command[2 * FV_PATH_MAX];
    snprintf(photo, sizeof photo, "%s/drishti/images/drishtiGS_001.jpg", sample_real_data());
    snprintf(program, sizeof program, "%s/slow/import_features", build ? build : "build");
    snprintf(command, sizeof command, "\"%s\" -c 'import %s' 2>/dev/null", python ? python : "", modules);
    if (!python || system(command) != 0) {
        printf("skip: FOVEA_PYTHON names no Python with %s\n", modules);
        skip();
    }
    if (!fv_file_exists(photo) || !fv_file_exists(program)) {
        printf("skip: no Drishti-GS (FOVEA_DATA), or no %s (make run-tests builds it)\n", program);
        skip();
    }
    snprintf(command, sizeof command, "\"%s\" tests/peers/%s \"%s\" \"%s\" \"%s\" --quick", python, script,
             build ? build : "build", temporary_path(""), photo);
    assert_int_equal(system(command), 0);
}

static void torch_files(void **state) {
    (void)state;
    check_framework("import_torch.py", "torch, torchvision, PIL, safetensors");
}

static void keras_files(void **state) {
    (void)state;
    check_framework("import_keras.py", "keras, h5py");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(torch_files),
        cmocka_unit_test(keras_files),
    };
    return cmocka_run_group_tests(tests, temporary_setup, temporary_teardown);
}
