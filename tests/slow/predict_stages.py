#!/usr/bin/env python3
"""docs/results/predict.md from the JSON files that predict_stages.sh made, and from starting the program.

usage: predict_stages.py FOVEA FOLDER PHOTO_NAME"""
import json
import statistics
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

STARTS = 40


def start_ms(fovea):
    times = []
    for _ in range(STARTS):
        begin = time.perf_counter()
        subprocess.run([fovea, "predict", "--help"], check=True, stdout=subprocess.DEVNULL)
        times.append(1e3 * (time.perf_counter() - begin))
    return min(times), statistics.median(times)


def main():
    fovea, folder, photo = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    rows = {threads: [json.loads(path.read_text()) for path in sorted(folder.glob(f"{threads}.*.json"))] for threads in (1, 2)}
    first = rows[1][0]
    best, median = start_ms(fovea)
    names = [line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    print(f"""# Predicting one photograph

`make bench-predict MODEL=... PYTHON=... PHOTO=...`: {first["network"]} on {photo}, its middle enlarged to {first["width_px"]} x {first["height_px"]} px with sensor
noise (tests/slow/large_photo.py), to all results: masks, overlay, panel, JSON. A process a run, {len(rows[1])} runs each, in turn. {date.today()}, {len(names)} x {names[0]}.

| stage | 1 thread, median ms | best ms | 2 threads, median ms | best ms |
|---|---|---|---|---|""")
    for stage in first["times_ms"]:
        cells = []
        for threads in (1, 2):
            times = [row["times_ms"][stage] for row in rows[threads]]
            cells += [f"{statistics.median(times):.1f}", f"{min(times):.1f}"]
        print(f"| {stage} | {' | '.join(cells)} |")
    print(f"\n`fovea predict --help`, from its start to its end: {median:.1f} ms (median of {STARTS}), best {best:.1f} ms.")


main()
