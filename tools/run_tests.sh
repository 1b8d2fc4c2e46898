#!/bin/sh
# Runs every test program given and ends with one line "N passed, N failed, N skipped" over all of them.
# Each program's output is shown when it fails; lines that begin with "skip:" say what was left out and why.
passed=0 failed=0 skipped=0
log=$(mktemp)
for program in "$@"; do
    start=$(date +%s.%N)
    if "$program" >"$log" 2>&1; then status=ok; else status=FAILED; fi
    seconds=$(echo "$(date +%s.%N) $start" | awk '{printf "%.1f", $1 - $2}')
    p=$(grep -c '^\[       OK \]' "$log")
    s=$(grep -c '^\[  SKIPPED \]' "$log")
    f=$(grep -c '^\[  FAILED  \].*[a-z]' "$log")
    [ "$status" = FAILED ] && { [ "$f" -gt 0 ] && f=$(((f - 1) / 2)) || f=1; }
    [ "$status" = ok ] && f=0
    printf '%-6s %-40s %3d tests %6s s\n' "$status" "$(basename "$program")" "$((p + s))" "$seconds"
    grep '^skip:' "$log"
    [ "$status" = FAILED ] && grep -v '^\[       OK \]\|^\[ RUN' "$log"
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
done
rm -f "$log"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
