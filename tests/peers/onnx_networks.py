#!/usr/bin/env python3
"""Writes networks as their users export them to ONNX into a folder: onnx_networks.py FOLDER [NAME ...]

fovea's networks written in PyTorch (tools/peers/networks.py) and three U-Nets of segmentation_models.pytorch, random weights, by PyTorch's two exporters; ending in _fp16:
made float16 by onnxconverter-common. Needs torch, onnx, onnxscript, onnxconverter-common, segmentation-models-pytorch.
"""
import pathlib
import sys
import warnings

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools" / "peers"))
import networks  # noqa: E402

SMP_ENCODERS = ("mobilenet_v2", "resnet18", "efficientnet-b0")


def smp_unet(encoder):
    import segmentation_models_pytorch as smp

    return smp.Unet(encoder, encoder_weights=None, classes=1)


BUILDERS = {**networks.NETWORKS, **{f"smp_{name}": (lambda name=name: smp_unet(name)) for name in SMP_ENCODERS}}


def settle(net, size):
    """Batch norms get the statistics of a few random batches, so that values neither vanish nor grow on their way through; logits end up around 0, a few wide."""
    torch.manual_seed(1)
    norms = [m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for m in norms:
        m.momentum = None  # the plain mean over the batches
        torch.nn.init.uniform_(m.weight, 0.5, 1.5)
        torch.nn.init.uniform_(m.bias, -0.5, 0.5)
        m.reset_running_stats()
    net.train()
    with torch.no_grad():
        for _ in range(2):
            net(torch.randn(2, 3, size, size))
    return net.eval()


def export(net, path, size, dynamo):
    x = torch.randn(1, 3, size, size)
    names = dict(input_names=["input"], output_names=["output"], opset_version=17)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            torch.onnx.export(net, (x,), path, dynamo=True, external_data=False, dynamic_shapes=({0: torch.export.Dim("batch")},), verbose=False, **names)
        else:
            torch.onnx.export(net, (x,), path, dynamo=False, dynamic_axes={"input": {0: "batch"}, "output": {0: "batch"}}, **names)


def halve(source, target):
    import onnx
    from onnxconverter_common import float16

    onnx.save(float16.convert_float_to_float16(onnx.load(source)), target)


def write(folder, name, size=256):
    """<name>.onnx, _dynamo.onnx, _fp16.onnx"""
    torch.manual_seed(0)
    net = settle(BUILDERS[name](), min(size, 128))
    path = lambda kind: str(pathlib.Path(folder) / f"{name}{kind}.onnx")
    export(net, path(""), size, dynamo=False)
    halve(path(""), path("_fp16"))
    export(net, path("_dynamo"), size, dynamo=True)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    pathlib.Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    for name in sys.argv[2:] or BUILDERS:
        write(sys.argv[1], name)
        print(name, flush=True)


if __name__ == "__main__":
    main()
