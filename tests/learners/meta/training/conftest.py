"""The small problem, and trainings of it, in this process and in others that may be killed."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest
from tiny import BACKBONE, marks, training

from fewshot.datasets import Dataset
from fewshot.learners.meta import MetaLearner, create_meta_learner
from fewshot.learners.meta.training.meta_model import MetaModel
from fewshot.learners.meta.training.trainer import meta_train


@pytest.fixture(scope="session")
def base() -> Dataset:
    return marks()


@pytest.fixture(scope="session")
def held_out() -> Dataset:
    return marks(6, 8, seed=1)


@pytest.fixture
def train(base, held_out) -> Callable[..., MetaModel]:
    """`train(out, "tiny", steps=8)`: further keywords change the training or the call."""

    def call(out: Path, learner: str | MetaLearner = "tiny", settings: dict | None = None, **changes: Any) -> MetaModel:
        kept = ("dataset", "validation", "told", "told_engine", "backbone", "progress")
        more = {name: changes.pop(name) for name in kept if name in changes}
        backbone = more.pop("backbone", BACKBONE)
        dataset = more.pop("dataset", base)
        more = {"validation": held_out, "progress": False, **more}
        made = create_meta_learner(learner, **(settings or {})) if isinstance(learner, str) else learner
        return meta_train(made, backbone, dataset, out, training(**changes), device="cpu", **more)

    return call


@pytest.fixture(scope="session")
def processes() -> ForkServerContext:
    """Makes processes that have the package loaded, so that each starts at once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["fewshot.learners.meta.training.trainer", "torchvision", "matplotlib.figure"])
    return context
