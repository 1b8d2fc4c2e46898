#!/usr/bin/env python3
"""docs/results/image_stages.md: each stage of the way from a photograph to a network's input beside OpenCV's, on one thread.

usage: image_stages.py PROGRAM PHOTO.jpg [ROUNDS]     PROGRAM is tests/slow/image_stages.c compiled; needs cv2 and numpy
The two take turns; the table has the medians over the rounds of each round's median."""
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date

import cv2
import numpy as np

WORK, INPUT = 512, 256


def timed(run):
    times, begin = [], time.perf_counter()
    while len(times) < 200 and (len(times) < 7 or time.perf_counter() - begin < 0.25):
        start = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def written(name, image):
    """What cv2.imwrite() makes of it, in a file as fovea does."""
    def run():
        with open(name, "wb") as file:
            file.write(cv2.imencode(".png", image)[1])
    return run


def opencv_stages(photo):
    """Stage -> call; colours are brought into the order that each stage has in fovea beforehand."""
    data = np.fromfile(photo, np.uint8)
    rgb = cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    png = cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_ALL_FILTERS])[1]
    png.tofile("photo.png")
    lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)
    lightness, clahe = cv2.extractChannel(lab, 0), cv2.createCLAHE(2.0, (8, 8))
    enhanced = cv2.cvtColor(np.dstack([clahe.apply(lightness), lab[..., 1], lab[..., 2]]), cv2.COLOR_LAB2RGB)
    work = cv2.resize(rgb, (WORK, WORK), interpolation=cv2.INTER_AREA)
    height, width = lightness.shape
    y, x = np.mgrid[:height, :width]
    mask = np.where((x - width // 3) ** 2 + (y - height // 2) ** 2 < (height // 6) ** 2, 255, 0).astype(np.uint8)
    turn = np.array([[1.956, 0.416, -45.7], [-0.416, 1.956, 61.3]])
    out_lab, out_rgb, out_l = np.empty_like(lab), np.empty_like(rgb), np.empty_like(lightness)
    warped, as_float = np.empty((INPUT, INPUT, 3), np.uint8), np.empty((INPUT, INPUT, 3), np.float32)

    def warp():
        cv2.warpAffine(work, turn, (INPUT, INPUT), warped, cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        as_float[:] = warped

    return {
        "decode JPEG": lambda: cv2.imdecode(data, cv2.IMREAD_COLOR),
        "decode PNG": lambda: cv2.imdecode(png, cv2.IMREAD_COLOR),
        "RGB to LAB": lambda: cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB, out_lab),
        "CLAHE 8x8 of L": lambda: clahe.apply(lightness, out_l),
        "LAB to RGB": lambda: cv2.cvtColor(lab, cv2.COLOR_LAB2RGB, out_rgb),
        "resize to 512, area": lambda: cv2.resize(rgb, (WORK, WORK), interpolation=cv2.INTER_AREA),
        "resize mask to 512": lambda: cv2.resize(mask, (WORK, WORK), interpolation=cv2.INTER_AREA),
        "warp 512 to 256": warp,
        "write PNG, photograph": written("peer_photo.png", enhanced),
        "write PNG, mask": written("peer_mask.png", mask),
    }, (width, height)


def fovea_round(program, photo, times, sizes):
    lines = subprocess.run([program, photo, "photo.png"], check=True, capture_output=True, text=True).stdout.splitlines()
    for name, _, median, size in (line.split("\t") for line in lines):
        times.setdefault(name, []).append(float(median))
        sizes[name] = int(size)


def table(ours, theirs, sizes):
    print("| stage | fovea, ms | OpenCV, ms | ratio | PNG, MB: fovea / OpenCV |\n|---|---|---|---|---|")
    for name, times in ours.items():
        a, b = statistics.median(times), statistics.median(theirs[name])
        peer = {"write PNG, photograph": "peer_photo.png", "write PNG, mask": "peer_mask.png"}.get(name)
        size = f"{sizes[name] / 1e6:.3f} / {os.path.getsize(peer) / 1e6:.3f}" if peer else ""
        print(f"| {name} | {a:.2f} | {b:.2f} | {a / b:.2f} | {size} |")


def main():
    program, photo = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    cv2.setNumThreads(1)
    ours, theirs, sizes = {}, {}, {}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        stages, (width, height) = opencv_stages(photo)
        for _ in range(rounds):
            fovea_round(program, photo, ours, sizes)
            for name, run in stages.items():
                theirs.setdefault(name, []).append(timed(run))
        with open("/proc/cpuinfo", encoding="utf-8") as info:
            cpu = next(line.split(":", 1)[1].strip() for line in info if line.startswith("model name"))
        print(f"""# The stages of an image beside OpenCV

`make bench-images PYTHON=... PHOTO=...`: one thread, a photograph of {width} x {height} px (tests/slow/large_photo.py), medians of {rounds} alternating rounds. {date.today()},
{cpu}, OpenCV {cv2.__version__}, Python {platform.python_version()}.
OpenCV decodes to its BGR, fovea to RGB; its warp gives bytes, which are then made floats, fovea's gives floats at once. CLAHE and LAB are the same bytes in both.
""")
        table(ours, theirs, sizes)


main()
