"""ResUNet Deeper, the PyTorch vessel system that fovea's resunet replaces, with the names that its state_dict has."""
import torch
import torch.nn.functional as F
from torch import nn


class ResidualBlock(nn.Module):
    def __init__(self, channels, filters):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, filters, 3, padding=1, bias=False), nn.BatchNorm2d(filters)
        self.conv2, self.bn2 = nn.Conv2d(filters, filters, 3, padding=1, bias=False), nn.BatchNorm2d(filters)
        self.shortcut = nn.Sequential()
        if channels != filters:
            self.shortcut = nn.Sequential(nn.Conv2d(channels, filters, 1, bias=False), nn.BatchNorm2d(filters))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResUNetDeeper(nn.Module):
    def __init__(self, base=64, classes=1):
        super().__init__()
        self.input_layer = nn.Sequential(nn.Conv2d(3, base, 7, padding=3, bias=False), nn.BatchNorm2d(base), nn.ReLU(inplace=True))
        channels = base
        for level in range(1, 5):
            filters = base << level - 1
            self.add_module(f"encoder{level}_1", ResidualBlock(channels, filters))
            self.add_module(f"encoder{level}_2", ResidualBlock(filters, filters))
            channels = filters
        self.bridge = nn.Sequential(ResidualBlock(channels, 2 * channels), ResidualBlock(2 * channels, 2 * channels), nn.Dropout2d(0.2))
        for level in range(4, 0, -1):
            filters = base << level - 1
            self.add_module(f"upconv{level}", nn.ConvTranspose2d(2 * filters, filters, 2, 2))
            self.add_module(f"decoder{level}_1", ResidualBlock(2 * filters, filters))
            self.add_module(f"decoder{level}_2", ResidualBlock(filters, filters))
        self.output = nn.Conv2d(base, classes, 1)

    def forward(self, x):
        x, skips = self.input_layer(x), []
        for level in range(1, 5):
            x = getattr(self, f"encoder{level}_2")(getattr(self, f"encoder{level}_1")(x))
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = self.bridge(x)
        for level in range(4, 0, -1):
            x = torch.cat([getattr(self, f"upconv{level}")(x), skips.pop()], 1)
            x = getattr(self, f"decoder{level}_2")(getattr(self, f"decoder{level}_1")(x))
        return self.output(x)
