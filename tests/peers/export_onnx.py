#!/usr/bin/env python3
"""Every trained run exported to ONNX in every precision and run by ONNX Runtime on real photographs beside fovea.

usage: export_onnx.py BUILD RESULT.md RUN...      (FOVEA_DATA names the photographs' folder)

Fails unless each file passes onnx.checker, ONNX Runtime agrees with fovea to 1e-4 (float32; with preprocessing inside to
1e-3), Dice on the photographs of the test split changes by at most 0.001 (float16) and 0.01 (int8), and float16 files
are at most 0.51 of the float32 ones; of a network below 100,000 weights, where names and metadata count, 0.57."""
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from onnx_compare import read_dump, run, session

PHOTOGRAPHS = 6  # of the test split
SMALL = 400_000  # bytes of a float32 file whose metadata are more than a hundredth of it
PRECISIONS = {"float32": [], "float16": ["--fp16"], "float16, storage only": ["--fp16-storage"], "int8": ["--int8"],
              "float32, with preprocessing": ["--with-preprocessing"]}  # fmt: skip
DICE_LIMIT = {"float32": 0.001, "float16": 0.001, "float16, storage only": 0.001, "int8": 0.01,
              "float32, with preprocessing": 0.001}  # fmt: skip
DIFFERENCE_LIMIT = {"float32": 1e-4, "float32, with preprocessing": 1e-3}


def export(build, folder, name, run_folder):
    """The files by precision, and what `fovea export` says of each."""
    files = {}
    for precision, options in PRECISIONS.items():
        path = folder / f"{name}_{precision.replace(', ', '_').replace(' ', '_')}.onnx"
        command = [build / "fovea", "export", run_folder, "--onnx", *options, "--out", path, "--photos", "0" if "preprocessing" in precision else "2", "--quiet", "--json", "-"]
        said = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        files[precision] = {"path": path, "said": said, "session": session(path), "difference": 0.0, "dice": [], "seconds": []}
    return files


def dice(probability, truth, region, thresholds):
    """Mean over the classes."""
    values = []
    for c, threshold in enumerate(thresholds):
        found, true = (probability[..., c] >= threshold) & region, (truth[..., c] > 0) & region
        values.append(2 * (found & true).sum() / max(1, found.sum() + true.sum()))
    return float(np.mean(values))


def compare(files, dumps):
    """Runs all files on each dump in turn; fovea's Dice on each."""
    own = []
    for path in dumps:
        tensors, metadata = read_dump(path)
        thresholds = [float(t) for t in metadata["thresholds"].split()]
        region = tensors["region"][..., 0] > 0
        own.append(dice(tensors["probability"], tensors["truth"], region, thresholds))
        for precision, file in files.items():
            given = tensors["levels" if "preprocessing" in precision else "input"]
            start = time.process_time()
            found = run(file["session"], given)
            file["seconds"].append(time.process_time() - start)
            file["difference"] = max(file["difference"], float(np.abs(found - tensors["probability"]).max()))
            file["dice"].append(dice(found, tensors["truth"], region, thresholds))
    return own


def failures(name, files, own):
    whole = files["float32"]["said"]["bytes"]
    half_limit = 0.51 if whole > SMALL else 0.57
    for precision, file in files.items():
        if file["difference"] > DIFFERENCE_LIMIT.get(precision, 1):
            yield f"{name} {precision}: ONNX Runtime differs from fovea by {file['difference']:.2g}"
        change = abs(np.mean(file["dice"]) - np.mean(own))
        if change > DICE_LIMIT[precision]:
            yield f"{name} {precision}: Dice changes by {change:.4f}"
        if precision.startswith("float16") and file["said"]["bytes"] > half_limit * whole:
            yield f"{name} {precision}: {file['said']['bytes'] / whole:.3f} of the float32 file"


def rows(name, network, files, own):
    whole = files["float32"]
    for precision, file in files.items():
        said, seconds = file["said"], statistics.median(file["seconds"]) / statistics.median(whole["seconds"])
        simulated = [d["after"] - d["before"] for d in said["dice"].values()]
        predicted = f"{np.mean(simulated):+.4f}" if simulated else "-"
        yield (f"| {network} ({name}) | {precision} | {said['bytes'] / 2**20:.2f} | {said['bytes'] / whole['said']['bytes']:.2f} | {file['difference']:.1g} "
               f"| {np.mean(own):.4f} | {np.mean(file['dice']):.4f} | {np.mean(file['dice']) - np.mean(own):+.4f} | {predicted} | {seconds:.2f} |")  # fmt: skip


HEAD = """# ONNX files beside fovea

`make export-onnx EXPORT_RUNS="..." PYTHON=...` (tests/peers/export_onnx.py): trained runs exported in every precision, checked by onnx.checker and run by
ONNX Runtime on up to {count} photographs of each run's test split, whole photographs or fields of view in one piece. Size in MiB and as a share of the
float32 file's; the largest difference of any pixel's probability to fovea's; mean Dice of fovea and of ONNX Runtime at the model's thresholds, and the
change; what `fovea export` had predicted for that change on 2 validation photographs by simulating the file's numbers; ONNX Runtime's processor time
as a share of its float32's, one thread, files in turn.

| network (run) | precision | MiB | size | difference | Dice fovea | Dice ORT | change | simulated | time |
|---|---|---|---|---|---|---|---|---|---|
"""


def main():
    build, result, run_folders = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    lines, wrong = [], []
    for run_folder in run_folders:
        name = Path(run_folder).name
        folder = build / "export_onnx" / name
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.safetensors"):
            old.unlink()
        files = export(build, folder, name, run_folder)
        subprocess.run([build / "peers" / "export_dump", run_folder, "test", str(PHOTOGRAPHS), folder], check=True, capture_output=True)
        own = compare(files, sorted(folder.glob("*.safetensors")))
        network = session(files["float32"]["path"]).get_modelmeta().custom_metadata_map["network"]
        lines += rows(name, network, files, own)
        wrong += failures(name, files, own)
        print("\n".join(lines[-len(files) :]), flush=True)
    result.write_text(HEAD.format(count=PHOTOGRAPHS) + "\n".join(lines) + "\n")
    for sentence in wrong:
        print("FAILED:", sentence)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
