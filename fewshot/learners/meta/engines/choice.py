"""Which engine for which model, tasks and device: chosen from measurements, and told."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from torch import nn

from fewshot.errors import InvalidInput
from fewshot.learners.meta.engines.batched import BatchedEngine
from fewshot.learners.meta.engines.compiled import CompiledEngine
from fewshot.learners.meta.engines.engine import Engine, Precision
from fewshot.learners.meta.engines.learn2learn import Learn2LearnEngine
from fewshot.learners.meta.engines.loop import LoopEngine
from fewshot.learners.meta.tasks import Tasks

EngineName = Literal["auto", "loop", "batched", "compiled", "learn2learn"]

# Meta-steps a second on one core (AMD EPYC, AVX-512) for MAML: 32 tasks, 5 ways, 1 shot, Conv-4 of 64 channels at 28
# pixels in one colour, float32 (best of 3 on a busy machine; loop and learn2learn are equal within noise):
#   queries, steps, order   learn2learn   loop   compiled   batched
#    5        1      2        0.92        0.91     1.04       1.54
#    5        1      1        1.52        1.48                2.79
#    5        5      2        0.24        0.25                0.41
#   75        1      2        0.24        0.24     0.27       0.34
#   75        5      1        0.20        0.20                0.30
# Batched, seconds a step by tasks at once 1, 2, 4, 8, 32: 1.02, 0.95, 0.71, 0.65, 0.86 with 5 queries, and with 75
# 3.40, 3.25, 3.66 for 1, 2, 4. Fastest is what keeps about 150 images in one pass, in 8 tasks or fewer.
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
    measured = "1.4 to 1.8 times as fast as learn2learn on one core" if device == "cpu" else "not measured there"
    return BatchedEngine(at_once, precision, f"batched on {device}, {at_once} tasks at once: {measured}")
