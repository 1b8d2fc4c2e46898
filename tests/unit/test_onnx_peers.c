/* A network as PyTorch exports it in fovea beside ONNX Runtime (`make run-onnx` runs eight, and in float16; at 64 px
   ONNX Runtime's float16 of this one is not a number): FOVEA_PYTHON names a Python with torch, onnx, onnxruntime and
   segmentation-models-pytorch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "fovea/base/file.h"
#include "temporary.h"

static void exported_network(void **state) {
    (void)state;
    const char *python = getenv("FOVEA_PYTHON"), *build = getenv("BUILD");
    char program[256], command[2 * FV_PATH_MAX];
    if (!build) build = "build";
    snprintf(program, sizeof program, "%s/slow/network_run", build);
    snprintf(command, sizeof command,
             "\"%s\" -c 'import torch, onnx, onnxruntime, segmentation_models_pytorch' 2>/dev/null",
             python ? python : "");
    if (!python || system(command) != 0) {
        printf("skip: FOVEA_PYTHON names no Python with torch, onnxruntime, segmentation-models-pytorch\n");
        skip();
    }
    if (!fv_file_exists(program)) {
        printf("skip: no %s (make run-tests builds it)\n", program);
        skip();
    }
    snprintf(command, sizeof command,
             "\"%s\" tests/peers/run_onnx.py %s \"%s\" --only --networks smp_efficientnet-b0 --kinds fp32 --sizes 64 "
             "--rounds 0",
             python, build, temporary_path("onnx"));
    assert_int_equal(system(command), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(exported_network)};
    return cmocka_run_group_tests(tests, temporary_setup, temporary_teardown);
}
