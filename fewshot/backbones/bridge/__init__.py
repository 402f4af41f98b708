"""Words for any image backbone: an image tower and a sentence encoder joined into something with CLIP's interface."""

from fewshot.backbones.bridge.bridge import Bridge
from fewshot.backbones.bridge.fitting import WAYS, fit_bridge
from fewshot.backbones.bridge.naming import register_bridge

__all__ = ["WAYS", "Bridge", "fit_bridge", "register_bridge"]
