#!/usr/bin/env python3
"""Golden values of the mobilenetv2_unet network from PyTorch: forward, loss, gradients, running statistics, ten Adam steps.

  make_network_golden.py [folder of peer_nets.py, default ../shared/tools]

Everything that goes in (weights, input, targets) is a formula that a C test repeats without a file; see README.md beside this script.
The truth is computed in float64; the same in float32 is compared with it and printed, because the test's tolerances rest on that figure.
"""
import argparse
import math
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
BATCH, SIZE, CLASSES = 2, 96, 2
STEPS = 10
GRADIENT_SAMPLES, STATISTIC_SAMPLES = 251, 61  # primes: the samples visit all rows and columns of a weight
LEARNING_RATE = 1e-3
ZERO_NORM = 1e-12  # a shift that the next batch norm takes out again: the true gradient is 0
MASK64 = (1 << 64) - 1


def noise(name, count):
    """u(name, k) for k < count: float64 in [-1, 1), multiples of 2^-23."""
    h = 0xCBF29CE484222325  # FNV-1a, 64 bit
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) & MASK64
    with np.errstate(over="ignore"):
        z = np.uint64(h) ^ (np.arange(count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)  # finaliser of splitmix64
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float64) / 8388608.0 - 1.0


def batch_norm_names(prefix, norm):
    return [(f"{prefix}.gamma", norm.weight), (f"{prefix}.beta", norm.bias), (f"{prefix}.mean", norm.running_mean), (f"{prefix}.var", norm.running_var)]


def convolution_of(module):
    return next(m for m in module.modules() if isinstance(m, torch.nn.Conv2d))


def named_tensors(net):
    """(name in fovea, tensor of PyTorch) in the order in which fovea declares them."""
    out = []

    def encoder_unit(prefix, unit):
        norm = next(m for m in unit.modules() if isinstance(m, torch.nn.BatchNorm2d))
        out.append((f"encoder.{prefix}.weight", convolution_of(unit).weight))
        out.extend(batch_norm_names(f"encoder.{prefix}", norm))

    encoder_unit("stem", net.encoder.stem)
    for i, block in enumerate(net.encoder.blocks):
        if block.expand is not None:
            encoder_unit(f"b{i}.expand", block.expand)
        encoder_unit(f"b{i}.dw", block.depthwise)
        encoder_unit(f"b{i}.project", block.project)
    encoder_unit("head", net.encoder.head)

    def separable(prefix, unit):
        out.append((f"{prefix}.dw.weight", unit[0].weight))
        out.append((f"{prefix}.pw.weight", unit[1].weight))
        out.extend(batch_norm_names(f"{prefix}.bn", unit[2]))

    for i, level in enumerate(net.levels):
        separable(f"decoder.level{i}.a", level[0])
        separable(f"decoder.level{i}.b", level[1])
    separable("decoder.last", net.last)
    out.append(("out.weight", net.out.weight))
    out.append(("out.bias", net.out.bias))
    return out


def to_fovea(tensor):
    """OIHW -> HWIO, flat; vectors as they are."""
    t = tensor.detach()
    return (t.permute(2, 3, 1, 0) if t.dim() == 4 else t).contiguous().reshape(-1).double().numpy().copy()


def value_of(name, shape, evaluation):
    """The formula of one parameter, float64. Batch norm before an activation is kept off the kinks of ReLU and ReLU6 (about 7 % of the
    values are clipped at each end): with few samples at the bottleneck, one float32 rounding that crosses a kink moves gradients by a percent."""
    u, kind = noise(name, math.prod(shape)), name.rsplit(".", 1)[1]
    relu6 = name.startswith("encoder.") and ".project." not in name
    relu = name.startswith("decoder.")
    if kind == "weight":
        return u * math.sqrt(6.0 / math.prod(shape[1:]))  # OIHW: fan-in is I * kh * kw
    if kind == "gamma":
        return (2.0 if relu6 else 1.0) + 0.1 * u
    if kind in ("beta", "bias"):
        return (3.0 if relu6 else 1.5 if relu else 0.0) + 0.1 * u
    if kind == "mean":
        return u if evaluation else 0.0 * u
    return 8.0 + 4.0 * u if evaluation else 1.0 + 0.0 * u


def fill(net, evaluation=False):
    """Sets every parameter by formula, rounded to float32 so that both precisions begin with the same figures."""
    for name, tensor in named_tensors(net):
        value = torch.from_numpy(value_of(name, tensor.shape, evaluation).astype(np.float32))
        if tensor.dim() == 4:
            o, i, kh, kw = tensor.shape
            value = value.reshape(kh, kw, i, o).permute(3, 2, 0, 1)
        with torch.no_grad():
            tensor.copy_(value.reshape(tensor.shape))


def batch(dtype):
    def nchw(a, channels):
        return torch.from_numpy(a.reshape(BATCH, SIZE, SIZE, channels)).permute(0, 3, 1, 2).contiguous().to(dtype)

    x = nchw(noise("input", BATCH * SIZE * SIZE * 3), 3)
    t = nchw((noise("target", BATCH * SIZE * SIZE * CLASSES) > 0.6).astype(np.float64), CLASSES)
    return x, t


