#!/bin/sh
# Runs every test program given and ends with one line "N passed, N failed, N skipped" over all of them.
# With RUNNER, each is started by that: an emulator, say. A failing program's output is shown; lines that begin with "skip:" say what was left out and why.
FOVEA="$PWD/${BUILD:-build}/fovea" # the program that the command-line tests run
export FOVEA
passed=0 failed=0 skipped=0
log=$(mktemp)
for program in "$@"; do
    start=$(date +%s.%N)
    # shellcheck disable=SC2086
    if ${RUNNER:-} "$program" >"$log" 2>&1; then status=ok; else status=FAILED; fi
    seconds=$(echo "$(date +%s.%N) $start" | awk '{printf "%.1f", $1 - $2}')
    # cmocka names each test once as it ends and failed and skipped ones once more in its summary: count names, not lines
    count() { sed -n "s/^\[  $1 *\] \([A-Za-z_0-9]*\)\$/\1/p" "$log" | sort -u | wc -l; }
    p=$(grep -c '^\[       OK \]' "$log")
    s=$(count SKIPPED)
    f=$(count FAILED)
    [ "$status" = ok ] && f=0
    [ "$status" = FAILED ] && [ "$f" -eq 0 ] && f=1 # it crashed
    printf '%-6s %-40s %3d tests %6s s\n' "$status" "$(basename "$program")" "$((p + s + f))" "$seconds"
    grep '^skip:' "$log"
    [ "$status" = FAILED ] && grep -v '^\[       OK \]\|^\[ RUN' "$log"
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
done
rm -f "$log"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
