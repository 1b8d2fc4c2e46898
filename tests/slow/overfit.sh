#!/bin/sh
# Four real photographs learnt by heart: mean Dice must reach 0.98. Writes docs/results/overfit.md.
# usage: tests/slow/overfit.sh   (needs FOVEA_DATA with drishti; BUILD names the build folder)
set -eu
cd "$(dirname "$0")/../.."
fovea=${BUILD:-build}/fovea
data=${FOVEA_DATA:-../shared/data}
[ -f "$data/drishti/index.csv" ] || { echo "skip: no Drishti photographs below FOVEA_DATA ($data)"; exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
head -n 5 "$data/drishti/index.csv" >"$work/four.csv"
started=$(date +%s)
"$fovea" train configs/od_oc_drishti.ini run.dir="$work/run" data.manifest="$work/four.csv" data.root="$data/drishti" data.split=train \
    data.val_count=0 augment.enabled=no train.batch=4 train.epochs=150 train.picture_every=0 optimizer.average_decay=0 \
    optimizer.rate=3e-3 train.checkpoint_every=1000 --quiet
"$fovea" eval "$work/run" --split train --json "$work/figures.json"
python3 - "$work/figures.json" $(($(date +%s) - started)) <<'PY'
import json, sys
figures = json.load(open(sys.argv[1]))
rows = [(name, figures["classes"][name]["dice"]["mean"]) for name in ("disc", "cup")] + [("mean", figures["mean"]["dice"]["mean"])]
with open("docs/results/overfit.md", "w") as out:
    out.write("# Four photographs learnt by heart\n\n`tests/slow/overfit.sh`: the first four training photographs of Drishti-GS, no augmentation, "
              "150 steps of batch 4 at 256x256,\nmeasured at the photographs' own size.\n\n| class | Dice |\n|---|---|\n")
    out.writelines(f"| {name} | {value:.4f} |\n" for name, value in rows)
    out.write(f"\nTime {sys.argv[2]} s.\n")
sys.exit(0 if rows[-1][1] >= 0.98 else 1)
PY
