"""Which engine for which model, tasks and device: chosen from measurements, and told."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from torch import nn

from fewshot.errors import InvalidInput
from fewshot.learners.meta.engines.batched import BatchedEngine
from fewshot.learners.meta.engines.compiled import CompiledEngine
from fewshot.learners.meta.engines.engine import Engine
from fewshot.learners.meta.engines.learn2learn import Learn2LearnEngine
from fewshot.learners.meta.engines.loop import LoopEngine
from fewshot.learners.meta.tasks import Tasks
from fewshot.learners.precision import Precision

EngineName = Literal["auto", "loop", "batched", "compiled", "learn2learn"]

# learn2learn's time over ours on one core (AMD EPYC, AVX-512, otherwise idle) for MAML, 8 tasks of 5 ways, 1 shot and
# 75 queries, Conv-4 of 64 channels at 28 pixels in one colour, float32; T tasks at once in passes of P images at most:
#   steps, order   T = 2   T = 4, P = 150   T = 8, P = 150   T = 8, P = 300
#     1      2      1.56        1.56             1.54             1.55
#     5      2      1.51        1.61             1.64             1.63
#     1      1      1.49        1.56             1.47             1.58
#     5      1      1.47        1.58             1.64             1.60
# The support is small, so that more tasks make better use of a pass; the queries of as many would leave the cache. With
# 5 queries eight tasks took .65 s a step where two took .95 s. Loop and learn2learn are equal within noise, and the
# compiled loop is 1.1 times as fast.
IMAGES_AT_ONCE, MOST_IMAGES, MOST_TASKS = 150, 300, 8
MOST_TASKS_ON_GPU = 32
# Vectors take no time but the calls: 25 tasks of the sinusoid in 37 ms 4 at once, in 9 ms 25 at once.
MOST_TASKS_OF_VECTORS = 100


def choose_engine(
    name: EngineName, model: nn.Module, tasks: Tasks, precision: Precision = "float32", batch: int | None = None
) -> Engine:
    """The engine called `name`, with the number of tasks at once that measured fastest; its `reason` says why.

    "auto" is batched wherever the network can be folded, and the loop elsewhere.
    batch: of how many support items an inner step is made; None for all.
    Raises `InvalidInput` for a network that the engine cannot run, and `MissingPackage` for what is not installed.
    """
    if name == "auto":
        return _automatic(model, tasks, precision, batch)
    if name == "batched":
        engine: Engine = _batched(tasks, precision, batch)
    elif name == "compiled":
        engine = CompiledEngine(precision=precision)
    else:
        engine = (LoopEngine if name == "loop" else Learn2LearnEngine)(precision=precision)
    engine.network(model)
    return replace(engine, reason=f"engine={name!r} was asked for")


def tasks_at_once(tasks: Tasks, batch: int | None = None) -> int:
    """Tasks that the batched engine folds together: what a processor makes best use of, or fills a GPU.

    batch: as in `choose_engine`.
    """
    if tasks.support.ndim == 3:
        return MOST_TASKS_OF_VECTORS
    if tasks.support.device.type != "cpu":
        return MOST_TASKS_ON_GPU
    support, queries = min(tasks.support.shape[1], batch or IMAGES_AT_ONCE), tasks.query.shape[1]
    return max(1, min(MOST_TASKS, IMAGES_AT_ONCE // support, MOST_IMAGES // queries))


def _batched(tasks: Tasks, precision: Precision, batch: int | None, reason: str = "") -> BatchedEngine:
    images = IMAGES_AT_ONCE if tasks.support.device.type == "cpu" else None
    return BatchedEngine(tasks_at_once(tasks, batch), precision, reason, images)


def _automatic(model: nn.Module, tasks: Tasks, precision: Precision, batch: int | None) -> Engine:
    device = tasks.support.device.type
    try:
        BatchedEngine().network(model)
    except InvalidInput as error:
        return LoopEngine(precision=precision, reason=f"loop, which runs any network; {error}")
    measured = "1.4 to 1.7 times as fast as learn2learn for Conv-4 at 28 pixels on one core"
    at_once = min(len(tasks), tasks_at_once(tasks, batch))
    reason = f"batched on {device}, {at_once} task{'' if at_once == 1 else 's'} at once: "
    reason += measured if device == "cpu" else "not measured there"
    return _batched(tasks, precision, batch, reason)
