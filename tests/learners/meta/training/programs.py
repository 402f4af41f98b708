"""What the tests run in processes of their own: trainings that are killed, that find no space, or that share tasks."""

import os
import resource
from pathlib import Path
from time import sleep

import torch
from tiny import BACKBONE, marks, training

from fewshot import files
from fewshot.errors import FewshotError
from fewshot.learners.meta import create_meta_learner
from fewshot.learners.meta.training.processes import Processes
from fewshot.learners.meta.training.trainer import meta_train


def train(out: Path, learner: str = "tiny", settings: dict | None = None, told=lambda row: None, **changes) -> None:
    os.environ["FEWSHOT_CACHE"] = str(out.parent / "cache")
    held_out = marks(6, 8, seed=1)
    made = create_meta_learner(learner, **({"noise": 0.1} if settings is None else settings))
    meta_train(made, BACKBONE, marks(), out, training(**changes), held_out, device="cpu", progress=False, told=told)


def train_slowly(out: Path) -> None:
    """Stops for long in the middle of the steps after each checkpoint."""
    learner = type(create_meta_learner("tiny"))
    backward = learner.backward

    def slow(self, model, tasks, progress):
        if (out / "last.safetensors").exists():
            (out / "in the middle").touch()
            sleep(60)
        return backward(self, model, tasks, progress)

    learner.backward = slow
    train(out)


def write_slowly(out: Path) -> None:
    """Stops for long when half of the second checkpoint is written."""
    write = Path.write_bytes

    def slow(path: Path, content: bytes) -> int:
        if not (out / "last.safetensors").exists() or ".last" not in path.name:
            return write(path, content)
        write(path, content[: len(content) // 2])
        (out / "in the middle").touch()
        sleep(60)
        raise AssertionError("should have been killed")

    Path.write_bytes = slow
    train(out)


def train_without_space(out: Path, limit: int) -> None:
    """After the first checkpoint no file may be longer than `limit` bytes."""

    def told(row: dict) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    try:
        train(out, told=told)
    except FewshotError as error:
        (out / "message").write_text(f"{type(error).__name__}: {error}")


def train_as_rank(out: Path, rank: int, count: int, port: int, learner: str, changes: dict) -> None:
    """One of several processes, with what torchrun tells it."""
    told = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in told.items()}
    drawn = []
    kind = type(create_meta_learner(learner))
    backward = kind.backward

    def noted(self, model, tasks, progress):
        drawn.append(tasks.query.clone())
        return backward(self, model, tasks, progress)

    kind.backward = noted
    try:
        train(out, learner, **changes)
    except FewshotError as error:
        files.write_json(out / f"error {rank}.json", str(error))
        return
    torch.save(drawn, out / f"drawn {rank}.pt")
    processes = Processes.join(torch.device("cpu"))
    files.write_json(out / f"rank {rank}.json", [processes.rank, processes.count, processes.first])
