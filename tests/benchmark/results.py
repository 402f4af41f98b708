"""Results made by hand, for the tests of stores, reports and comparisons."""

import torch

from fewshot.benchmark import Protocol, Result


def make_result(
    learner: str = "ridge",
    mean: float = 0.6,
    seed: int = 0,
    backbone: str = "timm:net",
    settings: dict | None = None,
    facts: dict | None = None,
    seconds: float = 0.5,
    **protocol,
) -> Result:
    """A result whose per-episode accuracies scatter around `mean`; equal seeds make equally hard episodes."""
    hardness = torch.randn(50, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) / 20
    per_episode = (mean + hardness).clamp(0, 1)
    defaults = {"penalty": 1.0}
    return Result(
        protocol=Protocol(**{"dataset": "zoo", "split": "test", "episodes": 50} | protocol),
        dataset={"name": "zoo", "split": "test", "fingerprint": "d0", "classes": 20, "items": 1000},
        backbone={"name": backbone, "fingerprint": f"f-{backbone}", "precision": "float32", "weights": "a.pth"},
        learner={"name": learner, "settings": settings or defaults, "defaults": defaults, "paper": "", **(facts or {})},
        episodes=f"e{protocol.get('shots', 1)}",
        evaluation={
            "accuracy": per_episode.mean().item(),
            "ci95": 2.01 * per_episode.std().item() / 50**0.5,
            "per_episode": per_episode.tolist(),
            "seconds": seconds,
        },
        provenance={"date": "2026-11-24", "python": "3.11", "packages": {"torch": "2.15.0"}, "hardware": "2 CPU cores"},
    )
