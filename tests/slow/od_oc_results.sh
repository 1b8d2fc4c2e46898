#!/bin/sh
# Disc and cup on the official Drishti-GS test set, with and without ImageNet weights: writes docs/results/od_oc.md.
# usage: tests/slow/od_oc_results.sh   (FOVEA_DATA has drishti, FOVEA_WEIGHTS the ImageNet weights)
set -eu
cd "$(dirname "$0")/../.."
fovea=${BUILD:-build}/fovea
export FOVEA_DATA="${FOVEA_DATA:-../shared/data}" FOVEA_WEIGHTS="${FOVEA_WEIGHTS:-../shared/weights}"
[ -f "$FOVEA_DATA/drishti/index.csv" ] || { echo "skip: no Drishti photographs below FOVEA_DATA ($FOVEA_DATA)"; exit 0; }
runs=${RUNS:-runs}

train() { # name, overrides
    name=$1
    shift
    started=$(date +%s)
    "$fovea" train configs/od_oc_drishti.ini run.dir="$runs/$name" "$@" --fresh
    echo $(($(date +%s) - started)) >"$runs/$name/seconds"
    "$fovea" eval "$runs/$name" --split test --json "$runs/$name/test.json" >/dev/null
    "$fovea" eval "$runs/$name" --split test --flips --json "$runs/$name/test_flips.json" >/dev/null
    "$fovea" eval "$runs/$name" --split val --json "$runs/$name/val.json" >/dev/null
}

train drishti_imagenet
train drishti_random model.encoder_weights=none
python3 tests/slow/od_oc_results.py "$runs" >docs/results/od_oc.md
