#!/usr/bin/env python3
"""The table of docs/results/training_step.md from the lines that training_step.sh measured."""
import json
import statistics
import sys
from collections import defaultdict
from datetime import date
from pathlib import Path

rates, memory, planned, torch = defaultdict(list), defaultdict(list), 0, ""
for line in Path(sys.argv[1]).read_text().splitlines():
    who, threads, rest = line.split(" ", 2)
    if who == "fovea":
        rate, planned, peak = rest.split()
        rates[who, threads].append(float(rate))
        memory[who].append(int(peak))
    else:
        row = json.loads(rest)
        rates[who, threads].append(8 / row["median_s"])
        memory[who].append(row["peak_mib"])
        torch = row["engine"]
names = [line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
titles = {"fovea": "fovea, whole training loop", "stock": f"{torch}, bare step", "tuned": f"{torch}, bare step, allocator tuned"}
print(f"""# A training step beside PyTorch

`tests/slow/training_step.sh PYTHON`: mobilenetv2_unet, batch 8, 256x256, float32; medians of three alternating rounds. {date.today()}, {len(names)} x
{names[0]}. fovea's figure is the whole loop with loader and augmentation, PyTorch's forward, loss, backward and Adam on one fixed batch.

| | images/s, 1 thread | images/s, 2 threads | peak memory of the process, MiB |
|---|---|---|---|""")
for who, title in titles.items():
    one, two = (statistics.median(rates[who, t]) for t in "12")
    print(f"| {title} | {one:.2f} | {two:.2f} | {statistics.median(memory[who]):.0f} |")
print(f"\nfovea's plan for the step is {planned} MiB; the rest of its memory is cached photographs, weights, moments and libraries.")
