#!/usr/bin/env python3
"""Writes small ONNX networks for fuzz_onnx to begin with: make_onnx_seeds.py FOLDER. Between them they use every operator that fovea reads. Needs onnx and numpy.

fuzz_model's recipe.safetensors is one of them after fovea import: fovea import excited.onnx --as model --out recipe.safetensors
"""
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SETTINGS = (
    '{"format":1,"network":"unet","width":1,"convention":"keras","classes":[{"name":"disc","threshold":0.4},{"name":"cup","threshold":0.6}],"preprocess":'
    '{"size":512,"work_size":512,"fit":"stretch","enhance":"none","clahe_clip":2,"clahe_tiles":8,"normalise":"unit"}}'
)


def weights(name, *shape, dtype=np.float32):
    return numpy_helper.from_array(np.resize(np.arange(-3, 4), shape).astype(dtype), name)


def numbers(name, *values, dtype=np.int64):
    return numpy_helper.from_array(np.array(values, dtype), name)


def node(kind, inputs, output, **attributes):
    return helper.make_node(kind, inputs.split() if isinstance(inputs, str) else inputs, [output], name=f"n_{output}", **attributes)


def save(path, nodes, initializers, opset=17, side="side", metadata=()):
    picture = lambda name, channels: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", channels, side, side])
    graph = helper.make_graph(nodes, "seed", [picture("input", 3)], [picture("output", 2)], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    for key, value in metadata:
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.save(model, str(path))


def unet(path):
    halved = dict(kernel_shape=[2, 2], strides=[2, 2])
    nodes = [
        node("Pad", "input pads", "padded"),
        node("Conv", "padded w b", "c", strides=[2, 2]),
        node("BatchNormalization", "c g g g v", "n"),
        node("Clip", "n low high", "r"),
        node("Conv", "r d b", "dw", group=2, auto_pad="SAME_UPPER"),
        node("MaxPool", "dw", "p", **halved),
        node("AveragePool", "p", "q", **halved),
        node("ConvTranspose", "q t b", "u", strides=[2, 2]),
        node("Concat", "u p", "k", axis=1),
        node("Resize", ["k", "", "scales"], "z", mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
        node("Shape", "input", "s"),
        node("Slice", "s two four", "hw"),
        node("Concat", "nc hw", "size", axis=0),
        node("Resize", ["z", "", "", "size"], "f", mode="linear"),
        node("Conv", "f o", "logits"),
        node("Sigmoid", "logits", "output"),
    ]
    save(
        path,
        nodes,
        [weights("w", 2, 3, 3, 3), weights("b", 2), weights("g", 2), numbers("v", 1, 2, dtype=np.float32), weights("d", 2, 1, 5, 5, dtype=np.float16)]
        + [numbers("low", 0, dtype=np.float32), numbers("high", 6, dtype=np.float32), numbers("pads", 0, 0, 0, 0, 0, 0, 1, 1), weights("t", 2, 2, 2, 2)]
        + [numbers("scales", 1, 1, 2, 2, dtype=np.float32), numbers("nc", 1, 4), numbers("two", 2), numbers("four", 4), weights("o", 2, 4, 1, 1)],
    )


def excited(path):
    nodes = [
        node("Sub", "input mean", "a"),
        node("Div", "a sd", "x"),
        node("Mul", "x two", "x2"),
        node("Add", "x2 one", "x3"),
        node("GlobalAveragePool", "x3", "g"),
        node("Flatten", "g", "flat"),
        node("Gemm", "flat m bias", "d", transB=1),
        node("MatMul", "d m", "e"),
        node("Unsqueeze", "e axes", "pixel"),
        node("Sigmoid", "pixel", "gate"),
        node("Mul", "x3 gate", "y"),
        node("Sigmoid", "y", "sy"),
        node("Mul", "y sy", "silu"),
        node("ReduceMean", "silu", "means", axes=[2, 3]),
        node("Squeeze", "means axes", "row"),
        node("Reshape", "row form", "again"),
        node("Mul", "again silu", "w3"),
        node("Add", "w3 x", "sum"),
        node("Relu", "sum", "rel"),
        node("Dropout", "rel", "drop"),
        node("Cast", "drop", "cast", to=TensorProto.FLOAT),
        node("Conv", "cast o", "output"),
    ]
    save(
        path,
        nodes,
        [weights("mean", 3, 1, 1), numbers("sd", 2, dtype=np.float32), numbers("two", 2, dtype=np.float32), numbers("one", 1, dtype=np.float32)]
        + [weights("m", 3, 3), weights("bias", 3), numbers("axes", 2, 3), numbers("form", 0, -1, 1, 1), weights("o", 2, 3, 1, 1)],
        side=32,
    )


def folded(path):
    nodes = [
        node("Constant", [], "ends", value=numbers("", 0, 0, 0, 1)),
        node("Constant", [], "n", value_ints=[4]),
        node("ConstantOfShape", "n", "zeros", value=numbers("", 0)),
        node("Concat", "ends zeros", "all", axis=0),
        node("Reshape", "all pairs", "grid"),
        node("Slice", "grid minus least zero minus", "turned"),
        node("Transpose", "turned", "t", perm=[1, 0]),
        node("Reshape", "t flat", "pads"),
        node("Cast", "pads", "pads64", to=TensorProto.INT64),
        node("Pad", "input pads64", "padded"),
        node("Conv", "padded w", "c"),
        node("Shape", "c", "s", start=2),
        node("Gather", "s zero0", "h"),
        node("Mul", "h two", "h2"),
        node("Div", "h2 two", "h3"),
        node("Unsqueeze", "h3 zero", "h4"),
        node("Concat", "nc h4 h4", "size", axis=0),
        node("Upsample", "c scales", "up", mode="nearest"),
        node("Resize", ["up", "", "", "size"], "output", coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
    ]
    save(
        path,
        nodes,
        [numbers("pairs", -1, 2), numbers("minus", -1), numbers("least", -(2**63) + 1), numbers("zero", 0), numbers("flat", -1), weights("w", 2, 3, 2, 1)]
        + [numpy_helper.from_array(np.array(0), "zero0"), numpy_helper.from_array(np.array(2), "two"), numbers("nc", 1, 2), numbers("scales", 1, 1, 1, 1, dtype=np.float32)],
        opset=13,
        metadata=[("fovea.model", SETTINGS)],
    )


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for make in (unet, excited, folded):
        make(folder / f"{make.__name__}.onnx")


if __name__ == "__main__":
    main()
