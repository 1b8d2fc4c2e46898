#!/bin/sh
# What the loader costs training: writes docs/results/loader.md.
# usage: tests/slow/loader_share.sh PROGRAM [ROUNDS]    loader_share.c compiled; needs Drishti-GS below FOVEA_DATA
# Loop and bare step take turns within one process.
set -eu
cd "$(dirname "$0")/../.."
rounds=${2:-5}
export FOVEA_DATA="${FOVEA_DATA:-../shared/data}" FOVEA_WEIGHTS="${FOVEA_WEIGHTS:-../shared/weights}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for threads in 1 2; do
    "$1" configs/od_oc_drishti.ini $threads "$rounds" 2>/dev/null | sed "s/^/$threads	/"
done >"$work/rows"
python3 tests/slow/loader_share.py "$work/rows" >"$work/loader.md"
mv "$work/loader.md" docs/results/loader.md
cat docs/results/loader.md
