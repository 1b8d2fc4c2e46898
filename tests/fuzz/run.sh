#!/bin/sh
# Builds every tests/fuzz/fuzz_*.c with clang's libFuzzer and both sanitizers and runs each for SECONDS_EACH (default 60), JOBS at a time
# (default: as many as processors), on a corpus kept in build-fuzz/corpus/, beginning with tests/fuzz/seeds/. Fails with the end of each
# log that has a finding. FUZZ="tests/fuzz/fuzz_torch.c ..." runs only these.
set -eu
cd "$(dirname "$0")/../.."
export build=build-fuzz SECONDS_EACH="${SECONDS_EACH:-60}" LSAN_OPTIONS=suppressions=tests/lsan.supp
sanitizers=address,undefined
packages="openblas libtiff-4 libjpeg libdeflate inih libcjson cairo libexif hdf5 libzip libprotobuf-c"
make --no-print-directory -j"$(nproc)" CC=clang BUILD=$build SANITIZE=fuzzer-no-link,$sanitizers OPTIMISE=-O1 $build/libfovea.a >/dev/null
names=
for source in ${FUZZ:-tests/fuzz/fuzz_*.c}; do
    name=$(basename "$source" .c)
    names="$names $name"
    # shellcheck disable=SC2046
    clang -std=c17 -D_GNU_SOURCE -g -O1 -fopenmp-simd -fsanitize=fuzzer,$sanitizers -Iinclude $(pkg-config --cflags $packages) "$source" \
        $build/libfovea.a $(pkg-config --libs $packages) -lgif -lcsv -lsupc++ -lpthread -lm -o "$build/$name"
done
# shellcheck disable=SC2016,SC2086
printf '%s\n' $names | xargs -P "${JOBS:-$(nproc)}" -I NAME sh -c '
    mkdir -p "$build/corpus/NAME"
    seeds=tests/fuzz/seeds/NAME
    [ -d "$seeds" ] || seeds=
    "$build/NAME" -max_total_time="$SECONDS_EACH" -print_final_stats=1 -artifact_prefix="$build/NAME-" "$build/corpus/NAME" $seeds \
        >"$build/NAME.log" 2>&1 || { tail -n 40 "$build/NAME.log"; exit 1; }
    echo "NAME: $SECONDS_EACH s, $(sed -n "s/stat::number_of_executed_units: *//p" "$build/NAME.log") inputs, no finding"'
