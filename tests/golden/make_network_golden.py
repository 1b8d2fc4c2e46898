#!/usr/bin/env python3
"""Golden values of the networks from PyTorch: forward, loss, gradients, running statistics, ten Adam steps.

  make_network_golden.py [--out FOLDER] [NETWORK ...]

Everything that goes in (weights, input, targets) is a formula that a C test repeats without a file; see README.md beside this script.
The truth is computed in float64; the same in float32 is compared with it and printed, because the test's tolerances rest on that figure.
"""
import argparse
import math
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from safetensors.numpy import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "tools", "peers"))
import networks  # noqa: E402
from losses import Loss  # noqa: E402
from networks import from_fovea, parameters  # noqa: E402

BATCH = 2
STEPS = 10
# Standard deviations from a batch norm's centre to the kinks of the activation behind it. Much wider in the encoder, and the gradients of its
# shifts would be 0 but for rounding: the next batch norm takes out what no ReLU6 has clipped.
MARGIN, ENCODER_MARGIN = 4.0, 2.5
LEARNING_RATE = 1e-3
ZERO_NORM = 1e-12  # a shift that the next batch norm takes out again: the true gradient is 0
MASK64 = (1 << 64) - 1


@dataclass
class Golden:
    make: Callable
    classes: int
    size: int  # such that the bottleneck has enough pixels for its batch norm
    gradient_samples: int  # primes: the samples visit all rows and columns of a weight
    statistic_samples: int


GOLDEN = {
    "mobilenetv2_unet": Golden(lambda: networks.mobilenetv2_unet(2), 2, 96, 251, 61),
    "mobilenetv2_se_unet": Golden(lambda: networks.mobilenetv2_se_unet(1), 1, 96, 61, 31),
    "unet": Golden(lambda: networks.unet(1, base=8), 1, 64, 251, 61),
    "unet_group_norm": Golden(lambda: networks.unet(1, base=16, depth=2, norm="group"), 1, 64, 61, 31),
    "resunet": Golden(lambda: networks.resunet(1, base=8), 1, 64, 251, 61),
    "wnet": Golden(lambda: networks.wnet(1, base=8), 1, 64, 61, 31),
}


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


def to_fovea(tensor, module):
    """Flat, in fovea's layout: convolutions {kh, kw, in, out}; vectors as they are."""
    t = tensor.detach()
    if t.dim() == 4:
        t = t.permute(2, 3, 0, 1) if isinstance(module, torch.nn.ConvTranspose2d) else t.permute(2, 3, 1, 0)
    return t.contiguous().reshape(-1).double().numpy().copy()


def fan_in(shape, module):
    """kh * kw * channels that one weight sees: the height and width times in-channels of fovea's layout."""
    channels = shape[0] if isinstance(module, torch.nn.ConvTranspose2d) else shape[1]
    return channels * shape[2] * shape[3]


def value_of(name, tensor, module, evaluation):
    """The formula of one parameter, float64. Batch norms before an activation have their centre some standard deviations from its kinks: one
    rounding that crosses a kink moves gradients by a percent."""
    u, kind = noise(name, tensor.numel()), name.rsplit(".", 1)[1]
    encoder, linear = name.startswith("encoder."), ".project." in name
    if kind == "weight":
        return u * math.sqrt(6.0 / fan_in(tensor.shape, module))
    if kind == "gamma":
        return (3.0 / ENCODER_MARGIN if encoder and not linear else 1.0) + 0.1 * u
    if kind == "beta":
        return (0.0 if linear else 3.0 if encoder else MARGIN) + 0.1 * u
    if kind == "bias":
        return 0.1 * u
    if kind == "mean":
        return u if evaluation else 0.0 * u
    return 8.0 + 4.0 * u if evaluation else 1.0 + 0.0 * u


def fill(net, evaluation=False):
    """Sets every parameter by formula, rounded to float32 so that both precisions begin with the same figures."""
    for name, tensor, module in parameters(net):
        values = torch.from_numpy(value_of(name, tensor, module, evaluation).astype(np.float32))
        with torch.no_grad():
            tensor.copy_(from_fovea(values, tensor, module))


