"""ZLaP: the words spread over a graph of images and class names (Stojnić et al. 2024)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.learners.checks import check_positive
from fewshot.learners.precision import in_float64
from fewshot.learners.registry import register_learner
from fewshot.learners.transductive.alternation import log_assignment
from fewshot.learners.transductive.tasks import Tasks
from fewshot.learners.vision_language.neighbours import DENSE, cosine_edges
from fewshot.learners.vision_language.transduction import TransductiveWordLearner, tasks_in_float64

TOLERANCE = 1e-8  # of the solution's residual, of the length of the right-hand side
STEPS = 500
BLOCK_BYTES = 16 << 20  # of the right-hand sides solved at a time


@register_learner(
    "zlap",
    paper="Stojnić et al. 2024, Label Propagation for Zero-shot Classification with Vision-Language Models, "
    "arXiv:2404.04072",
)
@dataclass(frozen=True)
class ZLaP(TransductiveWordLearner):
    """Labels spread from the class names over edges to the nearest images, and from image to image.

    neighbours: edges of an image to class names, and to images, itself counted, as the authors count. gamma: power of
    the cosines to class names, which are all alike. alpha: how far labels spread. The authors' values for ImageNet; a
    support, which the paper does not have, is images that are labelled as class names are.
    """

    neighbours: int = 5
    gamma: float = 5.0
    alpha: float = 0.3

    grid: ClassVar[Mapping[str, tuple[float, ...]]] = {
        "neighbours": (5, 10, 15, 20),
        "gamma": (3.0, 5.0, 8.0),
        "alpha": (0.3, 0.5, 0.8),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "neighbours", "gamma", "alpha")
        if self.alpha >= 1:
            raise InvalidInput(f"zlap: alpha must be below one, found {self.alpha!r}")

    def transduce(self, tasks: Tasks, state: Mapping[str, Tensor]) -> Tensor:
        """The log of each class's share of what reaches a query."""
        tasks = tasks_in_float64(tasks)
        names = torch.eye(tasks.ways).to(tasks.query).expand(len(tasks.mask), -1, -1)
        labels = torch.cat([names, tasks.members, tasks.query.new_zeros(*tasks.mask.shape, tasks.ways)], 1)
        graph = self._graph(tasks, in_float64(state["text"]))
        found = spread(graph, labels, self.alpha)[:, -tasks.mask.shape[1] :].clamp(min=0)
        found = found.masked_fill(~tasks.present[:, None], 0)
        return log_assignment(found / found.sum(2, keepdim=True).clamp(min=1e-30))

    def _graph(self, tasks: Tasks, text: Tensor) -> Tensor:
        """Symmetric edges (T, N, N) between class names, support and queries, in this order."""
        images = torch.cat([tasks.support, tasks.query], 1)
        real = tasks.real[..., 0] > 0
        sparse = tasks.ways + images.shape[1] > DENSE
        alike = cosine_edges(images, images, (real, real), self.neighbours - 1, sparse, loops=False)
        named = cosine_edges(images, text, (real, tasks.present), self.neighbours, sparse).pow(self.gamma)
        nothing = torch.zeros_like(text @ text.mT)
        if sparse:
            nothing = nothing.to_sparse()
        return torch.cat([torch.cat([nothing, named.mT], 2), torch.cat([named, alike + alike.mT], 2)], 1)


def spread(graph: Tensor, labels: Tensor, alpha: float) -> Tensor:
    """(I - alpha D^-½ graph D^-½)⁻¹ labels, for symmetric edges (T, N, N) with sums D and labels (T, N, W).

    By conjugate gradients, each column by itself, as many columns at a time as fit in memory.
    """
    sums = torch.bmm(graph, torch.ones_like(labels[..., :1]))
    scale = torch.where(sums > 0, sums, 1).rsqrt()

    def apply(values: Tensor) -> Tensor:
        return values - alpha * scale * torch.bmm(graph, scale * values)

    columns = max(1, BLOCK_BYTES // (labels[..., 0].numel() * labels.element_size()))
    return torch.cat([conjugate_gradients(apply, part) for part in labels.split(columns, 2)], 2)


def conjugate_gradients(apply: Callable[[Tensor], Tensor], target: Tensor) -> Tensor:
    """The solution (T, N, C) of apply(solution) = target, for a symmetric positive definite `apply`.

    Each column stops by itself, when its residual is small enough.
    """
    solution, residual, direction = torch.zeros_like(target), target, target
    squares = residual.square().sum(1, keepdim=True)
    enough = TOLERANCE**2 * squares
    for _ in range(STEPS):
        moving = squares > enough
        if not moving.any():
            break
        image = apply(direction)
        length = squares / (direction * image).sum(1, keepdim=True)
        length = torch.where(moving, length, 0)
        solution = solution + length * direction
        residual = residual - length * image
        following = residual.square().sum(1, keepdim=True)
        direction = residual + torch.where(moving, following / squares, 0) * direction
        squares = following
    return solution
