#!/usr/bin/env python3
"""PyTorch's files against fovea import: features of encoders and logits of whole networks on a photograph, as rows of a table.

  import_torch.py BUILD WORK PHOTO [--weights FOLDER] [--lists FILE.py] [--quick]

BUILD: fovea's build folder; WORK: an empty folder; FOLDER: that of the ImageNet weights; FILE.py: networks whose levels are in lists (down, ups,
levels), by a dict NETS; --quick: one encoder and one network."""
import argparse
import importlib.util
import os
import sys

import numpy as np
import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path += [HERE, os.path.join(HERE, "..", "..", "tools", "peers")]
import networks  # noqa: E402
from import_common import Checker  # noqa: E402
from resunet_deeper import ResUNetDeeper  # noqa: E402


def randomise(net, seed=1):
    """Batch norms as a training leaves them: with statistics far from 0 and 1, but tame enough for fifty layers."""
    torch.manual_seed(seed)
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.weight.data.uniform_(0.8, 1.2), m.bias.data.uniform_(-0.3, 0.3)
            m.running_mean.uniform_(-0.2, 0.2), m.running_var.uniform_(0.3, 1.5)
    return net.eval()


def photograph(path, size):
    return np.asarray(Image.open(path).convert("RGB").resize((size, size), Image.BILINEAR), np.float32)


def imagenet(photo):
    return (photo / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)


def nchw(image):
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)[None]).astype(np.float32))


def nhwc(tensor):
    return tensor[0].permute(1, 2, 0).numpy()


def torchvision_features(net, image):
    """Expand activations of blocks 1, 3, 6, 13 and the head's."""
    kept, hooks = {}, []
    for i in (2, 4, 7, 14):
        hooks.append(net.features[i].conv[0].register_forward_hook(lambda m, x, y, i=i: kept.__setitem__(i, y.clone())))
    with torch.no_grad():
        head = net.features(nchw(image))
    for hook in hooks:
        hook.remove()
    return [nhwc(kept[i]) for i in (2, 4, 7, 14)] + [nhwc(head)]


def logits_of(net, image):
    with torch.no_grad():
        return nhwc(net(nchw(image)))


def encoders(check, image, weights, quick):
    net = randomise(torchvision.models.mobilenet_v2(weights=None))
    state, features = net.state_dict(), torchvision_features(net, image)

    def compare(what, file, theirs=features, width=1):
        check.encoder(what, check.path(file), width, "torchvision", image, theirs)

    torch.save(state, check.path("state_dict.pth"))
    compare("torchvision state_dict", "state_dict.pth")
    if quick:
        return
    wrapped = {"epoch": 3, "best": 0.5, "optimizer": {"lr": 1e-3, "betas": (0.9, 0.999), "groups": [1, 2]}, "model_state_dict": {f"module.{k}": v for k, v in state.items()}}
    torch.save(wrapped, check.path("checkpoint.pth"))
    compare("checkpoint of a DataParallel model", "checkpoint.pth")
    last = net.to(memory_format=torch.channels_last)
    torch.save(last.state_dict(), check.path("channels_last.pth"))
    compare("channels_last: strided tensors", "channels_last.pth")
    save_file({k: v.contiguous() for k, v in state.items()}, check.path("weights.safetensors"))
    compare("safetensors", "weights.safetensors")
    np.savez(check.path("weights.npz"), **{k: v.numpy() for k, v in state.items()})
    compare("npz with torchvision's names", "weights.npz")
    for dtype, name in ((torch.float16, "half"), (torch.bfloat16, "bfloat16")):
        rounded = {k: v.to(dtype) if v.is_floating_point() else v for k, v in state.items()}
        net.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in rounded.items()})
        theirs = torchvision_features(net, image)
        torch.save(rounded, check.path(f"{name}.pth"))
        compare(f"state_dict in {name}", f"{name}.pth", theirs)
        save_file({k: v.contiguous() for k, v in rounded.items()}, check.path(f"{name}.safetensors"))
        compare(f"safetensors in {name}", f"{name}.safetensors", theirs)
    half = randomise(torchvision.models.mobilenet_v2(weights=None, width_mult=0.5), 2)
    torch.save({f"backbone.{k}": v for k, v in half.state_dict().items()}, check.path("prefixed.pth"))
    compare("width 0.5, prefix backbone.", "prefixed.pth", torchvision_features(half, image), 0.5)
    real = os.path.join(weights or "", "mobilenetv2_1.0_torchvision.safetensors")
    if os.path.exists(real):
        net = with_own_weights(torchvision.models.mobilenet_v2(weights=None), load_file(real))
        torch.save(net.state_dict(), check.path("imagenet.pth"))
        compare("ImageNet weights as torchvision state_dict", "imagenet.pth", torchvision_features(net, image))
        check.encoder("the same in fovea's form", real, 1, "torchvision", image, torchvision_features(net, image))


