#!/usr/bin/env python3
"""Writes clahe.bin beside itself: what OpenCV makes of synthetic images, in full, and of five PNG photographs, at 3500 scattered pixels.

    python tests/golden/make_clahe_golden.py <folder of data sets>     (needs numpy and opencv-python; made with OpenCV 5.0.0)

The file: "FVCLAHE1", then records of char name[64], uint32 width, height, channels, samples, tiles, float64 clip limit, and the pixels:
number (k * 1000003) mod (width * height) in reading order for k = 0 .. samples - 1, or all of them in order where samples = width * height.
tests/unit/test_clahe.c reads it."""
import struct
import sys
from pathlib import Path

import cv2
import numpy as np

PHOTOGRAPHS = ["drive/images/01_test.png", "drive/images/21_training.png", "drive/images/40_training.png",
               "chase_db1/images/Image_01L.png", "chase_db1/images/Image_10R.png"]
SAMPLES = 3500


def synthetic(width, height):
    """The same formula stands in test_clahe.c."""
    y, x = np.mgrid[:height, :width].astype(np.int64)
    return np.stack([x * 255 // (width - 1), y * 255 // (height - 1), (x * y // 8 + 3 * x) % 256], -1).astype(np.uint8)


def all_colours():
    """16 steps of each channel."""
    i = np.arange(4096)
    return (np.stack([i >> 8, i >> 4 & 15, i & 15], -1) * 17).astype(np.uint8).reshape(64, 64, 3)


def clahe(grey, clip, tiles):
    return cv2.createCLAHE(clip, (tiles, tiles)).apply(grey)


def clahe_lab(rgb, clip, tiles):
    lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)
    lab[..., 0] = clahe(lab[..., 0].copy(), clip, tiles)
    return cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)


def record(name, pixels, samples=None, tiles=0, clip=0.0):
    height, width = pixels.shape[:2]
    flat = pixels.reshape(height * width, -1)
    if samples:
        flat = flat[np.arange(samples) * 1000003 % len(flat)]
    return struct.pack("<64s5Id", name.encode(), width, height, flat.shape[1], len(flat), tiles, clip) + flat.tobytes()


def records(data):
    yield record("rgb_to_lab", cv2.cvtColor(all_colours(), cv2.COLOR_RGB2LAB))
    yield record("lab_to_rgb", cv2.cvtColor(all_colours(), cv2.COLOR_LAB2RGB))
    for width, height, clip, tiles in [(101, 67, 2.0, 8), (96, 50, 3.0, 8), (64, 64, 40.0, 4), (7, 5, 2.0, 8)]:
        image = synthetic(width, height)
        yield record("synthetic_grey", clahe(image[..., 2].copy(), clip, tiles), tiles=tiles, clip=clip)
        yield record("synthetic_rgb", clahe_lab(image, clip, tiles), tiles=tiles, clip=clip)
    for name in PHOTOGRAPHS:
        photo = cv2.imread(str(data / name), cv2.IMREAD_COLOR)[..., ::-1].copy()
        for clip in 2.0, 3.0:
            yield record(name, clahe_lab(photo, clip, 8), SAMPLES, tiles=8, clip=clip)


def main():
    Path(__file__).with_name("clahe.bin").write_bytes(b"FVCLAHE1" + b"".join(records(Path(sys.argv[1]))))


if __name__ == "__main__":
    main()
