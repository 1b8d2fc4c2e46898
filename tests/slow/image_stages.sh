#!/bin/sh
# The stages of an image beside OpenCV's, on one thread: writes docs/results/image_stages.md.
# usage: tests/slow/image_stages.sh PROGRAM PYTHON PHOTO    image_stages.c compiled, a Python that has cv2, a photograph
set -eu
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$2" tests/slow/large_photo.py "$3" "$work/large.jpg"
"$2" tests/slow/image_stages.py "$1" "$work/large.jpg" 5 >"$work/image_stages.md"
mv "$work/image_stages.md" docs/results/image_stages.md
cat docs/results/image_stages.md