def loss_of(logits, target):
    p = torch.sigmoid(logits)
    dice = (2 * (p * target).sum((2, 3)) + 1) / (p.sum((2, 3)) + target.sum((2, 3)) + 1)
    return F.binary_cross_entropy_with_logits(logits, target) + (1 - dice).mean()


def run(make, dtype):
    """All golden figures in one precision."""
    x, target = batch(dtype)
    net = make().to(dtype)
    fill(net)
    net.train()
    optimiser = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.999), eps=1e-8)
    result = {"losses": []}
    for step in range(STEPS):
        optimiser.zero_grad()
        logits = net(x)
        loss = loss_of(logits, target)
        loss.backward()
        result["losses"].append(float(loss.detach()))
        if step == 0:
            result["logits"] = logits.detach().permute(0, 2, 3, 1).contiguous().double().numpy()
            result["gradients"] = {n: to_fovea(t.grad) for n, t in named_tensors(net) if t.grad is not None}
            result["statistics"] = {n: to_fovea(t) for n, t in named_tensors(net) if n.endswith((".mean", ".var"))}
        optimiser.step()
    fill(net, evaluation=True)
    net.eval()
    with torch.no_grad():
        result["eval_logits"] = net(x).permute(0, 2, 3, 1).contiguous().double().numpy()
    return result


def sampled(values, most):
    m = min(most, values.size)
    return values[[j * values.size // m for j in range(m)]]


def relative(a, b):
    return float(np.linalg.norm(a - b) / max(np.linalg.norm(b), 1e-300))


def compare(single, double):
    """Prints how far float32 PyTorch is from float64 PyTorch."""
    print(f"loss {double['losses'][0]:.9f}, float32 off by {abs(single['losses'][0] - double['losses'][0]):.2e}")
    for key in ("logits", "eval_logits"):
        a, b = single[key], double[key]
        print(f"{key}: |max| {np.abs(b).max():.3f}, relative norm error {relative(a, b):.2e}, worst element {np.abs(a - b).max():.2e}")
    for key in ("gradients", "statistics"):
        errors = sorted(((relative(single[key][n], g), n, np.linalg.norm(g)) for n, g in double[key].items()), reverse=True)
        zero = [e for e in errors if e[2] < ZERO_NORM]
        errors = [e for e in errors if e[2] >= ZERO_NORM]
        if zero:
            worst = max(float(np.linalg.norm(single[key][n])) for _, n, _ in zero)
            print(f"{key}: {len(zero)} tensors are zero in truth; float32 norm up to {worst:.2e}")
        print(f"{key}: {len(errors)} tensors, median {errors[len(errors) // 2][0]:.2e}, worst " + ", ".join(f"{n} {e:.2e} (norm {s:.2e})" for e, n, s in errors[:4]))
    for i, (a, b) in enumerate(zip(single["losses"], double["losses"])):
        print(f"step {i}: loss {b:.9f}, float32 relative {abs(a - b) / b:.2e}")


def save(double, path):
    tensors = {
        "logits": double["logits"].astype(np.float32),
        "eval_logits": double["eval_logits"].astype(np.float32),
        "loss": np.array(double["losses"][:1]),
        "adam_losses": np.array(double["losses"]),
        "noise.input": noise("input", 8),
        "noise.encoder.stem.weight": noise("encoder.stem.weight", 8),
    }
    for name, g in double["gradients"].items():
        tensors[f"grad.{name}"] = sampled(g, GRADIENT_SAMPLES).astype(np.float32)
        tensors[f"grad_norm.{name}"] = np.array([np.linalg.norm(g)])
    for name, s in double["statistics"].items():
        tensors[f"stat.{name}"] = sampled(s, STATISTIC_SAMPLES).astype(np.float32)
        tensors[f"stat_norm.{name}"] = np.array([np.linalg.norm(s)])
    # one key: safetensors writes several in random order, and the file would change with each run
    metadata = {"golden": f"tests/golden/make_network_golden.py, torch {torch.__version__}, float64, batch {BATCH}, size {SIZE}, classes {CLASSES}, rate {LEARNING_RATE}"}
    save_file(tensors, path, metadata)
    os.chmod(path, 0o644)
    print(f"{path}: {len(tensors)} tensors, {os.path.getsize(path)} bytes")


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("tools", nargs="?", default="../shared/tools")
    a.add_argument("--out", default=os.path.join(HERE, "mobilenetv2_unet.safetensors"))
    a = a.parse_args()
    sys.path.insert(0, a.tools)
    from peer_nets import MobileNetV2UNet

    torch.set_num_threads(1)
    make = lambda: MobileNetV2UNet(CLASSES)
    double = run(make, torch.float64)
    compare(run(make, torch.float32), double)
    save(double, a.out)


if __name__ == "__main__":
    main()
