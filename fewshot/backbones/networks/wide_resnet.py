"""WRN-28-10, the largest of the usual few-shot networks (Zagoruyko and Komodakis 2016)."""

from torch import Tensor, nn
from torch.nn.functional import relu

from fewshot.backbones.network import Network
from fewshot.backbones.networks.untrained import untrained
from fewshot.backbones.registry import register_backbone


class Block(nn.Module):
    """Batch norm, ReLU and 3x3 convolution, twice, beside a shortcut."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False)
        self.bn2, self.conv2 = nn.BatchNorm2d(width), nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.shortcut = nn.Conv2d(inputs, width, 1, stride, bias=False) if inputs != width or stride > 1 else None

    def forward(self, images: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, width, H / stride, W / stride)."""
        hidden = relu(self.bn1(images))
        rest = self.shortcut(hidden) if self.shortcut else images
        return rest + self.conv2(relu(self.bn2(self.conv1(hidden))))


class WideResNet(nn.Module):
    """Three groups of blocks of 16, 32 and 64 times `widen` channels, then the mean over positions."""

    def __init__(self, depth: int = 28, widen: int = 10) -> None:
        super().__init__()
        repeats, width = (depth - 4) // 6, 16 * widen
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.group1 = _group(16, width, repeats, stride=1)
        self.group2 = _group(width, 2 * width, repeats, stride=2)
        self.group3 = _group(2 * width, 4 * width, repeats, stride=2)
        self.bn = nn.BatchNorm2d(4 * width)
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) to features (B, 64 * widen)."""
        maps = self.group3(self.group2(self.group1(self.conv1(images))))
        return relu(self.bn(maps)).mean((2, 3))


def _group(inputs: int, width: int, repeats: int, stride: int) -> nn.Sequential:
    rest = (Block(width, width, stride=1) for _ in range(repeats - 1))
    return nn.Sequential(Block(inputs, width, stride), *rest)


@register_backbone("fewshot:wrn-28-10")
def wrn_28_10(pretrained: bool) -> Network:
    """WRN-28-10 as in LEO (Rusu et al. 2019) and S2M2 (Mangla et al. 2020): 640 features, at 84 pixels."""
    return untrained("fewshot:wrn-28-10", WideResNet(), pretrained)
