#!/usr/bin/env python3
"""The table of docs/results/loader.md from the lines that loader_share.sh measured: threads, loop, bare step, loader."""
import statistics
import sys
from datetime import date
from pathlib import Path

rows = [line.split("\t") for line in Path(sys.argv[1]).read_text().splitlines()]
names = [line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
print(f"""# The loader's share of training

`make bench-loader`: mobilenetv2_unet, batch 8, 256x256, augmentation on, Drishti-GS, enhanced photographs in the cache; loop (loader, step, optimiser, Dice) and
bare step (one fixed batch, optimiser) in turn, {len(rows) // 2} rounds, medians of images/s and of the rounds' ratios. {date.today()}, {len(names)} x {names[0]}.
The loader's threads are counted by processor time; its share is that time against threads x time of the bare step.

| threads | loop, images/s | bare step, images/s | loop / bare | loader, processor ms an image | its share |
|---|---|---|---|---|---|""")
for threads in ("1", "2"):
    loop, bare, loader = ([float(row[i]) for row in rows if row[0] == threads] for i in (1, 2, 3))
    ratio = statistics.median(a / b for a, b in zip(loop, bare))
    share = statistics.median(loader) * statistics.median(bare) / (10 * int(threads))
    print(f"| {threads} | {statistics.median(loop):.2f} | {statistics.median(bare):.2f} | {ratio:.3f} | {statistics.median(loader):.2f} | {share:.1f} % |")
