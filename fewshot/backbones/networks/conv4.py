"""Conv-4, the small network of the first few-shot papers, and its wider sibling Conv-4-512."""

from collections.abc import Sequence

from torch import nn

from fewshot.backbones.network import Network
from fewshot.backbones.networks.untrained import drawings, square_images, untrained
from fewshot.backbones.registry import register_backbone


class Conv4(nn.Sequential):
    """Blocks of 3x3 convolution, batch norm, 2x2 max pooling and ReLU, then all positions side by side.

    Images of 84 pixels give 25 positions, those of 32 pixels four, those of 28 pixels one: 1600, 256
    and 64 features with 64 channels.
    """

    def __init__(self, channels: Sequence[int] = (64, 64, 64, 64), image_channels: int = 3) -> None:
        inputs = (image_channels, *channels)
        blocks = {
            f"block{i + 1}": nn.Sequential(
                # ReLU after pooling gives the same numbers as before it, on a quarter of the positions
                nn.Conv2d(inputs[i], width, 3, padding=1),
                nn.BatchNorm2d(width),
                nn.MaxPool2d(2),
                nn.ReLU(),
            )
            for i, width in enumerate(channels)
        }
        super().__init__()
        for name, block in blocks.items():
            self.add_module(name, block)
        self.add_module("flatten", nn.Flatten())


class StridedConv4(nn.Sequential):
    """Four blocks of 3x3 convolution in steps of two, batch norm and ReLU, then the mean over positions: 64 features.

    A quarter of the work of `Conv4`, since no position is computed that pooling would drop. With `mean=False` the
    positions stay side by side: four of them, 256 features, at 28 pixels.
    """

    def __init__(self, width: int = 64, image_channels: int = 1, mean: bool = True) -> None:
        super().__init__()
        for i in range(4):
            inputs = width if i else image_channels
            block = [nn.Conv2d(inputs, width, 3, stride=2, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
            self.add_module(f"block{i + 1}", nn.Sequential(*block))
        if mean:
            self.add_module("pool", nn.AdaptiveAvgPool2d(1))
        self.add_module("flatten", nn.Flatten())


@register_backbone("fewshot:conv4")
def conv4(pretrained: bool) -> Network:
    """Four blocks of 64 channels at 84 pixels (Vinyals et al. 2016; Snell et al. 2017)."""
    return untrained("fewshot:conv4", Conv4(), pretrained)


@register_backbone("fewshot:conv4-28")
def conv4_28(pretrained: bool) -> Network:
    """The same at 28 pixels, as used for Omniglot: 64 features."""
    return untrained("fewshot:conv4-28", Conv4(), pretrained, square_images(28, enlarge=1.0))


@register_backbone("fewshot:conv4-32")
def conv4_32(pretrained: bool) -> Network:
    """The same at 32 pixels, as used for CIFAR-FS (Bertinetto et al. 2019): 256 features."""
    return untrained("fewshot:conv4-32", Conv4(), pretrained, square_images(32, enlarge=1.0))


@register_backbone("fewshot:conv4-omniglot")
def conv4_omniglot(pretrained: bool) -> Network:
    """The same on drawings of 28 pixels in one channel, 1 for ink and 0 for paper: 64 features."""
    return untrained("fewshot:conv4-omniglot", Conv4(image_channels=1), pretrained, drawings(28))


@register_backbone("fewshot:conv4-strided-omniglot")
def conv4_strided_omniglot(pretrained: bool) -> Network:
    """For the same drawings, with strides in place of pooling, as MAML has it (Finn et al. 2017, sec. 5.2)."""
    return untrained("fewshot:conv4-strided-omniglot", StridedConv4(), pretrained, drawings(28))


@register_backbone("fewshot:conv4-strided-256-omniglot")
def conv4_strided_256_omniglot(pretrained: bool) -> Network:
    """The same without the mean over positions, as Reptile has it (Nichol et al. 2018): 256 features."""
    name = "fewshot:conv4-strided-256-omniglot"
    return untrained(name, StridedConv4(mean=False), pretrained, drawings(28))


@register_backbone("fewshot:conv4-512")
def conv4_512(pretrained: bool) -> Network:
    """Four blocks of 96, 128, 256 and 512 channels (Gidaris et al. 2019, Boosting few-shot visual learning, sec. 4)."""
    return untrained("fewshot:conv4-512", Conv4((96, 128, 256, 512)), pretrained)
