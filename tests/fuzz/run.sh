#!/bin/sh
# Builds every tests/fuzz/fuzz_*.c with clang's libFuzzer and both sanitizers and runs each for SECONDS_EACH (default 60) on a
# corpus kept in build-fuzz/corpus/, beginning with tests/fuzz/seeds/. Ends with the first finding. FUZZ="tests/fuzz/fuzz_torch.c ..." runs only these.
set -eu
cd "$(dirname "$0")/../.."
build=build-fuzz
sanitizers=address,undefined
packages="openblas libtiff-4 libjpeg libdeflate inih libcjson cairo libexif hdf5 libzip libprotobuf-c"
make --no-print-directory CC=clang BUILD=$build SANITIZE=fuzzer-no-link,$sanitizers OPTIMISE=-O1 $build/libfovea.a >/dev/null
for source in ${FUZZ:-tests/fuzz/fuzz_*.c}; do
    name=$(basename "$source" .c)
    # shellcheck disable=SC2046
    clang -std=c17 -D_GNU_SOURCE -g -O1 -fopenmp-simd -fsanitize=fuzzer,$sanitizers -Iinclude $(pkg-config --cflags $packages) "$source" \
        $build/libfovea.a $(pkg-config --libs $packages) -lgif -lcsv -lpthread -lm -o "$build/$name"
    mkdir -p "$build/corpus/$name"
    seeds=tests/fuzz/seeds/$name
    [ -d "$seeds" ] || seeds=
    echo "== $name for ${SECONDS_EACH:-60} s"
    LSAN_OPTIONS=suppressions=tests/lsan.supp "$build/$name" -max_total_time="${SECONDS_EACH:-60}" -print_final_stats=1 -artifact_prefix=$build/ \
        "$build/corpus/$name" $seeds >"$build/$name.log" 2>&1 || { tail -n 40 "$build/$name.log"; exit 1; }
    grep 'number_of_executed_units' "$build/$name.log"
done
