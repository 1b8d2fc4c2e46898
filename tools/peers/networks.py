"""fovea's networks written a second time, in PyTorch (NCHW): what its speed and its figures are compared with.

Modules carry the names of fovea's layers, so that every parameter can be found on the other side: see parameters().
"""
import torch
import torch.nn.functional as F
from torch import nn

EPSILON = 1e-3  # of all batch norms but those of the separable decoder, as Keras has it
DECODER_FILTERS = (256, 128, 64, 32)
SKIP_BLOCKS = (13, 6, 3, 1)


class ConvNorm(nn.Module):
    """Convolution without bias, batch norm, activation. Stride 2 pads the bottom and the right only, as TensorFlow does on even sizes."""

    def __init__(self, channels, filters, kernel=3, stride=1, groups=1, activation=nn.ReLU):
        super().__init__()
        self.stride = stride
        padding = kernel // 2 if stride == 1 else 0
        self.conv = nn.Conv2d(channels, filters, kernel, stride, padding, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(filters, eps=EPSILON)
        self.act = activation(inplace=True) if activation else nn.Identity()

    def forward(self, x):
        if self.stride == 2:
            x = F.pad(x, (0, 1, 0, 1))
        return self.act(self.norm(self.conv(x)))


class ConvGroupNorm(nn.Module):
    """3x3 convolution without bias, group norm in 8 groups, ReLU."""

    def __init__(self, channels, filters):
        super().__init__()
        self.conv = nn.Conv2d(channels, filters, 3, padding=1, bias=False)
        self.norm = nn.GroupNorm(8, filters)

    def forward(self, x):
        return F.relu(self.norm(self.conv(x)))


class InvertedResidual(nn.Module):
    def __init__(self, channels, filters, stride, expansion):
        super().__init__()
        wide = channels * expansion
        self.adds = stride == 1 and channels == filters
        if expansion > 1:
            self.expand = ConvNorm(channels, wide, 1, activation=nn.ReLU6)
        self.dw = ConvNorm(wide, wide, 3, stride, wide, nn.ReLU6)
        self.project = ConvNorm(wide, filters, 1, activation=None)

    def forward(self, x):
        expanded = self.expand(x) if hasattr(self, "expand") else x
        y = self.project(self.dw(expanded))
        return (x + y if self.adds else y), expanded


class MobileNetV2(nn.Module):
    """Width 1, Keras convention. Returns the head and the expand activations of SKIP_BLOCKS."""

    STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))

    def __init__(self):
        super().__init__()
        self.stem = ConvNorm(3, 32, 3, 2, activation=nn.ReLU6)
        channels, self.count = 32, 0
        for expansion, filters, blocks, stride in self.STAGES:
            for j in range(blocks):
                self.add_module(f"b{self.count}", InvertedResidual(channels, filters, stride if j == 0 else 1, expansion))
                channels, self.count = filters, self.count + 1
        self.head = ConvNorm(320, 1280, 1, activation=nn.ReLU6)

    def forward(self, x):
        x, expanded = self.stem(x), []
        for i in range(self.count):
            x, e = getattr(self, f"b{i}")(x)
            expanded.append(e)
        return self.head(x), [expanded[i] for i in SKIP_BLOCKS]


class Separable(nn.Module):
    def __init__(self, channels, filters):
        super().__init__()
        self.dw = nn.Conv2d(channels, channels, 3, 1, 1, groups=channels, bias=False)
        self.pw = nn.Conv2d(channels, filters, 1, bias=False)
        self.bn = nn.BatchNorm2d(filters)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.act(self.bn(self.pw(self.dw(x))))


def doubled(x):
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


class SeparableLevel(nn.Module):
    def __init__(self, channels, skip, filters):
        super().__init__()
        self.a, self.b = Separable(channels + skip, filters), Separable(filters, filters)

    def forward(self, x, skip):
        return self.b(self.a(torch.cat([doubled(x), skip], 1)))


class SeparableDecoder(nn.Module):
    def __init__(self, channels=1280, skips=(576, 192, 144, 96)):
        super().__init__()
        for i, (filters, skip) in enumerate(zip(DECODER_FILTERS, skips)):
            self.add_module(f"level{i}", SeparableLevel(channels, skip, filters))
            channels = filters
        self.last = Separable(channels, 16)

    def forward(self, x, skips):
        for i, skip in enumerate(skips):
            x = getattr(self, f"level{i}")(x, skip)
        return self.last(doubled(x))


