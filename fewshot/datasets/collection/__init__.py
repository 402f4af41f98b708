"""The data sets themselves, one file each; importing this registers them."""

from fewshot.datasets.collection import (
    caltech101,
    cifar100,
    digits,
    glyphs,
    grocery_store,
    imagenet,
    imagenet_shifts,
    mnist_usps,
    omniglot,
    openmoji,
    small,
    torchvision_sets,
    ucf101,
)

__all__ = [
    "caltech101",
    "cifar100",
    "digits",
    "glyphs",
    "grocery_store",
    "imagenet",
    "imagenet_shifts",
    "mnist_usps",
    "omniglot",
    "openmoji",
    "small",
    "torchvision_sets",
    "ucf101",
]
