"""Two linear projections trained by a symmetric contrastive loss, both towers locked (as LiT, Zhai et al. 2022)."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from fewshot.backbones.bridge.linear import TwoProjections
from fewshot.backbones.bridge.settings import check_positive, check_whole

if TYPE_CHECKING:
    from fewshot.backbones.bridge.pairs import Pairs


def contrastive_loss(images: Tensor, texts: Tensor, scale: Tensor) -> Tensor:
    """Symmetric InfoNCE of images (B, K) and texts (B, K), row i to row i, by cosine times `scale`."""
    logits = scale * normalize(images, dim=1) @ normalize(texts, dim=1).T
    own = torch.arange(len(logits), device=logits.device)
    return (cross_entropy(logits, own) + cross_entropy(logits.T, own)) / 2


def fit_contrastive(
    pairs: Pairs,
    dim: int = 256,
    steps: int = 300,
    batch_size: int = 256,
    rate: float = 1e-3,
    weight_decay: float = 0.1,
    seed: int = 0,
) -> TwoProjections:
    """Projections to `dim` dimensions, with a learned temperature from 14 on, by AdamW; the same for the same seed."""
    check_whole("contrastive", dim=dim, steps=steps)
    check_whole("contrastive", least=2, batch_size=batch_size)
    check_whole("contrastive", least=0, seed=seed)
    check_positive("contrastive", rate=rate)
    check_positive("contrastive", zero=True, weight_decay=weight_decay)
    image_centre, text_centre = pairs.features.mean(0), pairs.vectors.mean(0)
    features, texts = pairs.features - image_centre, pairs.vectors - text_centre
    sizes = [part.square().sum(1).mean().sqrt() for part in (features, texts)]
    features, texts = features / sizes[0], texts / sizes[1]
    draw = torch.Generator().manual_seed(seed)
    weights = [
        (torch.randn(part.shape[1], dim, generator=draw, dtype=torch.float64) / part.shape[1] ** 0.5).to(part)
        for part in (features, texts)
    ]
    log_scale = torch.tensor(log(14.0), dtype=features.dtype)
    trained = [each.requires_grad_() for each in (*weights, log_scale)]
    optimizer = torch.optim.AdamW(trained, lr=rate, weight_decay=weight_decay)
    with torch.enable_grad():
        for _ in range(steps):
            rows = torch.randperm(len(features), generator=draw)[:batch_size]
            optimizer.zero_grad()
            contrastive_loss(features[rows] @ weights[0], texts[rows] @ weights[1], log_scale.exp()).backward()
            optimizer.step()
    image_weight, text_weight = (weight.detach() / size for weight, size in zip(weights, sizes, strict=True))
    return TwoProjections(image_centre, text_centre, image_weight, text_weight)