class SqueezeExcite(nn.Module):
    def __init__(self, channels, ratio=8):
        super().__init__()
        self.reduce = nn.Conv2d(channels, channels // ratio, 1)
        self.restore = nn.Conv2d(channels // ratio, channels, 1)

    def forward(self, x):
        gate = F.relu(self.reduce(F.adaptive_avg_pool2d(x, 1)))
        return x * torch.sigmoid(self.restore(gate))


def transposed3(channels, filters):
    return nn.ConvTranspose2d(channels, filters, 3, 2, 1, output_padding=1)


class SqueezeExciteLevel(nn.Module):
    def __init__(self, channels, skip, filters):
        super().__init__()
        self.up = transposed3(channels, filters)
        self.a, self.se, self.b = ConvNorm(filters + skip, filters), SqueezeExcite(filters), ConvNorm(filters, filters)

    def forward(self, x, skip):
        return self.b(self.se(self.a(torch.cat([self.up(x), skip], 1))))


class Pair(nn.Module):
    def __init__(self, a, b):
        super().__init__()
        self.a, self.b = a, b

    def forward(self, x):
        return self.b(self.a(x))


class SqueezeExciteDecoder(nn.Module):
    def __init__(self, channels=1280, skips=(576, 192, 144, 96)):
        super().__init__()
        for i, (filters, skip) in enumerate(zip(DECODER_FILTERS, skips)):
            self.add_module(f"level{i}", SqueezeExciteLevel(channels, skip, filters))
            channels = filters
        self.up = transposed3(channels, 32)
        self.last = Pair(ConvNorm(32, 32), ConvNorm(32, 16))

    def forward(self, x, skips):
        for i, skip in enumerate(skips):
            x = getattr(self, f"level{i}")(x, skip)
        return self.last(self.up(x))


class EncoderDecoder(nn.Module):
    def __init__(self, decoder, classes):
        super().__init__()
        self.encoder, self.decoder, self.out = MobileNetV2(), decoder, nn.Conv2d(16, classes, 1)

    def forward(self, x):
        return self.out(self.decoder(*self.encoder(x)))


class Residual(nn.Module):
    def __init__(self, channels, filters):
        super().__init__()
        self.a = nn.Conv2d(channels, filters, 3, 1, 1, bias=False)
        self.a_bn = nn.BatchNorm2d(filters, eps=EPSILON)
        self.b = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.b_bn = nn.BatchNorm2d(filters, eps=EPSILON)
        if channels != filters:
            self.shortcut = nn.Conv2d(channels, filters, 1, bias=False)
            self.shortcut_bn = nn.BatchNorm2d(filters, eps=EPSILON)

    def forward(self, x):
        y = self.b_bn(self.b(F.relu(self.a_bn(self.a(x)), inplace=True)))
        return F.relu(y + (self.shortcut_bn(self.shortcut(x)) if hasattr(self, "shortcut") else x))


class Up(nn.Module):
    def __init__(self, channels, filters, block):
        super().__init__()
        self.up = nn.ConvTranspose2d(channels, filters, 2, 2)
        self.a, self.b = block(2 * filters, filters), block(filters, filters)

    def forward(self, x, skip):
        return self.b(self.a(torch.cat([self.up(x), skip], 1)))


class UNet(nn.Module):
    """`depth` times down and up, two blocks a level. `stem` and `bridge` are ResUNet's; the plain U-Net's bridge is one more level."""

    def __init__(self, base, classes, block, stem=None, dropout=0.0, depth=4):
        super().__init__()
        self.stem, self.depth = stem or nn.Identity(), depth
        channels = base if stem else 3
        for i in range(depth):
            self.add_module(f"down{i}", Pair(block(channels, base << i), block(base << i, base << i)))
            channels = base << i
        deepest = base << depth
        self.bridge = Pair(block(channels, deepest), block(deepest, deepest))
        self.dropout = nn.Dropout2d(dropout) if dropout else nn.Identity()
        for i in range(depth):
            self.add_module(f"up{i}", Up(deepest >> i, deepest >> i + 1, block))
        self.out = nn.Conv2d(base, classes, 1)

    def forward(self, x):
        x, skips = self.stem(x), []
        for i in range(self.depth):
            skips.append(getattr(self, f"down{i}")(x))
            x = F.max_pool2d(skips[-1], 2)
        x = self.dropout(self.bridge(x))
        for i in range(self.depth):
            x = getattr(self, f"up{i}")(x, skips[-1 - i])
        return self.out(x)


class SmallLevel(nn.Module):
    """A residual block; on the way up behind the transposed convolution and the concatenation of the skip, which has a convolution of its own."""

    def __init__(self, channels, filters, up=False):
        super().__init__()
        if up:
            self.up, self.skip = nn.ConvTranspose2d(channels, filters, 2, 2), ConvNorm(filters, filters)
            channels = 2 * filters
        self.a = Residual(channels, filters)

    def forward(self, x, skip=None):
        return self.a(x if skip is None else torch.cat([self.up(x), self.skip(skip)], 1))


class SmallUNet(nn.Module):
    """Twice down and up, one residual block a level."""

    def __init__(self, channels, base, classes):
        super().__init__()
        self.down0, self.down1, self.bridge = SmallLevel(channels, base), SmallLevel(base, 2 * base), SmallLevel(2 * base, 4 * base)
        self.up0, self.up1 = SmallLevel(4 * base, 2 * base, True), SmallLevel(2 * base, base, True)
        self.out = nn.Conv2d(base, classes, 1)

    def forward(self, x):
        full = self.down0(x)
        half = self.down1(F.max_pool2d(full, 2))
        return self.out(self.up1(self.up0(self.bridge(F.max_pool2d(half, 2)), half), full))


class WNet(nn.Module):
    """Two small U-Nets (Galdran et al. 2022), the second on the input and the first one's logits. In training it gives (logits, the first one's)."""

    def __init__(self, base, classes):
        super().__init__()
        self.first, self.second = SmallUNet(3, base, classes), SmallUNet(3 + classes, base, classes)

    def forward(self, x):
        first = self.first(x)
        logits = self.second(torch.cat([x, first], 1))
        return (logits, first) if self.training else logits


def mobilenetv2_unet(classes=2):
    return EncoderDecoder(SeparableDecoder(), classes)


def mobilenetv2_se_unet(classes=1):
    return EncoderDecoder(SqueezeExciteDecoder(), classes)


def unet(classes=1, base=32, depth=4, norm="batch"):
    return UNet(base, classes, ConvNorm if norm == "batch" else ConvGroupNorm, depth=depth)


def resunet(classes=1, base=64):
    return UNet(base, classes, Residual, ConvNorm(3, base, 7), 0.2)


def wnet(classes=1, base=8):
    return WNet(base, classes)


NETWORKS = {
    "mobilenetv2_unet": mobilenetv2_unet,
    "mobilenetv2_se_unet": mobilenetv2_se_unet,
    "unet": unet,
    "resunet": resunet,
    "resunet32": lambda classes=1: resunet(classes, 32),
    "resunet16": lambda classes=1: resunet(classes, 16),
    "wnet": wnet,
}


def parameters(net):
    """Yields (name in fovea, tensor, module) of every parameter and running statistic."""
    for path, module in net.named_modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            layer = path.removesuffix(".conv")
            yield f"{layer}.weight", module.weight, module
            if module.bias is not None:
                yield f"{layer}.bias", module.bias, module
        elif isinstance(module, (nn.BatchNorm2d, nn.GroupNorm)):
            layer = path.removesuffix(".norm")
            yield f"{layer}.gamma", module.weight, module
            yield f"{layer}.beta", module.bias, module
            if isinstance(module, nn.GroupNorm):
                continue
            yield f"{layer}.mean", module.running_mean, module
            yield f"{layer}.var", module.running_var, module


def from_fovea(values, tensor, module):
    """Flat values in fovea's layout, in the shape of PyTorch's tensor."""
    if tensor.dim() != 4:
        return values.reshape(tensor.shape)
    a, b, kh, kw = tensor.shape
    if isinstance(module, nn.ConvTranspose2d):  # IOHW
        return values.reshape(kh, kw, a, b).permute(2, 3, 0, 1)
    return values.reshape(kh, kw, b, a).permute(3, 2, 0, 1)  # OIHW


def main():
    for name, make in NETWORKS.items():
        net = make()
        trainable = sum(p.numel() for p in net.parameters())
        print(f"{name}: {trainable} trainable, {sum(t.numel() for _, t, _ in parameters(net)) - trainable} running statistics")


if __name__ == "__main__":
    main()
