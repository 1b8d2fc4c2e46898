#!/usr/bin/env python3
"""Golden features of the two ImageNet encoders on one real photograph, from PyTorch in float64; see README.md beside this script.

  make_encoder_golden.py [folder of the weights, default ../shared/weights]

The photograph (DRIVE images/01_test.png) is found through FOVEA_DATA, default ../shared/data; it is not stored, only features of it.
"""
import argparse
import os

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import load_file, save_file

HERE = os.path.dirname(os.path.abspath(__file__))
CROP = 512
SAMPLES = 509  # prime: no common divisor with the number of channels, so that the samples visit all channels
SKIPS = (1, 3, 6, 13)
# expansion, channels out, stride of blocks 0..16 (Sandler et al. 2018, table 2)
BLOCKS = [(t, o, s if j == 0 else 1) for t, o, n, s in
          [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)] for j in range(n)]


def photograph(path):
    """Centre crop of 512x512, exact mean of 2x2 pixels: {256, 256, 3}, RGB, 0..255."""
    bgr = cv2.imread(path, cv2.IMREAD_COLOR)
    if bgr is None:
        raise SystemExit(f"{path}: can't be read; set FOVEA_DATA to the folder that holds drive/images")
    h, w = bgr.shape[:2]
    y0, x0 = (h - CROP) // 2, (w - CROP) // 2
    crop = bgr[y0:y0 + CROP, x0:x0 + CROP, ::-1].astype(np.float64)
    return crop.reshape(CROP // 2, 2, CROP // 2, 2, 3).mean((1, 3))


def normalised(rgb, convention):
    if convention == "keras":
        return rgb / 127.5 - 1.0
    return (rgb / 255.0 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])


def encode(weights, x, convention):
    """{name: NCHW features}: the expanded activations of the skip blocks, and the head."""
    epsilon = 1e-3 if convention == "keras" else 1e-5

    def unit(op, x, stride=1, groups=1, relu6=True):
        w = weights[f"{op}.weight"]
        if w.shape[2] == 3:  # on even sizes TensorFlow's "same" puts the one row and column of a stride of 2 at the bottom and right
            x = F.pad(x, (0, 1, 0, 1) if stride == 2 and convention == "keras" else (1, 1, 1, 1))
        x = F.conv2d(x, w, None, stride, 0, 1, groups)
        x = F.batch_norm(x, weights[f"{op}.mean"], weights[f"{op}.var"], weights[f"{op}.gamma"], weights[f"{op}.beta"], False, 0.0, epsilon)
        return F.relu6(x) if relu6 else x

    features = {}
    x = unit("stem", x, 2)
    for i, (expansion, out, stride) in enumerate(BLOCKS):
        e = unit(f"b{i}.expand", x) if expansion != 1 else x
        y = unit(f"b{i}.project", unit(f"b{i}.dw", e, stride, e.shape[1]), relu6=False)
        x = x + y if stride == 1 and x.shape[1] == out else y
        if i in SKIPS:
            features[f"b{i}"] = e
    features["head"] = unit("head", x)
    return features


def sampled(values):
    m = min(SAMPLES, values.size)
    return values[[j * values.size // m for j in range(m)]]


def make(path, convention, rgb, out):
    loaded = load_file(path)
    x = torch.from_numpy(normalised(rgb, convention)).permute(2, 0, 1)[None]
    double, single = (encode({k: torch.from_numpy(v).to(d) for k, v in loaded.items()}, x.to(d), convention) for d in (torch.float64, torch.float32))
    flat = {"input": x.permute(0, 2, 3, 1).contiguous().reshape(-1).numpy()}
    for name, f in double.items():
        flat[name] = f.permute(0, 2, 3, 1).contiguous().reshape(-1).numpy()
        error = float((single[name].double() - f).norm() / f.norm())
        print(f"{convention} {name} {tuple(f.shape)}: norm {float(f.norm()):.6f}, float32 off by {error:.2e} of it, worst {float((single[name].double() - f).abs().max()):.2e}")
    tensors = {}
    for name, values in flat.items():
        tensors[f"feature.{name}"] = sampled(values).astype(np.float32)
        tensors[f"feature_norm.{name}"] = np.array([np.linalg.norm(values)])
    # one key: safetensors writes several in random order, and the file would change with each run
    save_file(tensors, out, {"golden": f"tests/golden/make_encoder_golden.py, torch {torch.__version__}, float64, {os.path.basename(path)}, drive/images/01_test.png"})
    os.chmod(out, 0o644)


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("weights", nargs="?", default="../shared/weights")
    a.add_argument("--out", default=HERE)
    a = a.parse_args()
    rgb = photograph(os.path.join(os.environ.get("FOVEA_DATA", "../shared/data"), "drive/images/01_test.png"))
    with torch.no_grad():
        for convention in ("keras", "torchvision"):
            path = os.path.join(a.weights, f"mobilenetv2_1.0_{convention}.safetensors")
            make(path, convention, rgb, os.path.join(a.out, f"encoder_{convention}.safetensors"))


if __name__ == "__main__":
    main()
