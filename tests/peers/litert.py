#!/usr/bin/env python3
"""Runs a TensorFlow Lite file of fovea's in LiteRT, and reads it with TensorFlow's own schema.

usage: litert.py WINDOWS.safetensors FILE.tflite LARGEST [...]     (a Python with ai-edge-litert, or tensorflow)

WINDOWS has "input" {N, h, w, 3} (levels 0..255 for a file that takes those) and fovea's probabilities "output" {N, h, w, classes} (tests/peers/export_windows.c).
Ends with 1 and a sentence when the file breaks TensorFlow Lite's rules or a probability differs by more than LARGEST."""
import json
import struct
import sys

import numpy as np

try:
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.interpreter import Interpreter
except ImportError:
    from tensorflow.lite.python import schema_py_generated as schema
    from tensorflow.lite.python.interpreter import Interpreter

OPERATORS = {code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
TYPES = {code: name for name, code in vars(schema.TensorType).items() if not name.startswith("_")}


def read_safetensors(path):
    """{name: float32 array}"""
    with open(path, "rb") as file:
        data = file.read()
    length = struct.unpack("<Q", data[:8])[0]
    header, body = json.loads(data[8:8 + length]), data[8 + length:]
    return {name: np.frombuffer(body[slice(*entry["data_offsets"])], np.float32).reshape(entry["shape"])
            for name, entry in header.items() if name != "__metadata__"}


class File:
    """A file as the published schema reads it."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = file.read()
        assert self.data[4:8] == b"TFL3", "no TensorFlow Lite file"
        self.model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(self.data, 0))
        assert self.model.version == 3 and len(self.model.subgraphs) == 1
        self.graph = self.model.subgraphs[0]

    def metadata(self):
        return {entry.name.decode(): bytes(self.model.buffers[entry.buffer].data).decode()
                for entry in self.model.metadata}

    def kind(self, operator):
        code = self.model.operatorCodes[operator.opcodeIndex]
        assert code.deprecatedBuiltinCode == code.builtinCode, "an old runtime would take another operator"
        return OPERATORS[code.builtinCode]

    def constant(self, tensor):
        data = self.model.buffers[tensor.buffer].data
        return None if data is None or len(data) == 0 else data

    def check(self):
        """What every file promises."""
        assert len(self.constant_sizes()) > 0
        assert self.model.buffers[0].data is None or len(self.model.buffers[0].data) == 0, "buffer 0 is to be empty"
        signature, = self.model.signatureDefs
        assert signature.signatureKey == b"serving_default"
        assert [(e.name, e.tensorIndex) for e in signature.inputs] == [(b"input", self.graph.inputs[0])]
        assert [(e.name, e.tensorIndex) for e in signature.outputs] == [(b"output", self.graph.outputs[0])]
        assert [self.graph.tensors[i].name for i in (*self.graph.inputs, *self.graph.outputs)] == [b"input", b"output"]
        made = set(self.graph.inputs)
        for operator in self.graph.operators:
            for index in operator.inputs:
                assert index in made or self.constant(self.graph.tensors[index]) is not None, "read before it is made"
            made.update(operator.outputs)
        for operator in self.graph.operators:
            if self.kind(operator) in INT8_RULES:
                INT8_RULES[self.kind(operator)](self, [self.graph.tensors[i] for i in operator.inputs],
                                                self.graph.tensors[operator.outputs[0]])

    def constant_sizes(self):
        size = {"FLOAT32": 4, "FLOAT16": 2, "INT32": 4, "INT8": 1}
        sizes = []
        for tensor in self.graph.tensors:
            data = self.constant(tensor)
            if data is not None:
                sizes.append(len(data))
                assert len(data) == np.prod(tensor.shape) * size[TYPES[tensor.type]], tensor.name
        return sizes


def step(tensor):
    """(scale, zero point) of a whole tensor."""
    q = tensor.quantization
    assert len(q.scale) == 1 and len(q.zeroPoint) == 1 and q.scale[0] > 0 and -128 <= q.zeroPoint[0] <= 127, tensor.name
    return q.scale[0], q.zeroPoint[0]


# The rules of https://ai.google.dev/edge/litert/models/quantization_spec

def is_int8(tensor):
    return TYPES[tensor.type] == "INT8"


def kernel_rule(axis, data=0, weight=1, bias=2):
    def rule(file, inputs, output):
        if not is_int8(inputs[data]):
            return
        scale = np.asarray(inputs[weight].quantization.scale)
        assert is_int8(inputs[weight]) and TYPES[inputs[bias].type] == "INT32"
        assert len(scale) == inputs[weight].shape[axis] and inputs[weight].quantization.quantizedDimension == axis
        assert not np.any(inputs[weight].quantization.zeroPoint) and not np.any(inputs[bias].quantization.zeroPoint)
        assert np.frombuffer(bytes(file.constant(inputs[weight])), np.int8).min() >= -127
        expected = scale * step(inputs[data])[0]
        assert np.allclose(inputs[bias].quantization.scale, expected, rtol=1e-6), "bias in other steps than its sum"
        step(output)
    return rule


def same_step(file, inputs, output):
    for tensor in inputs:
        if is_int8(tensor):
            assert step(tensor) == step(output), f"{output.name}: not the step of its input"


def sigmoid_rule(file, inputs, output):
    if is_int8(output):
        assert step(output) == (1 / 256, -128)


INT8_RULES = {"CONV_2D": kernel_rule(0), "DEPTHWISE_CONV_2D": kernel_rule(3),
              "TRANSPOSE_CONV": kernel_rule(0, data=2, weight=1, bias=3), "LOGISTIC": sigmoid_rule,
              "CONCATENATION": same_step, "MAX_POOL_2D": same_step, "PAD": same_step, "PADV2": same_step, "SLICE": same_step,
              "RESIZE_BILINEAR": same_step, "RESIZE_NEAREST_NEIGHBOR": same_step}


def run(path, inputs):
    """The outputs of all inputs, one by one, through the signature."""
    runner = Interpreter(model_path=path, num_threads=2).get_signature_runner("serving_default")
    before, after = runner.get_input_details()["input"], runner.get_output_details()["output"]
    outputs = []
    for image in inputs:
        if before["dtype"] == np.uint8:
            image = image.astype(np.uint8)
        elif before["dtype"] == np.int8:
            scale, zero = before["quantization"]
            image = np.clip(np.round(image / scale) + zero, -128, 127).astype(np.int8)
        output = runner(input=image[None])["output"]
        if after["dtype"] == np.int8:
            scale, zero = after["quantization"]
            output = (output.astype(np.float32) - zero) * scale
        outputs.append(output)
    return np.concatenate(outputs)


def compare(windows_path, path, allowed):
    windows = read_safetensors(windows_path)
    File(path).check()
    largest = float(np.abs(run(path, windows["input"]) - windows["output"]).max())
    print(f"{path}: largest difference {largest:.3g}")
    if not largest <= float(allowed):
        sys.exit(f"{path}: a probability differs by {largest:.3g}, allowed are {allowed}")


def main():
    arguments = sys.argv[1:]
    if len(arguments) < 3 or len(arguments) % 3:
        sys.exit(__doc__)
    for i in range(0, len(arguments), 3):
        compare(*arguments[i:i + 3])


if __name__ == "__main__":
    main()
