"""Two processes that share the tasks of a step make the same update as one that has them all."""

import json
import socket
from functools import cache
from pathlib import Path

import programs
import pytest
import torch
from safetensors.torch import load_file

from fewshot.errors import InvalidInput
from fewshot.learners.meta.training.processes import Processes, device_of_process

USUAL = {"tasks": 4, "steps": 6, "validate_every": 6, "validation_tasks": 2, "optimizer": "sgd", "momentum": 0.0}
TRAININGS = {
    "tiny": {"settings": {"noise": 0.0}, "learning_rate": 2.0, "momentum": 0.9, "validate_every": 3},
    "maml": {"settings": {"inner_rate": 0.1, "evaluation_steps": 1}, "learning_rate": 0.1},
    "reptile": {"settings": {"inner_rate": 0.01, "inner_steps": 2, "evaluation_steps": 1}, "learning_rate": 1.0},
}


def run(processes, out, count: int, learner: str = "tiny", **changes) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = [
        processes.Process(target=programs.train_as_rank, args=(out, rank, count, port, learner, changes))
        for rank in range(count)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join(180)
        assert process.exitcode == 0


@pytest.fixture(scope="module")
def trained(processes, tmp_path_factory):
    """`trained("maml")` is a folder with the same training in one process and in two, looked at twice."""

    @cache
    def folder(learner: str) -> Path:
        out = tmp_path_factory.mktemp(learner)
        for count in (1, 2):
            run(processes, out / str(count), count, learner, **{**USUAL, **TRAININGS[learner]})
        return out

    return folder


@pytest.mark.parametrize("learner", TRAININGS)
def test_the_update_is_the_same(trained, learner) -> None:
    """Of weights, buffers and the optimiser: Reptile's second moments go from step to step."""
    one, two = (load_file(trained(learner) / str(count) / "last.safetensors") for count in (1, 2))
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-6, atol=2e-6, msg=lambda why, of=name: f"{of}: {why}")
    assert one["model.backbone.block3.1.bias"].abs().max() > 1e-3  # zero at first


def test_each_draws_its_own_tasks(trained) -> None:
    whole = torch.load(trained("tiny") / "1" / "drawn 0.pt")
    parts = [torch.load(trained("tiny") / "2" / f"drawn {rank}.pt") for rank in range(2)]
    for step in range(6):
        assert torch.equal(torch.cat([parts[0][step], parts[1][step]]), whole[step])
        assert not torch.equal(parts[0][step], parts[1][step])


def test_only_the_first_writes(trained) -> None:
    folder = trained("tiny")
    assert [json.loads((folder / "2" / f"rank {rank}.json").read_text()) for rank in range(2)] == [
        [0, 2, True],
        [1, 2, False],
    ]
    rows = [(folder / name / "log.csv").read_text().splitlines() for name in "12"]
    assert len(rows[0]) == len(rows[1]) == 3


def test_tasks_that_cannot_be_shared(processes, tmp_path) -> None:
    run(processes, tmp_path, 2, tasks=3)
    for rank in range(2):
        assert json.loads((tmp_path / f"error {rank}.json").read_text()) == (
            "3 tasks a step cannot be shared by 2 processes; take a multiple"
        )


def test_alone() -> None:
    alone = Processes.join(torch.device("cpu"))
    assert (alone.rank, alone.count, alone.first) == (0, 1, True)
    assert alone.mean(torch.tensor(3.0)) == 3
    assert alone.share(True, torch.device("cpu")) is True
    with pytest.raises(InvalidInput, match="3 tasks a step cannot be shared by 2 processes"):
        Processes(0, 2).check(3)


def test_a_gpu_a_process(monkeypatch) -> None:
    assert device_of_process(torch.device("cuda")) == torch.device("cuda")
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert device_of_process(torch.device("cuda")) == torch.device("cuda:3")
    assert device_of_process(torch.device("cuda:1")) == torch.device("cuda:1")
    assert device_of_process(torch.device("cpu")) == torch.device("cpu")
