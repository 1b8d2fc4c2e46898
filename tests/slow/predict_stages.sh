#!/bin/sh
# Time of `fovea predict` by stage, on one thread and on two, and of its start: writes docs/results/predict.md.
# usage: tests/slow/predict_stages.sh MODEL PYTHON PHOTO    a trained model, a Python that has cv2, a photograph
set -eu
cd "$(dirname "$0")/../.."
fovea=${BUILD:-build}/fovea
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$2" tests/slow/large_photo.py "$3" "$work/large.jpg"
for round in 1 2 3 4 5 6 7 8 9; do
    for threads in 1 2; do
        "$fovea" predict "$1" "$work/large.jpg" --out "$work/out" --threads $threads --times --quiet 2>/dev/null
        mv "$work/out/large.json" "$work/$threads.$round.json"
    done
done
"$2" tests/slow/predict_stages.py "$fovea" "$work" "$(basename "$3")" >"$work/predict.md"
mv "$work/predict.md" docs/results/predict.md
cat docs/results/predict.md
