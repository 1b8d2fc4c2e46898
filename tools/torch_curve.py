#!/usr/bin/env python3
"""The same training by fovea and by PyTorch, loss by loss: writes docs/results/vessels_torch_curve.md.

  make torch-curve [CURVE="section.key=value ..."]      overrides of tests/slow/torch_curve.ini; with any, the page is only printed

tests/slow/training_dump.c trains with fovea and writes down the weights at the beginning, every batch and every dropout;
tools/peers/train_curve.py repeats that in PyTorch. How far two such runs may be apart is shown by two others: PyTorch's own with another
memory layout, which rounds differently, and fovea's with another seed (other weights, order, augmentation, dropout). The figures are of one
thread each. FOVEA_DATA (default ../shared/data) holds drive and fives20; PEERS_PYTHON as for bench_peers.py. It fails when the mean
difference is above a quarter of that between two seeds.
"""
import configparser
import csv
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

import bench_peers
from bench_peers import BUILD, ROOT

CONFIG = ROOT / "tests" / "slow" / "torch_curve.ini"
PAGE = ROOT / "docs" / "results" / "vessels_torch_curve.md"
EVERY = 10  # steps between two rows of the table


def run(command, environment=None):
    print(shlex.join(map(str, command)), file=sys.stderr)
    if subprocess.run(command, cwd=ROOT, env={**os.environ, **(environment or {})}).returncode:
        sys.exit(f"torch_curve: {command[0]} failed")


def column(path, name):
    with path.open() as file:
        return [float(row[name]) for row in csv.DictReader(file)]


def train_with_fovea(folder, overrides):
    folder.mkdir()
    data = os.environ.get("FOVEA_DATA", str(ROOT.parent / "shared" / "data"))
    run([BUILD / "slow" / "training_dump", CONFIG, folder, "1", *overrides], {"FOVEA_DATA": data})
    return folder / "fovea.csv"


def train_with_torch(folder, name, *words):
    out = folder / name
    run([bench_peers.peers_python(), ROOT / "tools" / "peers" / "train_curve.py", folder, out, *words], bench_peers.TUNED)
    return out


def differences(a, b):
    return [abs(x - y) for x, y in zip(a, b)]


def smooth(values):
    """Means of EVERY steps each: without the noise of single batches."""
    return [statistics.mean(values[i:i + EVERY]) for i in range(0, len(values), EVERY)]


def difference_row(what, a, b):
    single, means = differences(a, b), differences(smooth(a), smooth(b))
    return f"| {what} | {statistics.mean(single):.4f} | {max(single):.4f} | {statistics.mean(means):.4f} | {max(means):.4f} |"


def description(config):
    model, loss, optimizer = config["model"], config["loss"], config["optimizer"]
    weights = ", ".join(f"{name} {loss[name]}" for name in ("dice", "bce", "focal") if loss.getfloat(name, 0))
    return (f"{model['network']}, base {model['base']}, loss {weights}, {optimizer['kind']} {optimizer['rate']}, {config['schedule']['kind']} schedule, "
            f"batch {config['train']['batch']} of {config['preprocess']['size']}x{config['preprocess']['size']}, {config['train']['epochs']} epochs")


def page(config, curves, times):
    fovea, torch, other_form, other_seed = curves
    lines = [f"""# ResUNet trained by fovea and by PyTorch

`make torch-curve`, {date.today()}: {description(config)}, on the training photographs of DRIVE and FIVES. Both begin with the same weights and see the same
batches, dropout and learning rates, {len(fovea)} steps. How far apart two such runs may be is told by PyTorch against itself in another memory layout (channels
last: other roundings, which training makes grow) and by fovea against itself with another seed.

| difference of the losses | mean, single steps | largest | mean, means of {EVERY} steps | largest |
|---|---|---|---|---|""",
             difference_row("fovea and PyTorch", fovea, torch),
             difference_row("PyTorch and PyTorch, other roundings", torch, other_form),
             difference_row("fovea and fovea, other seed", fovea, other_seed),
             f"""
Median time of a step, one thread each, on a machine that others use too: {', '.join(f'{name} {statistics.median(t):.2f} s' for name, t in times.items())}.

Means of the loss over {EVERY} steps (and the last ones):

| steps | fovea | PyTorch | PyTorch, other roundings | fovea, other seed |
|---|---|---|---|---|"""]
    for i, row in enumerate(zip(*map(smooth, curves))):
        last = min((i + 1) * EVERY, len(fovea))
        lines.append(f"| {i * EVERY + 1} to {last} | " + " | ".join(f"{value:.4f}" for value in row) + " |")
    return "\n".join(lines) + "\n"


def main():
    overrides = sys.argv[1:]
    if overrides and overrides[0] in ("-h", "--help"):
        return print(__doc__)
    with tempfile.TemporaryDirectory() as work:
        first, second = Path(work) / "first", Path(work) / "second"
        files = {"fovea": train_with_fovea(first, overrides)}
        files["PyTorch"] = train_with_torch(first, "torch.csv")
        files["PyTorch channels last"] = train_with_torch(first, "channels_last.csv", "--channels-last")
        files["other seed"] = train_with_fovea(second, [*overrides, "run.seed=2"])
        curves = [column(path, "loss") for path in files.values()]
        times = {name: column(files[name], "seconds") for name in ("fovea", "PyTorch", "PyTorch channels last")}
        config = configparser.ConfigParser(interpolation=None)
        config.read(first / "config.ini")
    text = page(config, curves, times)
    print(text, end="")
    if not overrides:
        PAGE.write_text(text)
    near, noise = (statistics.mean(differences(curves[0], other)) for other in (curves[1], curves[3]))
    sys.exit(0 if near <= 0.25 * noise else 1)


if __name__ == "__main__":
    main()
