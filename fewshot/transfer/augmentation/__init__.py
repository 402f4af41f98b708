"""Augmentation of whole batches, chosen by name: torchvision's v2 transforms, MixUp and CutMix."""

from fewshot.transfer.augmentation.mixing import cutmix, mixup
from fewshot.transfer.augmentation.policy import Augmentation, augmentation, list_augmentations

__all__ = ["Augmentation", "augmentation", "cutmix", "list_augmentations", "mixup"]
