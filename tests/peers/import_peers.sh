#!/bin/sh
# Imported weights beside Keras's and PyTorch's own results on a photograph: writes docs/results/import.md when both are there.
# usage: tests/peers/import_peers.sh PHOTO [KERAS_PYTHON [TORCH_PYTHON]]    Pythons with keras, tensorflow, h5py; with torch, torchvision, PIL,
# safetensors. Environment: BUILD, FOVEA_WEIGHTS (folder with ImageNet weights and fixtures/), FOVEA_LISTS (optional file with more PyTorch networks).
set -eu
cd "$(dirname "$0")/../.."
build=${BUILD:-build} weights=${FOVEA_WEIGHTS:-../shared/weights} photo=$1 keras=${2:-python3} torch=${3:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ -f "$photo" ] || { echo "skip: there is no photograph $photo"; exit 0; }
status=0 parts=0
part() { # NAME, PYTHON, MODULES, SCRIPT and its further words
    name=$1 python=$2 modules=$3
    shift 3
    if ! "$python" -c "import $modules" >/dev/null 2>&1; then
        echo "skip $name: $python has no $modules"
        return
    fi
    mkdir "$work/$name"
    script=$1
    shift
    if "$python" "tests/peers/$script" "$build" "$work/$name" "$photo" "$@" >"$work/$name.md"; then parts=$((parts + 1)); else status=1; fi
    cat "$work/$name.md"
    rm -rf "${work:?}/$name"
}
part keras "$keras" keras,h5py import_keras.py --fixtures "$weights/fixtures"
part torch "$torch" torch,torchvision,safetensors,PIL import_torch.py --weights "$weights" ${FOVEA_LISTS:+--lists "$FOVEA_LISTS"}
[ $parts = 2 ] && [ $status = 0 ] || exit $status
{
    echo "# Imported weights beside the frameworks' own results"
    echo
    echo "\`make import-peers KERAS_PYTHON=... TORCH_PYTHON=...\` on $(basename "$photo"), reduced to 256x256. Encoders: the expand activations of blocks 1, 3, 6 and 13"
    echo "and the head's, the worst of the five named; whole networks: logits. Difference: norm of fovea's minus the framework's, over the framework's."
    echo "Files without a remark have random weights and random batch norm statistics; each encoder is also loaded without \`fovea import\`, with equal bits."
    cat "$work/keras.md" "$work/torch.md"
} >"$work/import.md"
mv "$work/import.md" docs/results/import.md
