#!/usr/bin/env bash
# Trains each of the four vessel networks on phantoms with one thread, with two, and killed with SIGKILL and gone on with; compares the
# weights bit by bit. Writes docs/results/vessel_identity.md; exits with 1 when any differ. Run by `make slow`.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
fovea=${FOVEA:-$root/${BUILD:-build}/fovea}
report=$root/docs/results/vessel_identity.md
kills=${KILLS:-3}
RANDOM=${SEED:-1}
folder=$(mktemp -d /tmp/fovea_identity_XXXXXX)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
unset FOVEA_WEIGHTS
settings=(data.phantoms=16 data.phantom_side=256 preprocess.size=96 preprocess.fov_diameter=224 train.epochs=6 train.validate_every=2
  train.checkpoint_every=1 train.picture_every=0)

. "$root/tests/slow/tensors.sh"

train() { # CONFIG DIR OPTIONS...
  local config=$1 dir=$2
  shift 2
  "$fovea" train "$root/configs/$config.ini" "${settings[@]}" run.dir="$dir" --quiet "$@" >/dev/null
}

result=0
rows=
for config in vessel_unet vessel_se vessel_resunet vessel_tiny; do
  began=$(date +%s%3N)
  train "$config" "$config-1" --threads 1
  took=$(($(date +%s%3N) - began))
  train "$config" "$config-2" --threads 2
  killed=0
  for ((i = 0; i < kills; i++)); do
    train "$config" "$config-killed" &
    pid=$!
    wait_ms=$((took / 8 + RANDOM % (took / 4 + 1)))
    sleep "$((wait_ms / 1000)).$(printf %03d $((wait_ms % 1000)))"
    pkill -KILL -P "$pid" 2>/dev/null && killed=$((killed + 1))
    wait "$pid" 2>/dev/null || true
  done
  train "$config" "$config-killed"
  for file in last.safetensors best.safetensors; do
    one=$(tensors "$config-1/$file") two=$(tensors "$config-2/$file") again=$(tensors "$config-killed/$file")
    same=yes
    [ "$one" = "$two" ] && [ "$one" = "$again" ] || { same=no; result=1; }
    rows+="| $config | $file | \`${one:0:12}\` | \`${two:0:12}\` | \`${again:0:12}\` ($killed kills) | $same |"$'\n'
  done
  echo "$config: $same"
done

cat >"$report" <<END
# Vessel networks: threads, kills

Written by \`tests/slow/vessel_identity.sh\` (\`make slow\`) with $("$fovea" --version). The four configurations of vessels on phantoms, with

$(printf '    %s\n' "${settings[@]}")

each trained with one thread, with two, and killed with SIGKILL and gone on with by the same command. SHA-256 of the tensors' bytes (weights,
running statistics; in last.safetensors Adam's moments and the average too), first 12 digits:

| configuration | file | 1 thread | 2 threads | killed | same bits |
|---|---|---|---|---|---|
$rows
END
exit $result
