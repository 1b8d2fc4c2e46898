#!/usr/bin/env python3
"""Golden values of the losses from PyTorch, with their gradients by the logits.

  make_loss_golden.py [--out FOLDER]

Logits and targets are formulas that a C test repeats; see README.md beside this script. The losses are written here as their papers or the
replaced systems have them, on the columns (sample, class) that are valid; the truth is computed in float64.
"""
import argparse
import os

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

from make_network_golden import noise, relative, sampled

HERE = os.path.dirname(os.path.abspath(__file__))
N, H, W, C = 2, 24, 20, 2
VALID = [(0, 0), (0, 1), (1, 1)]  # (sample, class); the fourth is not annotated
SAMPLES = 251
CASES = {  # a test in C has the same table
    "bce": dict(bce=1.0),
    "dice": dict(dice=1.0, smooth=1.0),
    "dice_batch": dict(dice=1.0, smooth=1e-6, over_batch=True),
    "focal": dict(focal=1.0, focal_alpha=0.25, focal_gamma=2.0),
    "focal_root": dict(focal=1.0, focal_alpha=0.7, focal_gamma=0.5),
    "tversky": dict(tversky=1.0, tversky_alpha=0.3, tversky_beta=0.7, smooth=1.0),
    "tversky_batch": dict(tversky=1.0, tversky_alpha=0.3, tversky_beta=0.7, smooth=1e-6, over_batch=True),
    "cldice": dict(cldice=1.0, iterations=3, smooth=1.0),
    "cldice_batch": dict(cldice=1.0, iterations=5, smooth=1.0, over_batch=True),
    "resunet": dict(dice=0.5, bce=0.3, focal=0.2, focal_alpha=0.25, focal_gamma=2.0, smooth=1e-6, over_batch=True),
    "all": dict(bce=0.4, dice=0.3, focal=0.2, tversky=0.6, cldice=0.5, focal_alpha=0.25, focal_gamma=2.0,
                tversky_alpha=0.3, tversky_beta=0.7, iterations=3, smooth=1.0),
}


def ridge():
    """0 .. 20, {N, H, W, C}: the distance from slanting lines."""
    n, y, x, c = np.meshgrid(np.arange(N), np.arange(H), np.arange(W), np.arange(C), indexing="ij")
    return np.abs((3 * x + 5 * y + 7 * n + 11 * c) % 40 - 20)


def inputs(soft):
    """Logits and targets as float32."""
    logits = 3.0 - 0.4 * ridge() + noise("logits", N * H * W * C).reshape(N, H, W, C)
    target = (20 - ridge()) / 20.0 if soft else (ridge() < 7).astype(np.float64)
    return logits.astype(np.float32), target.astype(np.float32)


# ---- soft clDice, as in the authors' code ----

def soft_erode(x):
    vertical = -F.max_pool2d(-x, (3, 1), (1, 1), (1, 0))
    horizontal = -F.max_pool2d(-x, (1, 3), (1, 1), (0, 1))
    return torch.min(vertical, horizontal)


def soft_open(x):
    return F.max_pool2d(soft_erode(x), (3, 3), (1, 1), (1, 1))


def soft_skeleton(x, iterations):
    skeleton = F.relu(x - soft_open(x))
    for _ in range(iterations):
        x = soft_erode(x)
        delta = F.relu(x - soft_open(x))
        skeleton = skeleton + F.relu(delta - skeleton * delta)
    return skeleton


# ---- losses of columns {count, H, W} of one region ----

def dice(p, t, case):
    return 1 - (2 * (p * t).sum() + case["smooth"]) / (p.sum() + t.sum() + case["smooth"])


def tversky(p, t, case):
    positive, false_positive, false_negative = (p * t).sum(), (p * (1 - t)).sum(), ((1 - p) * t).sum()
    below = positive + case["tversky_alpha"] * false_positive + case["tversky_beta"] * false_negative + case["smooth"]
    return 1 - (positive + case["smooth"]) / below


def cldice(p, t, case):
    of_p, of_t = (soft_skeleton(a[:, None], case["iterations"])[:, 0] for a in (p, t))
    precision = ((of_p * t).sum() + case["smooth"]) / (of_p.sum() + case["smooth"])
    sensitivity = ((of_t * p).sum() + case["smooth"]) / (of_t.sum() + case["smooth"])
    return 1 - 2 * precision * sensitivity / (precision + sensitivity)


def focal(z, t, case):
    p = torch.sigmoid(z)
    p_t = p * t + (1 - p) * (1 - t)
    return (case["focal_alpha"] * (1 - p_t) ** case["focal_gamma"] * F.binary_cross_entropy_with_logits(z, t, reduction="none")).mean()


def regions(over_batch):
    return [[v for v in VALID if v[1] == c] for c in range(C)] if over_batch else [[v] for v in VALID]


def loss_of(logits, target, case):
    def columns(a, places):
        return torch.stack([a[n, :, :, c] for n, c in places])

    z, t = columns(logits, VALID), columns(target, VALID)
    loss = case.get("bce", 0) * F.binary_cross_entropy_with_logits(z, t)
    if case.get("focal"):
        loss = loss + case["focal"] * focal(z, t, case)
    for name, function in (("dice", dice), ("tversky", tversky), ("cldice", cldice)):
        if case.get(name):
            parts = [function(torch.sigmoid(columns(logits, r)), columns(target, r), case) for r in regions(case.get("over_batch"))]
            loss = loss + case[name] * sum(parts) / len(parts)
    return loss


def run(case, soft, dtype):
    logits, target = (torch.from_numpy(a).to(dtype) for a in inputs(soft))
    logits.requires_grad_()
    loss = loss_of(logits, target, case)
    loss.backward()
    return float(loss.detach()), logits.grad.double().numpy().reshape(-1)


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--out", default=HERE, metavar="FOLDER")
    a = a.parse_args()
    torch.set_num_threads(1)
    tensors = {}
    for name, case in CASES.items():
        for kind in ("hard", "soft"):
            loss, gradient = run(case, kind == "soft", torch.float64)
            loss32, gradient32 = run(case, kind == "soft", torch.float32)
            print(f"{name:14s} {kind} loss {loss:.9f}, float32 off by {abs(loss32 - loss):.1e}; gradient norm {np.linalg.norm(gradient):.3e}, float32 off by {relative(gradient32, gradient):.1e}")
            tensors[f"{name}.{kind}.loss"] = np.array([loss])
            tensors[f"{name}.{kind}.gradient"] = sampled(gradient, SAMPLES).astype(np.float32)
            tensors[f"{name}.{kind}.norm"] = np.array([np.linalg.norm(gradient)])
    path = os.path.join(a.out, "losses.safetensors")
    save_file(tensors, path, {"golden": f"tests/golden/make_loss_golden.py, torch {torch.__version__}, float64"})
    os.chmod(path, 0o644)
    print(f"{path}: {len(tensors)} tensors, {os.path.getsize(path)} bytes")


if __name__ == "__main__":
    main()
