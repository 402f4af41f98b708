"""One task as one compiled program, the inner gradients inside it, run for one task after another."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from fewshot.errors import InvalidInput
from fewshot.learners.meta.engines.loop import LoopEngine, OneTask
from fewshot.learners.meta.gradient.batch_norm import TaskBatchNorm
from fewshot.learners.meta.gradient.inner_loop import InnerLoop, State, TaskNetwork, query_loss
from fewshot.learners.meta.tasks import Tasks

MOST_PROGRAMS = 64  # one for each network, shape, number of steps, order and precision


@dataclass(frozen=True)
class CompiledEngine(LoopEngine):
    """torch.compile over the loop's task, which takes a minute or more for each shape and number of steps.

    Evaluation is that of the loop. Batch norm with running averages, memory="low" and losses after each step, whose
    weights change as training goes on (MAML++), cannot be compiled.
    """

    name: ClassVar[str] = "compiled"

    def network(self, model: nn.Module) -> OneTask:
        """Any model without running averages; on a CPU, where there is a compiler."""
        if not hasattr(torch._dynamo.config, "trace_autograd_ops"):
            raise InvalidInput(f"engine 'compiled' needs torch 2.11 or later, found {torch.__version__}")
        for path, layer in model.named_modules():
            if isinstance(layer, TaskBatchNorm) and layer.mode != "transductive":
                raise InvalidInput(
                    f"engine 'compiled' cannot run batch norm with running averages ({path}, {layer.mode!r}); "
                    "use batch_norm='transductive' or another engine"
                )
        if next(model.parameters()).device.type == "cpu" and compiler() is None:
            raise InvalidInput(
                "engine 'compiled' needs a C++ compiler for a CPU, and found none; install g++ or clang++, name one by "
                "CXX, or use another engine"
            )
        return super().network(model)

    def query_loss(self, network: TaskNetwork, state: State, tasks: Tasks, loop: InnerLoop) -> tuple[Tensor, Tensor]:
        """As the loop's, compiled. Raises `InvalidInput` for memory="low" and for losses after each step."""
        if loop.memory == "low":
            raise InvalidInput("engine 'compiled' cannot compute steps twice: use memory='full' or another engine")
        if loop.importance is not None:
            raise InvalidInput(
                "engine 'compiled' cannot weigh the losses after each step, for whose weights it would be compiled "
                "anew; use another engine"
            )
        with torch._dynamo.config.patch(trace_autograd_ops=True, recompile_limit=MOST_PROGRAMS):
            return _compiled()(network, dict(state), tasks, loop)


def compiler() -> str | None:
    """The C++ compiler that torch.compile calls, if it is there."""
    named = os.environ.get("CXX", "").split()
    return shutil.which(named[0] if named else "clang++" if sys.platform == "darwin" else "g++")


@cache
def _compiled() -> Callable[..., Any]:
    return torch.compile(query_loss, fullgraph=True, dynamic=False)
