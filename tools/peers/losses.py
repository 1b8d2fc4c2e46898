"""fovea's segmentation loss written a second time, in PyTorch (NCHW)."""
from dataclasses import dataclass

import torch
import torch.nn.functional as F


@dataclass
class Loss:
    """Weights of the parts, as [loss] of an INI has them: binary cross entropy, 1 - Dice, focal loss (Lin et al. 2017)."""

    bce: float = 1.0
    dice: float = 1.0
    focal: float = 0.0
    smooth: float = 1.0  # Dice: added to numerator and denominator
    dice_over_batch: bool = False  # instead of the mean over samples
    focal_alpha: float = 0.25  # of both classes alike
    focal_gamma: float = 2.0
    auxiliary: float = 1.0  # of the same loss on a network's auxiliary logits

    def of_logits(self, logits, target):
        p = torch.sigmoid(logits)
        over = (0, 2, 3) if self.dice_over_batch else (2, 3)
        dice = (2 * (p * target).sum(over) + self.smooth) / (p.sum(over) + target.sum(over) + self.smooth)
        loss = self.bce * F.binary_cross_entropy_with_logits(logits, target) + self.dice * (1 - dice).mean()
        if self.focal == 0:
            return loss
        entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        return loss + self.focal * (self.focal_alpha * (1 - torch.exp(-entropy)) ** self.focal_gamma * entropy).mean()

    def __call__(self, outputs, target):
        """`outputs`: logits, or in training wnet's (logits, auxiliary logits)."""
        if not isinstance(outputs, tuple):
            return self.of_logits(outputs, target)
        return self.of_logits(outputs[0], target) + self.auxiliary * self.of_logits(outputs[1], target)
