"""Learners with words trained as in their papers: one draw at a time, by autograd and torch's optimisers.

What `benchmarks/zeroshot.py` measures fewshot's learners against: the same numbers of steps on the same features.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize
from torch.optim import SGD, AdamW
from torch.optim.lr_scheduler import CosineAnnealingLR


def tip_adapter_f(
    features: Tensor,
    labels: Tensor,
    text: Tensor,
    scale: float,
    alpha: float = 1.0,
    beta: float = 5.5,
    epochs: int = 20,
) -> Tensor:
    """Trained keys (S, D) of the cache."""
    keys = features.clone().requires_grad_()
    values = torch.nn.functional.one_hot(labels, len(text)).float()
    steps = -(-len(features) // 256)
    optimiser = AdamW([keys], lr=1e-3, eps=1e-4)
    schedule = CosineAnnealingLR(optimiser, epochs * steps)
    for _ in range(epochs):
        for items in torch.randperm(len(features)).split(256):
            near = (-beta * (1 - features[items] @ keys.T)).exp()
            logits = scale * features[items] @ text.T + alpha * near @ values
            loss = cross_entropy(logits, labels[items])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return keys.detach()


def clap(features: Tensor, labels: Tensor, text: Tensor, scale: float, epochs: int = 300) -> Tensor:
    """Trained class vectors (W, D)."""
    own = (scale * features @ text.T).softmax(1).gather(1, labels[:, None])[:, 0]
    hold = torch.stack([own[labels == label].mean() for label in range(len(text))])
    weight = text.clone().requires_grad_()
    steps = -(-len(features) // 256)
    optimiser = SGD([weight], lr=0.1, momentum=0.9)
    schedule = CosineAnnealingLR(optimiser, epochs * steps)
    for _ in range(epochs):
        for items in torch.randperm(len(features)).split(256):
            loss = cross_entropy(scale * features[items] @ normalize(weight).T, labels[items])
            loss = loss + (hold * (weight - text).square().sum(1)).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return weight.detach()


def lp_plus_plus(features: Tensor, labels: Tensor, text: Tensor, steps: int = 300, every: int = 10) -> Tensor:
    """Trained class vectors (W, D), the multiplied words among them."""
    count, cosines = len(features), features @ text.T
    means = torch.stack([features[labels == label].mean(0) for label in range(len(text))])
    multipliers = torch.full((len(text),), 250 * float((means * text).sum(1).mean())).requires_grad_()
    weight = means.clone().requires_grad_()
    largest = torch.linalg.eigvalsh(features.T @ features)[-1]
    optimiser = SGD([weight], lr=float(4 * count / largest), momentum=0.9)
    blend = SGD([multipliers], lr=float(count / (4 * cosines.square().sum(0).max())))
    for step in range(1, steps + 1):
        loss = cross_entropy(features @ weight.T + multipliers * cosines, labels)
        optimiser.zero_grad()
        blend.zero_grad()
        loss.backward()
        optimiser.step()
        if step % every == 0:
            blend.step()
    return (weight + multipliers[:, None] * text).detach()


def channel_products(text: Tensor, features: Tensor, labels: Tensor) -> Tensor:
    """APE's mean product (D,) of each channel over all pairs of items of different classes, pair by pair of classes.

    features (S, D), equally many items a class, sorted by class; text (W, D).
    """
    ways = len(text)
    of_class = torch.cat([features.view(ways, -1, features.shape[1]), text[:, None]], 1)  # (W, items, D)
    total, pairs = torch.zeros(features.shape[1]), 0
    for one in range(ways):
        for other in range(ways):
            if one != other:
                total += (of_class[one][:, None] * of_class[other][None]).sum((0, 1))
                pairs += of_class.shape[1] ** 2
    return total / pairs
