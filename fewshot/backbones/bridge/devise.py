"""DeViSE: a linear map trained by a hinge ranking loss over all wrong texts (Frome et al. 2013, eq. 1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import normalize

from fewshot.backbones.bridge.linear import ImageToText
from fewshot.backbones.bridge.ridge import fit_ridge
from fewshot.backbones.bridge.settings import check_positive, check_whole

if TYPE_CHECKING:
    from fewshot.backbones.bridge.pairs import Pairs


def hinge_ranking(images: Tensor, texts: Tensor, same: Tensor, margin: float) -> Tensor:
    """The mean over images (N, E) of Σ max(0, margin - t·v + t'·v) over the texts t' (N, E) that are not their own.

    Row i of `texts` belongs to image i; same (N, N) marks further texts that are equal to it and count for nothing.
    """
    scores = images @ texts.T
    losses = (margin - scores.diagonal()[:, None] + scores).clamp(min=0)
    return losses.masked_fill(same, 0).sum(1).mean()


def fit_devise(
    pairs: Pairs, margin: float = 0.1, steps: int = 30, rate: float = 0.001, penalty: float = 1.0
) -> ImageToText:
    """A map from image features to text vectors, from ridge regression on, by `steps` of Adam over all pairs.

    The paper's margin; it starts from a random map and takes one random wrong text at a time.
    """
    check_whole("devise", least=0, steps=steps)
    check_positive("devise", margin=margin, rate=rate, penalty=penalty)
    start = fit_ridge(pairs, penalty, "image-to-text")
    assert isinstance(start, ImageToText)
    features = pairs.features - start.image_centre
    length = features.square().sum(1).mean().sqrt()
    features, texts = (features / length).float(), normalize(pairs.vectors - start.text_centre, dim=1).float()
    same = (pairs.vectors @ pairs.vectors.T) > 1 - 1e-6
    weight = (start.weight * length).float().requires_grad_()
    optimizer = torch.optim.Adam([weight], lr=rate)
    with torch.enable_grad():
        for _ in range(steps):
            optimizer.zero_grad()
            hinge_ranking(features @ weight, texts, same, margin).backward()
            optimizer.step()
    return ImageToText(start.image_centre, start.text_centre, weight.detach().to(start.weight) / length)
