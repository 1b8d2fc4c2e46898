"""Writes a drawn eye as a BMP and as a PPM of the same pixels: eye.py FILE.bmp FILE.ppm"""
import math
import struct
import sys

SIDE = 96


def pixel(x, y):
    dx, dy = x - SIDE / 2, y - SIDE / 2
    if math.hypot(dx, dy) > 45:
        return 0, 0, 0
    if math.hypot(dx - 15, dy) < 9:
        return 250, 210, 130
    vessel = abs(dy - 12 * math.sin(dx / 12)) < 1.5 or abs(dx - dy / 2 - 8) < 1.2
    return (140, 40, 20) if vessel else (200 + int(dx / 4), 100 + int(dy / 3), 40)


rows = [b"".join(bytes(pixel(x, y)) for x in range(SIDE)) for y in range(SIDE)]
bgr = [b"".join(row[i : i + 3][::-1] for i in range(0, len(row), 3)) for row in rows]  # 288 bytes: no padding
header = struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 54 + 3 * SIDE * SIDE, 0, 0, 54, 40, SIDE, SIDE, 1, 24, 0, 0, 2835, 2835, 0, 0)
open(sys.argv[1], "wb").write(header + b"".join(reversed(bgr)))
open(sys.argv[2], "wb").write(b"P6\n%d %d\n255\n" % (SIDE, SIDE) + b"".join(rows))
