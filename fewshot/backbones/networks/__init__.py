"""The networks of the few-shot literature, as `fewshot:NAME`; they come without weights."""

from fewshot.backbones.networks import conv4, raw_pixels, resnet12, wide_resnet

__all__ = ["conv4", "raw_pixels", "resnet12", "wide_resnet"]
