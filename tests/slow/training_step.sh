#!/bin/sh
# Speed and memory of a training step of mobilenetv2_unet (batch 8, 256x256) beside PyTorch's: writes docs/results/training_step.md.
# usage: tests/slow/training_step.sh PYTHON    a Python that has torch: that of `make bench-peers` is build/peers/venv/bin/python
# Alternates fovea and PyTorch (stock, and with its memory allocator tuned) three times and takes medians. fovea's figure is of the
# whole training loop on Drishti-GS with its loader, PyTorch's of the bare step.
set -eu
cd "$(dirname "$0")/../.."
fovea=${BUILD:-build}/fovea
peer=tools/peers/peer_bench.py python=$1
export FOVEA_DATA="${FOVEA_DATA:-../shared/data}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for round in 1 2 3; do
    for threads in 1 2; do
        /usr/bin/time -f '%M' -o "$work/rss" "$fovea" train configs/od_oc_drishti.ini run.dir="$work/run" model.encoder_weights=none \
            train.epochs=4 train.validate_every=1000 train.picture_every=0 --fresh --threads $threads >/dev/null 2>"$work/log" || { cat "$work/log"; exit 1; }
        sed -n 's/.*; \([0-9.]*\) images\/s, \([0-9]*\) MiB planned.*/\1 \2/p' "$work/log" | while read -r rate planned; do
            echo "fovea $threads $rate $planned $(($(cat "$work/rss") / 1024))"
        done
        echo "stock $threads $($python "$peer" train mobilenetv2_unet --batch 8 --size 256 --threads $threads --seconds 12)"
        echo "tuned $threads $(MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=32000000000 MALLOC_TOP_PAD_=268435456 MALLOC_ARENA_MAX=1 \
            $python "$peer" train mobilenetv2_unet --batch 8 --size 256 --threads $threads --seconds 12)"
    done
done | tee "$work/rows"
"$python" tests/slow/training_step.py "$work/rows" >docs/results/training_step.md
