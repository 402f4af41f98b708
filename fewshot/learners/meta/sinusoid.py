"""Sinusoid regression, where meta-learning can be watched: a task is a sine wave (Finn et al. 2017, section 5.1)."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import torch
from torch import Tensor, nn

from fewshot.episodes import checks
from fewshot.episodes.randomness import Randomness
from fewshot.learners.meta.tasks import Tasks

AMPLITUDES, PHASES, INPUTS = (0.1, 5.0), (0.0, pi), (-5.0, 5.0)
WIDTH = 40


@dataclass(frozen=True)
class Sinusoids:
    """Draws tasks y = A sin(x + phi) with A in [0.1, 5], phi in [0, pi] and x in [-5, 5], all uniform.

    shots, queries: points of the support and of the query. Raises `InvalidInput` for numbers below 1 or a seed below 0.
    """

    shots: int = 10
    queries: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        checks.whole_number("shots", self.shots, 1)
        checks.whole_number("queries", self.queries, 1)
        checks.whole_number("seed", self.seed, 0)

    def sample(self, tasks: int, start: int = 0) -> Tasks:
        """The tasks number start, ..., start + tasks - 1: float32 inputs and labels (T, S, 1) and (T, Q, 1), CPU.

        A task depends on the settings and its number alone, so that disjoint ranges are disjoint draws.
        """
        checks.whole_number("tasks", tasks, 1)
        checks.whole_number("start", start, 0)
        random = Randomness(self.seed, torch.arange(start, start + tasks))
        amplitude = _between(AMPLITUDES, random.uniform("amplitude", 1, 1))
        phase = _between(PHASES, random.uniform("phase", 1, 1))
        support = _between(INPUTS, random.uniform("support", self.shots, 1))
        query = _between(INPUTS, random.uniform("query", self.queries, 1))
        waves = [amplitude * torch.sin(inputs + phase) for inputs in (support, query)]
        return Tasks(support, waves[0], query, waves[1], ways=0).to(dtype=torch.float32)


def sinusoid_backbone() -> nn.Sequential:
    """The paper's two hidden layers of 40 with ReLU, (B, 1) to features (B, 40); a learner adds the output."""
    return nn.Sequential(nn.Linear(1, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU())


def _between(bounds: tuple[float, float], share: Tensor) -> Tensor:
    low, high = bounds
    return low + (high - low) * share
