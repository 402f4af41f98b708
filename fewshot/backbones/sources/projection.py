"""The last linear map of an image tower, and the tower without it."""

import copy
from typing import Any

from torch import Tensor, nn


def last_projection(visual: Any) -> tuple[Tensor | None, nn.Module | None]:
    """The matrix (E, D) with which a tower of open_clip ends, and the tower up to there, which shares its weights.

    None and None where it ends with something else, such as the attention pooling of CLIP's ResNets.
    """
    if isinstance(getattr(visual, "proj", None), nn.Parameter):
        before = copy.copy(visual)
        before._parameters = {**visual._parameters, "proj": None}
        return visual.proj, before
    head = getattr(visual, "head", None)  # of a tower from timm
    last = getattr(head, "proj", None)
    if isinstance(last, nn.Linear) and last.bias is None and list(head.children())[-1] is last:
        before, before_head = copy.copy(visual), copy.copy(head)
        before_head._modules = {**head._modules, "proj": nn.Identity()}
        before._modules = {**visual._modules, "head": before_head}
        return last.weight.T, before
    return None, None
