#!/usr/bin/env bash
# Trains once undisturbed and once killed with SIGKILL ten times at random moments, and compares the weights bit by bit.
# Writes docs/results/kill_resume.md; exits with 1 when the weights differ. Run by `make slow`.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/slow/tensors.sh
fovea=${FOVEA:-$PWD/${BUILD:-build}/fovea}
report=$PWD/docs/results/kill_resume.md
config=$PWD/configs/od_oc.ini
kills=${KILLS:-10}
seed=${SEED:-$$}
RANDOM=$seed

folder=$(mktemp -d /tmp/fovea_kill_XXXXXX)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
unset FOVEA_WEIGHTS
settings=(data.phantoms=40 data.phantom_side=256 preprocess.size=64 preprocess.work_size=128 model.width=0.5
  train.epochs=30 train.checkpoint_every=2 train.picture_every=10)

milliseconds() { date +%s%3N; }

epochs_in() { if [ -f "$1/history.csv" ]; then echo $(($(wc -l <"$1/history.csv") - 1)); else echo 0; fi; }

"$fovea" phantom --out runs/phantoms_40_1_256 --count 40 --seed 1 --side 256 --quiet
began=$(milliseconds)
"$fovea" train "$config" "${settings[@]}" run.dir=whole --quiet >/dev/null
whole=$(($(milliseconds) - began))
echo "undisturbed: $((whole / 1000)) s"

rows=
for ((i = 1; i <= kills; i++)); do
  wait_ms=$((whole / 50 + (RANDOM * 32768 + RANDOM) % (whole / 8)))
  "$fovea" train "$config" "${settings[@]}" run.dir=killed --quiet >/dev/null &
  pid=$!
  sleep "$((wait_ms / 1000)).$(printf %03d $((wait_ms % 1000)))"
  kill -KILL "$pid" 2>/dev/null || true
  code=0
  wait "$pid" 2>/dev/null || code=$?
  [ "$code" = 137 ] || { echo "kill $i came too late: the run had ended with code $code"; exit 1; }
  left=$(find killed -name '.*.tmp' 2>/dev/null | wc -l)
  rows+="| $i | $((wait_ms / 1000)).$(printf %03d $((wait_ms % 1000))) | $(epochs_in killed) | $left |"$'\n'
  echo "kill $i after $wait_ms ms, $(epochs_in killed) epochs in the history"
done
"$fovea" train "$config" "${settings[@]}" run.dir=killed --quiet >/dev/null

result=0
table=
for file in last.safetensors best.safetensors; do
  a=$(tensors "whole/$file") b=$(tensors "killed/$file")
  same=yes
  [ "$a" = "$b" ] || { same=no; result=1; }
  table+="| $file | \`${a:0:16}\` | \`${b:0:16}\` | $same |"$'\n'
done

mkdir -p "$(dirname "$report")"
cat >"$report" <<END
# Killed and resumed

Written by \`tests/slow/kill_resume.sh\` (\`make slow\`) with $("$fovea" --version), $(nproc) processors, seed $seed.

A training of 30 epochs on 40 phantoms ran once undisturbed ($((whole / 1000)) s) and once under SIGKILL: the same command was
given again after each of $kills kills. Over \`configs/od_oc.ini\`:

$(printf '    %s\n' "${settings[@]}")

| kill | seconds after the start | epochs in history.csv | temporary files left behind |
|-----:|------------------------:|----------------------:|----------------------------:|
${rows}
The tensors of the two runs' files (SHA-256 of the bytes behind the header, first 16 digits; the header's metadata holds
times):

| file | undisturbed | killed $kills times | same bits |
|------|-------------|-----------------|-----------|
$table
END
[ $result = 0 ] && echo "same bits after $kills kills; see docs/results/kill_resume.md" || echo "the weights DIFFER"
exit $result
