#!/bin/sh
# Measures every variant of every kernel with the test programs given and writes docs/results/kernels.md. A quiet machine, please.
set -eu
cd "$(dirname "$0")/.."
report=docs/results/kernels.md
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for program in "$@"; do "$program" --bench >>"$log"; done
{
    echo "# Kernels, measured"
    echo
    echo "Written by \`make kernel-results\` with $(git describe --always --dirty --abbrev=12) on $(date +%Y-%m-%d): $(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1), one thread."
    echo "What the columns mean, and what bounds the kernels: [../kernels.md](../kernels.md)."
    echo
    echo '```'
    grep -v ' scalar ' "$log" || true
    echo '```'
} >"$report.new"
mv "$report.new" "$report"
echo "$report"
