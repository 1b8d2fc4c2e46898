#!/usr/bin/env python3
"""Writes enhance.bin beside itself: what OpenCV makes of a synthetic image.

    python tests/golden/make_enhance_golden.py      (needs numpy and opencv-python; made with OpenCV 5.0.0)

The file: "FVENHAN1", then 101 x 67 bytes RGB after CLAHE on each channel, 101 x 67 grey after green, CLAHE, unsharp, stretch,
and 96 x 80 of the mask of the largest outer contour of grey > 10, filled. tests/unit/test_enhance.c and test_fov.c read it."""
from pathlib import Path

import cv2
import numpy as np

WIDTH, HEIGHT = 101, 67


def synthetic():
    """The same formula stands in test_enhance.c."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.int64)
    return np.stack([x * 255 // (WIDTH - 1), 60 + (x * y // 8 + 3 * x) % 90, y * 255 // (HEIGHT - 1)], -1).astype(np.uint8)


def clahe(grey):
    return cv2.createCLAHE(2.0, (8, 8)).apply(grey.copy())


def vessels(rgb):
    grey = clahe(rgb[..., 1])
    sharp = cv2.addWeighted(grey, 1.5, cv2.GaussianBlur(grey, (0, 0), 2), -0.5, 0)
    return cv2.normalize(sharp, None, 0, 255, cv2.NORM_MINMAX)


def disc():
    """The same formula stands in test_fov.c: a disc with holes, darkening to the right, and a speck outside."""
    y, x = np.mgrid[:80, :96].astype(np.int64)
    inside = (x - 48) ** 2 + (y - 40) ** 2 <= 36 * 36
    level = np.where(inside, np.where((x - 48) ** 2 + (y - 40) ** 2 <= 25, 3, 140 - x), 4)
    level[2:5, 2:5] = 200
    rgb = np.stack([level, level // 2 + 4, level // 4], -1).astype(np.uint8)
    mask = (cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY) > 10).astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return cv2.drawContours(np.zeros_like(mask), [max(contours, key=cv2.contourArea)], -1, 255, -1)


def main():
    rgb = synthetic()
    each = np.stack([clahe(rgb[..., c]) for c in range(3)], -1)
    data = b"FVENHAN1" + each.tobytes() + vessels(rgb).tobytes() + disc().tobytes()
    Path(__file__).with_name("enhance.bin").write_bytes(data)


if __name__ == "__main__":
    main()