def with_own_weights(net, own):
    """torchvision's network with the weights of fovea's file: layers of both follow each other."""
    names = ["stem", "b0.dw", "b0.project"] + [f"b{i}.{p}" for i in range(1, 17) for p in ("expand", "dw", "project")] + ["head"]
    layers = [m for m in net.features.modules() if isinstance(m, (nn.Conv2d, nn.BatchNorm2d))]
    with torch.no_grad():
        for name, conv, norm in zip(names, layers[0::2], layers[1::2]):
            conv.weight.copy_(own[f"{name}.weight"])
            for ours, theirs in (("gamma", "weight"), ("beta", "bias"), ("mean", "running_mean"), ("var", "running_var")):
                getattr(norm, theirs).copy_(own[f"{name}.{ours}"])
    return net.eval()


def models(check, photo, lists, quick):
    signed, image = photo / 127.5 - 1, imagenet(photo)
    for base in (8,) if quick else (8, 64):
        net = randomise(ResUNetDeeper(base))
        torch.save({"model": net.state_dict()}, check.path(f"deeper{base}.pth"))
        check.model(f"ResUNet Deeper, base {base}", check.path(f"deeper{base}.pth"), "resunet", image, logits_of(net, image))
    if quick:
        return
    net = randomise(ResUNetDeeper(16))
    save_file(net.state_dict(), check.path("deeper16.safetensors"))
    check.model("ResUNet Deeper as safetensors", check.path("deeper16.safetensors"), "resunet", image, logits_of(net, image))
    for name in ("mobilenetv2_unet", "mobilenetv2_se_unet", "unet", "wnet", "resunet16"):
        net = randomise(networks.NETWORKS[name]())
        torch.save(net.state_dict(), check.path(f"{name}.pth"))
        save_file(net.state_dict(), check.path(f"{name}.safetensors"))
        for ending in ("pth", "safetensors"):
            check.model(f"tools/peers/networks.py: {name}", check.path(f"{name}.{ending}"), name.rstrip("16"), signed, logits_of(net, signed))
    net = randomise(networks.unet(1, 16, 3, "group"))
    torch.save(net.state_dict(), check.path("group.pth"))
    check.model("the same with group norm, depth 3", check.path("group.pth"), "unet", signed, logits_of(net, signed), "--set", "model.norm=group", "--set", "model.depth=3")
    if lists:
        spec = importlib.util.spec_from_file_location("lists", lists)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for name in ("mobilenetv2_unet", "mobilenetv2_se_unet", "unet", "resunet16"):
            net = randomise(module.NETS[name]())
            torch.save(net.state_dict(), check.path(f"lists_{name}.pth"))
            check.model(f"levels in lists: {name}", check.path(f"lists_{name}.pth"), name.rstrip("16"), signed, logits_of(net, signed))


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("build"), a.add_argument("work"), a.add_argument("photo")
    a.add_argument("--weights"), a.add_argument("--lists"), a.add_argument("--quick", action="store_true")
    a = a.parse_args()
    torch.set_num_threads(1)
    check, photo = Checker(a.build, a.work), photograph(a.photo, 256)
    print(f"\n## PyTorch {torch.__version__}, torchvision {torchvision.__version__}\n\n| what | file | found by fovea | largest relative difference | within 1e-3 |\n|---|---|---|---|---|")
    encoders(check, imagenet(photo), a.weights, a.quick)
    models(check, photo, a.lists, a.quick)
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
