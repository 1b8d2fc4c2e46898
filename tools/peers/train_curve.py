#!/usr/bin/env python3
"""Repeats in PyTorch the training that tests/slow/training_dump.c has written into a folder: the same weights at the beginning, batches,
dropout, loss, Adam and learning rates. Writes "step,loss,seconds" lines to a file. tools/torch_curve.py runs it.

  train_curve.py FOLDER OUT.csv [--threads N] [--channels-last]
"""
import argparse
import configparser
import csv
import json
import struct
import time
from pathlib import Path

import numpy as np
import torch

import networks
from losses import Loss

NETWORKS = {"unet": networks.unet, "resunet": networks.resunet, "wnet": networks.wnet}


def read_safetensors(path):
    """{name: float32 array}, and the metadata."""
    data = Path(path).read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header, body = json.loads(data[8:8 + length]), data[8 + length:]
    metadata = header.pop("__metadata__", {})
    arrays = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        arrays[name] = np.frombuffer(body[begin:end], dtype="<f4").reshape(entry["shape"]).copy()
    return arrays, metadata


def nchw(array):
    return torch.from_numpy(array).permute(0, 3, 1, 2).contiguous()


class GivenDropout(torch.nn.Module):
    """Spatial dropout by factors {N,1,1,C} that are set before each step."""

    factors = None

    def forward(self, x):
        return x * nchw(self.factors) if self.training else x


def network(folder):
    arrays, metadata = read_safetensors(folder / "start.safetensors")
    spec = json.loads(metadata["fovea.model"])
    net = NETWORKS[spec["network"]](len(spec["classes"]), spec["base"])
    for name, tensor, module in networks.parameters(net):
        with torch.no_grad():
            tensor.copy_(networks.from_fovea(torch.from_numpy(arrays.pop(f"model.{name}")).reshape(-1), tensor, module))
    if arrays:
        raise SystemExit(f"train_curve: {folder} has parameters that PyTorch's network lacks: {', '.join(arrays)}")
    dropouts = {name: GivenDropout() for name, module in net.named_modules() if isinstance(module, torch.nn.Dropout2d)}
    for name, module in dropouts.items():
        net.set_submodule(name, module)
    return net, dropouts


def loss_of(section):
    return Loss(bce=section.getfloat("bce"), dice=section.getfloat("dice"), focal=section.getfloat("focal", 0), smooth=section.getfloat("smooth"),
                dice_over_batch=section.getboolean("dice_over_batch"), focal_alpha=section.getfloat("focal_alpha", 0.25),
                focal_gamma=section.getfloat("focal_gamma", 2), auxiliary=section.getfloat("auxiliary"))


def optimiser(net, section):
    if section["kind"] != "adam" or section.getfloat("clip_norm") or section.getfloat("weight_decay"):
        raise SystemExit("train_curve: only Adam without weight decay and clipping is repeated here")
    return torch.optim.Adam(net.parameters(), betas=(section.getfloat("beta1"), section.getfloat("beta2")), eps=section.getfloat("epsilon"))


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("folder", type=Path)
    a.add_argument("out", type=Path)
    a.add_argument("--threads", type=int, default=1)
    a.add_argument("--channels-last", action="store_true")
    a = a.parse_args()
    torch.set_num_threads(a.threads)
    config = configparser.ConfigParser(interpolation=None)
    config.read(a.folder / "config.ini")
    form = torch.channels_last if a.channels_last else torch.contiguous_format
    net, dropouts = network(a.folder)
    net = net.to(memory_format=form).train()
    loss_function, adam = loss_of(config["loss"]), optimiser(net, config["optimizer"])
    with (a.folder / "fovea.csv").open() as file, a.out.open("w") as out:
        out.write("step,loss,seconds\n")
        for row in csv.DictReader(file):
            batch, _ = read_safetensors(a.folder / f"step_{int(row['step']):04d}.safetensors")
            for name, module in dropouts.items():
                module.factors = batch[f"dropout.{name}"]
            x, target = nchw(batch["input"]).contiguous(memory_format=form), nchw(batch["target"])
            began = time.perf_counter()
            adam.param_groups[0]["lr"] = float(row["rate"])
            adam.zero_grad(set_to_none=True)
            loss = loss_function(net(x), target)
            loss.backward()
            adam.step()
            out.write(f"{row['step']},{float(loss.detach()):.9g},{time.perf_counter() - began:.6f}\n")
            out.flush()


if __name__ == "__main__":
    main()
