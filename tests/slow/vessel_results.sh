#!/bin/sh
# Vessels on DRIVE, CHASE_DB1 and HRF: measures the trained runs that are there and writes docs/results/vessels.md.
# usage: RUNS=runs tests/slow/vessel_results.sh   (FOVEA_DATA has drive, chase_db1 and hrf; RUNS the run folders that
# vessel_results.py names; their evaluations are kept in RUNS/vessel_results and made again when a model is newer)
set -eu
cd "$(dirname "$0")/../.."
export FOVEA_DATA="${FOVEA_DATA:-../shared/data}"
[ -f "$FOVEA_DATA/drive/index.csv" ] || { echo "skip: no DRIVE photographs below FOVEA_DATA ($FOVEA_DATA)"; exit 0; }
python3 tests/slow/vessel_results.py "${BUILD:-build}/fovea" "${RUNS:-runs}" >docs/results/vessels.md.new
mv docs/results/vessels.md.new docs/results/vessels.md
