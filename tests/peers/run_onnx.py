#!/usr/bin/env python3
"""Runs exported networks (onnx_networks.py) in fovea and in ONNX Runtime, turn and turn about on the same input, and prints a page: how far their outputs are apart, and
both times. Ends with 1 when an output differs by more than LIMITS.

  run_onnx.py BUILD FOLDER [--networks NAME ...] [--kinds fp32 dynamo fp16] [--sizes 256 ...] [--only] [--rounds 15]

BUILD holds fovea's slow/network_run; FOLDER keeps the files, which are written where they are missing. Needs what onnx_networks.py needs, and onnxruntime.
"""
import argparse
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnxruntime

import onnx_networks

KINDS = {"fp32": "", "dynamo": "_dynamo", "fp16": "_fp16"}
LIMITS = {"fp32": 1e-4, "dynamo": 1e-4, "fp16": 5e-3}  # of a probability
DEFAULT = ["resunet", "smp_resnet18", "smp_mobilenet_v2", "smp_efficientnet-b0", "mobilenetv2_unet", "mobilenetv2_se_unet", "unet", "wnet"]
LARGE = [("resunet", "fp32", 512)]


class Fovea:
    def __init__(self, build, model, x, threads, folder):
        size = x.shape[2]
        source, self.result = folder / "input.f32", folder / "output.f32"
        x.transpose(0, 2, 3, 1).tofile(source)
        command = [str(pathlib.Path(build) / "slow" / "network_run"), str(model), str(size), str(threads), str(source), str(self.result)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        if not self.process.stdout.readline():
            sys.exit(f"fovea does not run {model}")
        self.logits = np.fromfile(self.result, np.float32).reshape(1, size, size, -1).transpose(0, 3, 1, 2).astype(np.float64)

    def seconds(self):
        """Of the wall's clock, of the processor."""
        self.process.stdin.write("\n")
        return [float(word) for word in self.process.stdout.readline().split()]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Runtime:
    def __init__(self, model, x, threads):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        # Threads that wait by spinning would take the processors from fovea, whose turn is next.
        options.add_session_config_entry("session.intra_op.allow_spinning", "1")
        options.add_session_config_entry("session.force_spinning_stop", "1")
        self.session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        entry = self.session.get_inputs()[0]
        self.feed = {entry.name: x.astype(np.float16) if "float16" in entry.type else x}
        self.logits = self.session.run(None, self.feed)[0].astype(np.float64)

    def seconds(self):
        begin, processor = time.perf_counter(), time.process_time()
        self.session.run(None, self.feed)
        return time.perf_counter() - begin, time.process_time() - processor


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


def model_path(folder, name, kind, size):
    """Files made for one size alone: ONNX Runtime insists on it (fovea does not)."""
    place = pathlib.Path(folder) / str(size)
    path = place / f"{name}{KINDS[kind]}.onnx"
    if not path.exists():
        place.mkdir(parents=True, exist_ok=True)
        onnx_networks.write(place, name, size, [kind])
    return path


def measure(a, path, x, threads, clock):
    """The logits of both, and the medians of their times in ms; clock 0: the wall's, 1: the processor's."""
    with tempfile.TemporaryDirectory() as folder:
        fovea = Fovea(a.build, path, x, threads, pathlib.Path(folder))
        runtime = Runtime(path, x, threads)
        times = [(fovea.seconds()[clock], runtime.seconds()[clock]) for _ in range(a.rounds)]
        fovea.close()
    if not np.isfinite(fovea.logits).all():
        sys.exit(f"{path}: a logit is not a number")
    return fovea.logits, runtime.logits, [statistics.median(column) * 1e3 for column in zip(*times)]


def columns_of(times):
    return f"{times[0]:.1f} | {times[1]:.1f} | {times[0] / times[1]:.2f}" if times else "- | - | -"


def compare(a, name, kind, size):
    x = onnx_networks.picture(1, size, 3).numpy()
    path = model_path(a.folder, name, kind, size)
    ours, theirs, wall = measure(a, path, x, 2, 0)
    processor = measure(a, path, x, 1, 1)[2] if a.rounds else []
    difference = float(np.abs(sigmoid(ours) - sigmoid(theirs)).max())
    largest = float(np.abs(theirs).max())
    relative = float(np.abs(ours - theirs).max()) / largest
    print(f"| {name} | {kind} | {size} | {largest:.1f} | {difference:.1e} | {relative:.1e} | {columns_of(wall)} | {columns_of(processor)} |", flush=True)
    return difference <= LIMITS[kind]


HEADING = f"""# ONNX networks in fovea and in ONNX Runtime

`make run-onnx PYTHON=...` writes this page (`tests/peers/run_onnx.py`; networks and files: `tests/peers/onnx_networks.py`). PyTorch {onnx_networks.torch.__version__}, ONNX Runtime
{onnxruntime.__version__}. fp32: PyTorch's TorchScript exporter; dynamo: its newer one; fp16: the first, made float16 by onnxconverter-common. Random weights, one picture of size x size;
batch norm statistics from pictures, and beta 1: with PyTorch's beta of 0 the deepest of these random networks amplify rounding until two engines differ by more than the limits
(smp_mobilenet_v2 most, and halves; which engine is nearer to exact results was not looked at).

Largest difference between the two engines: of a probability (at most {LIMITS['fp32']:g}, of float16 {LIMITS['fp16']:g}), and of a logit as a share of the largest one. Times are medians in
ms, taken turn and turn about: of the wall's clock on 2 threads, which others on the machine disturb (more so threads that wait for each other by spinning), and of the
processor on 1 thread. A ratio below 1: fovea is quicker.

| network | file | size | largest logit | probability | logit | fovea, 2 threads | ONNX Runtime | ratio | fovea, 1 thread | ONNX Runtime | ratio |
|---|---|---|---|---|---|---|---|---|---|---|---|"""


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("build")
    a.add_argument("folder")
    a.add_argument("--only", action="store_true", help="without the large pictures of LARGE")
    a.add_argument("--networks", nargs="+", default=DEFAULT, choices=sorted(onnx_networks.BUILDERS), metavar="NAME")
    a.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    a.add_argument("--sizes", nargs="+", type=int, default=[256])
    a.add_argument("--rounds", type=int, default=15, help="0: no times")
    a = a.parse_args()
    print(HEADING)
    rows = [(name, kind, size) for name in a.networks for size in a.sizes for kind in a.kinds]
    equal = [compare(a, *row) for row in rows + ([] if a.only else LARGE)]
    sys.exit(0 if all(equal) else "an output differs by more than " + str(LIMITS))


if __name__ == "__main__":
    main()
