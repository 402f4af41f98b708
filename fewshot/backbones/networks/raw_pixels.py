"""The pixels themselves, a floor that any learned features must beat."""

from torch import nn

from fewshot.backbones.network import Network, Preprocessing
from fewshot.backbones.registry import register_backbone
from fewshot.errors import MissingPackage


@register_backbone("fewshot:raw-pixels")
def raw_pixels(pretrained: bool) -> Network:
    """The image squeezed to 32x32 and laid out as 3072 numbers in [0, 1]; it has no weights."""
    try:
        from torchvision import transforms
    except ImportError:
        raise MissingPackage("torchvision", "the preprocessing of fewshot:raw-pixels") from None
    steps = transforms.Compose([transforms.Resize((32, 32)), transforms.ToTensor()])
    settings = {"resize": [32, 32], "interpolation": "bilinear"}
    return Network(nn.Flatten(), Preprocessing(steps, 32, settings), "none")
