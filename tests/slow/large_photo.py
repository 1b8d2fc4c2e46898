#!/usr/bin/env python3
"""A photograph of 2000 x 2000 px from a smaller one, for measurements: data sets are often kept reduced, cameras are not.

usage: large_photo.py PHOTO OUT.jpg
The middle square is enlarged and given the noise of a sensor (sd 2 grey levels), without which it would be compressed, and
so written and read, far too easily."""
import sys

import cv2
import numpy as np

SIDE = 2000

photo = cv2.imread(sys.argv[1])
height, width = photo.shape[:2]
side = min(height, width)
top, left = (height - side) // 2, (width - side) // 2
large = cv2.resize(photo[top:top + side, left:left + side], (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
noise = np.random.default_rng(1).normal(0, 2, (SIDE, SIDE, 1))
cv2.imwrite(sys.argv[2], np.clip(large + noise, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 92])