def batch(golden, dtype):
    def nchw(a, channels):
        return torch.from_numpy(a.reshape(BATCH, golden.size, golden.size, channels)).permute(0, 3, 1, 2).contiguous().to(dtype)

    pixels = BATCH * golden.size * golden.size
    x = nchw(noise("input", pixels * 3), 3)
    t = nchw((noise("target", pixels * golden.classes) > 0.6).astype(np.float64), golden.classes)
    return x, t


def make(golden):
    net = golden.make()
    for module in net.modules():  # fovea draws other random numbers: no dropout on either side
        if isinstance(module, torch.nn.Dropout2d):
            module.p = 0.0
    return net


def run(golden, dtype):
    """All golden figures in one precision."""
    x, target = batch(golden, dtype)
    net = make(golden).to(dtype)
    fill(net)
    net.train()
    optimiser = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.999), eps=1e-8)
    loss_of, result = Loss(), {"losses": []}
    for step in range(STEPS):
        optimiser.zero_grad()
        outputs = net(x)
        logits = outputs[0] if isinstance(outputs, tuple) else outputs
        loss = loss_of(outputs, target)
        loss.backward()
        result["losses"].append(float(loss.detach()))
        if step == 0:
            result["logits"] = logits.detach().permute(0, 2, 3, 1).contiguous().double().numpy()
            result["gradients"] = {n: to_fovea(t.grad, m) for n, t, m in parameters(net) if t.grad is not None}
            result["statistics"] = {n: to_fovea(t, m) for n, t, m in parameters(net) if n.endswith((".mean", ".var"))}
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
        if not errors:  # a network without batch norm has no statistics
            continue
        if zero:
            worst = max(float(np.linalg.norm(single[key][n])) for _, n, _ in zero)
            print(f"{key}: {len(zero)} tensors are zero in truth; float32 norm up to {worst:.2e}")
        print(f"{key}: {len(errors)} tensors, median {errors[len(errors) // 2][0]:.2e}, worst " + ", ".join(f"{n} {e:.2e} (norm {s:.2e})" for e, n, s in errors[:4]))
    for i, (a, b) in enumerate(zip(single["losses"], double["losses"])):
        print(f"step {i}: loss {b:.9f}, float32 relative {abs(a - b) / b:.2e}")


def save(golden, double, path):
    tensors = {
        "logits": double["logits"].astype(np.float32),
        "eval_logits": double["eval_logits"].astype(np.float32),
        "loss": np.array(double["losses"][:1]),
        "adam_losses": np.array(double["losses"]),
        "noise.input": noise("input", 8),
        "noise.encoder.stem.weight": noise("encoder.stem.weight", 8),
    }
    for name, g in double["gradients"].items():
        tensors[f"grad.{name}"] = sampled(g, golden.gradient_samples).astype(np.float32)
        tensors[f"grad_norm.{name}"] = np.array([np.linalg.norm(g)])
    for name, s in double["statistics"].items():
        tensors[f"stat.{name}"] = sampled(s, golden.statistic_samples).astype(np.float32)
        tensors[f"stat_norm.{name}"] = np.array([np.linalg.norm(s)])
    # one key: safetensors writes several in random order, and the file would change with each run
    metadata = {"golden": f"tests/golden/make_network_golden.py, torch {torch.__version__}, float64, batch {BATCH}, size {golden.size}, classes {golden.classes}, rate {LEARNING_RATE}"}
    save_file(tensors, path, metadata)
    os.chmod(path, 0o644)
    print(f"{path}: {len(tensors)} tensors, {os.path.getsize(path)} bytes")


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("networks", nargs="*", metavar="NETWORK", help="default: all")
    a.add_argument("--out", default=HERE, metavar="FOLDER")
    a = a.parse_args()
    torch.set_num_threads(1)
    for name in a.networks or GOLDEN:
        golden = GOLDEN[name]
        print(f"== {name}")
        double = run(golden, torch.float64)
        compare(run(golden, torch.float32), double)
        save(golden, double, os.path.join(a.out, f"{name}.safetensors"))


if __name__ == "__main__":
    main()
