"""Which engine for which model, tasks and device: chosen from measurements, and told."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from torch import nn

from fewshot.errors import InvalidInput
from fewshot.learners.meta.engines.batched import BatchedEngine
from fewshot.learners.meta.engines.engine import Engine, Precision
from fewshot.learners.meta.engines.learn2learn import Learn2LearnEngine
from fewshot.learners.meta.engines.loop import LoopEngine
from fewshot.learners.meta.tasks import Tasks

EngineName = Literal["auto", "loop", "batched", "compiled", "learn2learn"]

# Seconds of one core (AMD EPYC, AVX-512) for a meta-step of MAML: 32 tasks, 5 ways, 1 shot, 1 step, second order,
# Conv-4 of 64 channels at 28 pixels, float32; batched by tasks at once.
#                    learn2learn  loop  batched: 1     2     4     8    32
# 5 queries a task          1.23  1.37        1.02  0.95  0.71  0.65  0.86
# 75 queries a task         4.95  4.73        3.40  3.25  3.66
# Fastest is what keeps about 150 images in one pass, as far as there are 8 tasks or fewer.
IMAGES_AT_ONCE, MOST_TASKS = 150, 8
MOST_TASKS_ON_GPU = 32
# Vectors take no time but the calls: 25 tasks of the sinusoid in 37 ms 4 at once, in 9 ms 25 at once.
MOST_TASKS_OF_VECTORS = 100


def choose_engine(name: EngineName, model: nn.Module, tasks: Tasks, precision: Precision = "float32") -> Engine:
    """The engine called `name`, with the number of tasks at once that measured fastest; its `reason` says why.

    "auto" is batched wherever the network can be folded, and the loop elsewhere.
    Raises `InvalidInput` for a network that the engine cannot run, and `MissingPackage` for what is not installed.
    """
    if name == "auto":
        return _automatic(model, tasks, precision)
    if name == "batched":
        engine: Engine = BatchedEngine(tasks_at_once(tasks), precision)
    elif name == "compiled":
        from fewshot.learners.meta.engines.compiled import CompiledEngine

        engine = CompiledEngine(precision=precision)
    else:
        engine = (LoopEngine if name == "loop" else Learn2LearnEngine)(precision=precision)
    engine.network(model)
    return replace(engine, reason=f"engine={name!r} was asked for")


def tasks_at_once(tasks: Tasks) -> int:
    """Tasks that the batched engine folds together: what stays in the cache of a processor, or fills a GPU."""
    if tasks.support.ndim == 3:
        return MOST_TASKS_OF_VECTORS
    if tasks.support.device.type != "cpu":
        return MOST_TASKS_ON_GPU
    images = max(tasks.support.shape[1], tasks.query.shape[1])
    return max(1, min(MOST_TASKS, IMAGES_AT_ONCE // images))


def _automatic(model: nn.Module, tasks: Tasks, precision: Precision) -> Engine:
    device, at_once = tasks.support.device.type, tasks_at_once(tasks)
    try:
        BatchedEngine().network(model)
    except InvalidInput as error:
        return LoopEngine(precision=precision, reason=f"loop, which runs any network; {error}")
    measured = "1.5 to 1.9 times as fast as learn2learn on one core" if device == "cpu" else "not measured there"
    return BatchedEngine(at_once, precision, f"batched on {device}, {at_once} tasks at once: {measured}")
