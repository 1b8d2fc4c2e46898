#!/usr/bin/env python3
"""The table of docs/results/od_oc.md from the JSON files that od_oc_results.sh left in the run folders."""
import json
import subprocess
import sys
from datetime import date
from pathlib import Path

RUNS = Path(sys.argv[1])
ROWS = [("ImageNet encoder, test", "drishti_imagenet", "test"), ("the same, mean of four flips", "drishti_imagenet", "test_flips"),
        ("the same, validation", "drishti_imagenet", "val"), ("random weights, test", "drishti_random", "test")]


def estimate(e):
    return f"{e['mean']:.4f} [{e['lo']:.3f}, {e['hi']:.3f}]"


def row(title, run, split):
    f = json.loads((RUNS / run / f"{split}.json").read_text())
    minutes = int((RUNS / run / "seconds").read_text()) / 60
    disc, cup, v, expert = f["classes"]["disc"], f["classes"]["cup"], f["vcdr"], f["vcdr_expert"]
    return (f"| {title} | {f['n']} | {estimate(disc['dice'])} | {estimate(cup['dice'])} | {disc['iou']['mean']:.3f} / {cup['iou']['mean']:.3f} "
            f"| {v['mae']:.4f} | {v['bias']:+.3f} | {v['r']:.3f} | {expert['mae']:.4f} | {minutes:.1f} |")


def cpu():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else "unknown CPU"


revision = subprocess.run(["git", "describe", "--always", "--abbrev=12"], capture_output=True, text=True).stdout.strip()
print(f"""# Disc and cup on Drishti-GS

`make results`: `configs/od_oc_drishti.ini` (40 training, 10 validation, the official 51 test photographs, whole photographs at 256x256, one seed), best epoch by
validation Dice, threshold 0.5, measured at each photograph's own size on the masks that `fovea predict` writes. Brackets: 95 % bootstrap interval over
photographs. vCDR against that of the true masks (MAE, bias, r), and against the mean of four experts' own figures.

{date.today()}, {cpu()}, revision {revision}. Minutes: training with evaluation, on that machine.

| | n | disc Dice | cup Dice | IoU disc / cup | vCDR MAE | bias | r | MAE to experts | minutes |
|---|---|---|---|---|---|---|---|---|---|""")
for r in ROWS:
    print(row(*r))
