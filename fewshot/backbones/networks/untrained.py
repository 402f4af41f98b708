"""What the networks of the few-shot literature have in common: their way to prepare an image, and no weights."""

from types import ModuleType

from PIL import Image
from torch import nn

from fewshot.backbones.network import Network, Preprocessing
from fewshot.errors import MissingPackage, MissingWeights

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def untrained(name: str, module: nn.Module, pretrained: bool, preprocess: Preprocessing | None = None) -> Network:
    """The network with random weights, by default for `square_images(84)`.

    Raises `MissingWeights` if pretrained ones are asked for.
    """
    if pretrained:
        raise MissingWeights(
            f"{name} has no pretrained weights; pass weights=PATH, or pretrained=False for random ones"
        )
    return Network(module.eval(), preprocess or square_images(84), "random", unused=("fc.", "classifier."))


def square_images(image_size: int, enlarge: float = 1.15) -> Preprocessing:
    """Resize the shorter side to `enlarge` times `image_size`, crop the centre, normalise by ImageNet's mean and std.

    Source: Chen et al. 2019, A closer look at few-shot classification (84 pixels from 96).
    """
    transforms = _transforms()
    resize = int(enlarge * image_size)
    steps = [
        transforms.Resize(resize, Image.Resampling.BILINEAR),
        transforms.CenterCrop(image_size),
        transforms.ToTensor(),
        transforms.Normalize(_MEAN, _STD),
    ]
    settings = {
        "resize": resize,
        "crop": image_size,
        "interpolation": "bilinear",
        "mean": list(_MEAN),
        "std": list(_STD),
    }
    return Preprocessing(transforms.Compose(steps), image_size, settings)


def drawings(image_size: int) -> Preprocessing:
    """Shrink a drawing to a square of one channel, in which black is 1 and white is 0 (Snell et al. 2017, sec. 3.1)."""
    transforms = _transforms()
    steps = [
        transforms.Grayscale(),
        transforms.Resize((image_size, image_size), Image.Resampling.BILINEAR),
        transforms.ToTensor(),
        transforms.Normalize([1.0], [-1.0]),
    ]
    settings = {"grey": True, "resize": image_size, "interpolation": "bilinear", "mean": [1.0], "std": [-1.0]}
    return Preprocessing(transforms.Compose(steps), image_size, settings, channels=1)


def _transforms() -> ModuleType:
    try:
        from torchvision import transforms
    except ImportError:
        raise MissingPackage("torchvision", "the preprocessing of the fewshot: backbones") from None
    return transforms
