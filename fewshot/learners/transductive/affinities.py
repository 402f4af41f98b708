"""The balanced-pairwise-affinities transform of a set of features (Shalam & Korman 2024, algorithm 1)."""

import torch
from torch import Tensor

from fewshot.learners.distances import cosine_similarity
from fewshot.learners.transductive.sinkhorn import sinkhorn


def balanced_affinities(features: Tensor, real: Tensor, entropy: float = 0.1, steps: int = 10) -> Tensor:
    """Each of the features (T, N, D) of a task as its affinities (T, N, N) with all of them; real (T, N, 1).

    Optimal transport of the set to itself by cosine distances, each item holding one unit and none staying where it is,
    by so many steps of Sinkhorn's algorithm. Divided by the largest affinity of the task, as the authors' code does;
    an item has affinity 1 to itself. entropy: how soft the affinities are.
    """
    itself = torch.eye(features.shape[1], dtype=torch.bool, device=features.device)
    scores = (cosine_similarity(features, features) / entropy).masked_fill(itself, -torch.inf)
    affinities = sinkhorn(scores, real.squeeze(2), real, steps=steps)
    return (affinities / affinities.amax((1, 2), keepdim=True)).masked_fill(itself, 1) * real
