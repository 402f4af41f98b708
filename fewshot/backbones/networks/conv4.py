"""Conv-4, the small network of the first few-shot papers, and its wider sibling Conv-4-512."""

from collections.abc import Sequence

from torch import nn

from fewshot.backbones.network import Network
from fewshot.backbones.networks.untrained import untrained
from fewshot.backbones.registry import register_backbone


class Conv4(nn.Sequential):
    """Blocks of 3x3 convolution, batch norm, ReLU and 2x2 max pooling, then all positions side by side.

    Images of 84 pixels give 25 positions, those of 28 pixels one: 1600 and 64 features with 64 channels.
    """

    def __init__(self, channels: Sequence[int] = (64, 64, 64, 64)) -> None:
        inputs = (3, *channels)
        blocks = {
            f"block{i + 1}": nn.Sequential(
                nn.Conv2d(inputs[i], width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2)
            )
            for i, width in enumerate(channels)
        }
        super().__init__()
        for name, block in blocks.items():
            self.add_module(name, block)
        self.add_module("flatten", nn.Flatten())


@register_backbone("fewshot:conv4")
def conv4(pretrained: bool) -> Network:
    """Four blocks of 64 channels at 84 pixels (Vinyals et al. 2016; Snell et al. 2017)."""
    return untrained("fewshot:conv4", Conv4(), pretrained)


@register_backbone("fewshot:conv4-28")
def conv4_28(pretrained: bool) -> Network:
    """The same at 28 pixels, as used for Omniglot: 64 features."""
    return untrained("fewshot:conv4-28", Conv4(), pretrained, image_size=28, enlarge=1.0)


@register_backbone("fewshot:conv4-512")
def conv4_512(pretrained: bool) -> Network:
    """Four blocks of 96, 128, 256 and 512 channels (Gidaris et al. 2019, Boosting few-shot visual learning, sec. 4)."""
    return untrained("fewshot:conv4-512", Conv4((96, 128, 256, 512)), pretrained)
