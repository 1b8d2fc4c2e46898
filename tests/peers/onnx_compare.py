#!/usr/bin/env python3
"""An ONNX file of fovea run by ONNX Runtime on what fovea was given, beside what fovea made of it.

usage: onnx_compare.py FILE.onnx DUMP.safetensors TOLERANCE      (DUMP: tensors "input" and "probability", NHWC float32)

Fails when onnx.checker or ONNX Runtime refuses the file, or the largest difference is above TOLERANCE."""
import json
import struct
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime


def read_dump(path):
    """Tensors by name, and the metadata, of a safetensors file of float32."""
    raw = Path(path).read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8 : 8 + length])
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, tensor in header.items():
        begin, end = tensor["data_offsets"]
        tensors[name] = np.frombuffer(raw[8 + length + begin : 8 + length + end], np.float32).reshape(tensor["shape"])
    return tensors, metadata


def session(path):
    """Checked, on one thread."""
    onnx.checker.check_model(onnx.load(path), full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run(model, nhwc):
    """NHWC to NHWC; levels are given as the type that the input has."""
    if model.get_inputs()[0].type == "tensor(uint8)":
        nhwc = nhwc.astype(np.uint8)
    return model.run(["output"], {"input": np.ascontiguousarray(nhwc.transpose(0, 3, 1, 2))})[0].transpose(0, 2, 3, 1)


def main():
    path, dump, tolerance = sys.argv[1], sys.argv[2], float(sys.argv[3])
    tensors, _ = read_dump(dump)
    model = session(path)
    levels = model.get_inputs()[0].type == "tensor(uint8)"
    differences = np.abs(run(model, tensors["levels" if levels else "input"]) - tensors["probability"])
    print(f"{path}: largest difference {differences.max():.2g}, mean {differences.mean():.2g}")
    sys.exit(0 if differences.max() <= tolerance else 1)


if __name__ == "__main__":
    main()
