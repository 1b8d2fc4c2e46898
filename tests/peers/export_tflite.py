#!/usr/bin/env python3
"""Exports trained runs as TensorFlow Lite and compares LiteRT with fovea on photographs they were not trained on.

usage: export_tflite.py BUILD PAGE.md RUN...     (a Python with ai-edge-litert; FOVEA_DATA as in training)

Writes the page, or ends with 1 when a difference is larger than what is allowed below."""
import configparser
import os
import subprocess
import sys
import tempfile

import numpy as np

import litert

PRECISIONS = {"float32": [], "float16": ["--fp16"], "int8": ["--int8"]}
WINDOWS = 40  # of the test photographs
LARGEST_DIFFERENCE = 1e-4  # of a probability in float32
LARGEST_DICE = {"float32": 1e-5, "float16": 0.001, "int8": 0.01}  # change of Dice; a pixel may lie at the threshold
LARGEST_RATIO = 0.51  # of a float16 file's size to the float32 file's
SMALL = 1 << 20  # bytes: below, what is no weight counts

HEADING = f"""# TensorFlow Lite files beside fovea

`make export-tflite EXPORT_RUNS=... PYTHON=...`: {WINDOWS} inputs of test photographs, of the size that the network was trained on (windows of vessel models, whole photographs of disc and cup).
LiteRT runs the files; types, steps and the order of operators are checked by `tests/peers/litert.py`. Differences are those of probabilities to fovea's. Dice is over all pixels, at the
model's thresholds. The last column is the largest difference of TensorFlow's own interpreter to LiteRT.

| network | numbers | MiB | of float32's | largest difference | mean | Dice of fovea | change of Dice | TensorFlow |
|---|---|---|---|---|---|---|---|---|"""


def run(*words):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))}: {done.stderr}")


def dice(probabilities, truth, thresholds):
    """Of each class, over all pixels."""
    found, there = probabilities >= thresholds, truth > 0.5
    axes = (0, 1, 2)
    return 2 * (found & there).sum(axes) / (found.sum(axes) + there.sum(axes))


def other_interpreter(path, inputs, expected):
    """TensorFlow's own interpreter, where it is installed, on the first input."""
    try:
        import tensorflow
    except ImportError:
        return None
    runner = tensorflow.lite.Interpreter(model_path=path).get_signature_runner("serving_default")
    return float(np.abs(runner(input=inputs[:1])["output"] - expected[:1]).max())


class Network:
    def __init__(self, build, folder, scratch):
        config = configparser.ConfigParser(interpolation=None)
        config.read(os.path.join(folder, "config.ini"))
        self.build, self.folder, self.scratch = build, folder, scratch
        self.name, self.size = config["model"]["network"], int(config["preprocess"]["size"])
        tables = [config[section]["manifest"] for section in config if "manifest" in config[section]]
        self.table = tables[0].replace("${FOVEA_DATA}", os.environ["FOVEA_DATA"])
        self.windows_path = os.path.join(scratch, "windows.safetensors")
        run(f"{build}/peers/export_windows", f"{folder}/best.safetensors", self.table, "test", WINDOWS, self.windows_path)
        self.windows = litert.read_safetensors(self.windows_path)
        self.float32_bytes = 0

    def rows(self):
        return [self.row(precision, options) for precision, options in PRECISIONS.items()]

    def row(self, precision, options):
        path = os.path.join(self.scratch, f"{precision}.tflite")
        run(f"{self.build}/fovea", "export", self.folder, "--tflite", *options, "--size", self.size, "--photos", 0,
            "--out", path)
        file = litert.File(path)
        file.check()
        thresholds = np.array([float(t) for t in file.metadata()["thresholds"].split(",")], np.float32)
        outputs = litert.run(path, self.windows["input"])
        before = dice(self.windows["output"], self.windows["target"], thresholds)
        after = dice(outputs, self.windows["target"], thresholds)
        difference = float(np.abs(outputs - self.windows["output"]).max())
        self.judge(precision, difference, np.abs(after - before).max(), len(file.data))
        other = other_interpreter(path, self.windows["input"], outputs)
        return [self.name, precision, f"{len(file.data) / 2**20:.2f}", f"{len(file.data) / self.float32_bytes:.3f}",
                f"{difference:.1e}", f"{np.abs(outputs - self.windows['output']).mean():.1e}",
                " / ".join(f"{d:.4f}" for d in before), " / ".join(f"{d:+.5f}" for d in after - before),
                "-" if other is None else f"{other:.0e}"]

    def judge(self, precision, difference, dice_difference, size):
        what = f"{self.name} in {precision}"
        if precision == "float32":
            self.float32_bytes = size
            if difference > LARGEST_DIFFERENCE:
                sys.exit(f"{what}: a probability differs by {difference}")
        if dice_difference > LARGEST_DICE[precision]:
            sys.exit(f"{what}: Dice differs by {dice_difference}")
        if precision == "float16" and size > LARGEST_RATIO * self.float32_bytes and self.float32_bytes > SMALL:
            sys.exit(f"{what}: {size} bytes are more than {LARGEST_RATIO} of {self.float32_bytes}")


def main():
    build, page, runs = sys.argv[1], sys.argv[2], sys.argv[3:]
    lines = [HEADING]
    for folder in runs:
        with tempfile.TemporaryDirectory() as scratch:
            for row in Network(build, folder, scratch).rows():
                lines.append("| " + " | ".join(row) + " |")
                print(lines[-1], flush=True)
    with open(page + ".new", "w") as file:
        file.write("\n".join(lines) + "\n")
    os.replace(page + ".new", page)


if __name__ == "__main__":
    main()
