#!/usr/bin/env python3
"""Writes tests/golden/vessels.csv: measures of expert masks, for tests/unit/test_vessels_real.c.

    make_vessels_golden.py build/fovea FOVEA_DATA

The measures are the program's own (a change of any must be seen and wanted); length and number of components of the
whole mask's skeleton are scikit-image's (skeletonize, Zhang's method), an opinion from outside.
Needs: numpy, scikit-image (made with 0.26.0).
"""
import csv
import os
import subprocess
import sys
import tempfile

import numpy as np
from skimage.io import imread
from skimage.measure import label
from skimage.morphology import skeletonize

SETS = [  # data set, number of masks, field of view
    ("drive", 20, True),
    ("chase_db1", 8, True),
    ("hrf", 6, False),
]
COLUMNS = ["density_ratio", "length_px", "segments", "branch_points", "crossings", "end_points", "mean_width_px",
           "width_p10_px", "width_median_px", "width_p90_px", "experimental_tortuosity_arc_chord",
           "experimental_tortuosity_curvature", "experimental_fractal_dimension", "experimental_fractal_r2"]


def skeleton_length(skeleton):
    """Steps of 1 and sqrt 2; a diagonal step only where no third pixel leads round the corner."""
    s = np.pad(skeleton, 1)
    straight = (s[:, 1:] & s[:, :-1]).sum() + (s[1:] & s[:-1]).sum()
    a, b, c, d = s[:-1, :-1], s[:-1, 1:], s[1:, :-1], s[1:, 1:]
    diagonal = (a & d & ~b & ~c).sum() + (b & c & ~a & ~d).sum()
    return straight + 2 ** 0.5 * diagonal


def main():
    program, data = sys.argv[1:]
    out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "vessels.csv")
    with open(out, "w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["set", "name"] + COLUMNS + ["skimage_length_px", "skimage_components"])
        for name, count, has_field in SETS:
            folder = os.path.join(data, name)
            masks = [os.path.join(folder, "bv", f) for f in sorted(os.listdir(os.path.join(folder, "bv")))[:count]]
            with tempfile.NamedTemporaryFile(suffix=".csv") as table:
                field = ["--fov", os.path.join(folder, "fov")] if has_field else []
                subprocess.run([program, "measure", *masks, *field, "--csv", table.name, "--quiet"], check=True)
                rows = list(csv.DictReader(open(table.name)))
            for path, row in zip(masks, rows):
                skeleton = skeletonize(imread(path) > 127)
                writer.writerow([name, row["name"]] + [row[c] for c in COLUMNS] +
                                [f"{skeleton_length(skeleton):.6g}", label(skeleton, connectivity=2).max()])


main()
