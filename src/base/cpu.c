#include "fovea/base/cpu.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/log.h"

static const char *const level_names[] = {"scalar", "avx2", "avx512", "neon"};

static pthread_once_t detection = PTHREAD_ONCE_INIT;
static fv_cpu_level hardware = FV_CPU_SCALAR;
static atomic_int current = FV_CPU_SCALAR;
static char model[128] = "unknown";

static fv_cpu_level detect_level(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return FV_CPU_SCALAR;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw"))
        return FV_CPU_AVX512;
    return FV_CPU_AVX2;
#elif defined(__aarch64__)
    return FV_CPU_NEON;
#else
    return FV_CPU_SCALAR;
#endif
}

static void read_model(void) {
    FILE *stream = fopen("/proc/cpuinfo", "re");
    if (!stream) return;
    char line[256];
    while (fgets(line, sizeof line, stream)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) || !colon) continue;
        colon += 1 + strspn(colon + 1, " \t");
        colon[strcspn(colon, "\n")] = 0;
        if (*colon) snprintf(model, sizeof model, "%s", colon);
        break;
    }
    fclose(stream);
}

static void detect(void) {
    hardware = detect_level();
    read_model();
    fv_cpu_level level = hardware;
    const char *wish = getenv("FOVEA_CPU");
    if (wish && *wish) {
        int found = FV_CPU_SCALAR;
        while (found <= FV_CPU_NEON && strcmp(wish, level_names[found])) found++;
        if (found > FV_CPU_NEON)
            fv_log_warning("FOVEA_CPU=%s is none of scalar, avx2, avx512, neon; it is ignored", wish);
        else if (found < (int)level)
            level = (fv_cpu_level)found;
    }
    atomic_store(&current, (int)level);
}

fv_cpu_level fv_cpu(void) {
    pthread_once(&detection, detect);
    return (fv_cpu_level)atomic_load_explicit(&current, memory_order_relaxed);
}

void fv_cpu_limit(fv_cpu_level level) {
    pthread_once(&detection, detect);
    atomic_store(&current, (int)(level < hardware ? level : hardware));
}

const char *fv_cpu_name(fv_cpu_level level) {
    return level_names[level];
}

const char *fv_cpu_model(void) {
    pthread_once(&detection, detect);
    return model;
}
