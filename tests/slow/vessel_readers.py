#!/usr/bin/env python3
"""Two readers' vessel masks of the same photographs, measured by fovea measure: docs/results/vessel_readers.md.

    vessel_readers.py build/fovea FOVEA_DATA
"""
import csv
import io
import os
import statistics
import subprocess
import sys

SETS = [("DRIVE", "drive"), ("CHASE_DB1", "chase_db1")]
MEASURES = ["density_ratio", "length_px", "mean_width_px", "branch_points", "crossings", "end_points",
            "experimental_tortuosity_arc_chord", "experimental_tortuosity_curvature", "experimental_fractal_dimension"]


def measure(program, folder, masks):
    words = [program, "measure", os.path.join(folder, masks), "--fov", os.path.join(folder, "fov"), "--quiet"]
    text = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return {row["name"]: row for row in csv.DictReader(io.StringIO(text))}


def concordance(x, y):
    """Lin 1989, and Pearson's r."""
    mean_x, mean_y = statistics.fmean(x), statistics.fmean(y)
    xx, yy = statistics.pvariance(x), statistics.pvariance(y)
    xy = statistics.fmean((a - mean_x) * (b - mean_y) for a, b in zip(x, y))
    return 2 * xy / (xx + yy + (mean_x - mean_y) ** 2), xy / (xx * yy) ** 0.5


def main():
    program, data = sys.argv[1:]
    out = ["# Two readers' vessel masks, measured", "",
           "How far measures of the same photographs differ when another person draws the vessels. `make vessel-readers`",
           "(`fovea measure` on both readers' masks of DRIVE's test photographs and of all of CHASE_DB1, in the field of view). ccc: Lin's concordance; r: Pearson's.", ""]
    for title, folder in SETS:
        folder = os.path.join(data, folder)
        first, second = measure(program, folder, "bv"), measure(program, folder, "bv2")
        names = sorted(set(first) & set(second))
        out += [f"## {title}, {len(names)} photographs", "", "| measure | ccc | r | mean, reader 1 | mean, reader 2 |",
                "|---|---|---|---|---|"]
        for column in MEASURES:
            x, y = ([float(rows[n][column]) for n in names] for rows in (first, second))
            ccc, r = concordance(x, y)
            out.append(f"| {column} | {ccc:.2f} | {r:.2f} | {statistics.fmean(x):.4g} | {statistics.fmean(y):.4g} |")
        out.append("")
    print("\n".join(out).rstrip())


main()
