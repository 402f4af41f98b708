"""ResNet-12, the standard network of the few-shot literature since 2018."""

from torch import Tensor, nn

from fewshot.backbones.network import Network
from fewshot.backbones.networks.untrained import untrained
from fewshot.backbones.registry import register_backbone


class Block(nn.Module):
    """Three 3x3 convolutions beside a 1x1 one, leaky ReLU, 2x2 max pooling: (B, inputs, H, W) to half the side."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.shortcut = nn.Sequential(nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width))
        self.activation, self.pool = nn.LeakyReLU(0.1), nn.MaxPool2d(2)

    def forward(self, images: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, width, H // 2, W // 2)."""
        hidden = self.activation(self.bn1(self.conv1(images)))
        hidden = self.activation(self.bn2(self.conv2(hidden)))
        hidden = self.bn3(self.conv3(hidden))
        return self.pool(self.activation(hidden + self.shortcut(images)))


class ResNet12(nn.Module):
    """Four blocks of 64, 160, 320 and 640 channels, then the mean over positions: 640 features."""

    def __init__(self) -> None:
        super().__init__()
        self.layer1, self.layer2 = Block(3, 64), Block(64, 160)
        self.layer3, self.layer4 = Block(160, 320), Block(320, 640)
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="leaky_relu")

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) to features (B, 640)."""
        return self.layer4(self.layer3(self.layer2(self.layer1(images)))).mean((2, 3))


@register_backbone("fewshot:resnet12")
def resnet12(pretrained: bool) -> Network:
    """ResNet-12 as in MetaOptNet (Lee et al. 2019), without DropBlock, which acts in training only."""
    return untrained("fewshot:resnet12", ResNet12(), pretrained)
