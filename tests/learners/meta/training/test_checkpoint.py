"""Checkpoints come back whole, or say what is wrong with them."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from fewshot.errors import FingerprintMismatch, InvalidInput, UnreadableFile, UnwritableFile
from fewshot.files import remove_unfinished
from fewshot.learners.meta.training.checkpoint import (
    FORMAT,
    Standing,
    check_same,
    load_checkpoint,
    read_record,
    save_checkpoint,
)

STANDING = Standing(
    step=7, best_step=5, best_accuracy=0.1 + 0.2, looks_since_best=1, seconds=3.5, history=[{"step": 5}]
)
RECORD = {"learner": {"name": "tiny"}, "training": {"rate": 1e-3, "steps": [1, 2]}}


def network(width: int = 4) -> nn.Module:
    """With a buffer, a frozen parameter, and one tensor under two names."""
    module = nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width), nn.Linear(width, width, bias=False))
    module.add_module("again", module[2])
    module[0].bias.requires_grad_(False)
    return module


def after_steps(module: nn.Module, optimiser: torch.optim.Optimizer, steps: int, seed: int = 0) -> list[torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        optimiser.zero_grad()
        module(torch.randn(8, 3, generator=draw)).square().mean().backward()
        optimiser.step()
    return [each.clone() for each in module.state_dict().values()]


OPTIMISERS = {
    "adam": lambda parameters: torch.optim.Adam(parameters, 0.01),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, 0.01, amsgrad=True),
    "sgd": lambda parameters: torch.optim.SGD(parameters, 0.1),
    "momentum": lambda parameters: torch.optim.SGD(parameters, 0.1, 0.9),
}


@pytest.mark.parametrize("optimizer", OPTIMISERS)
def test_training_goes_on_as_if_never_stopped(tmp_path, optimizer) -> None:
    path = tmp_path / "last.safetensors"
    module = network()
    optimiser = OPTIMISERS[optimizer](module.parameters())
    after_steps(module, optimiser, 3)
    save_checkpoint(path, module, optimiser, STANDING, RECORD)
    expected = after_steps(module, optimiser, 4, seed=1)
    other = network()
    again = OPTIMISERS[optimizer](other.parameters())
    load_checkpoint(path, other, again)
    assert all(map(torch.equal, after_steps(other, again, 4, seed=1), expected))
    assert read_record(path) == (STANDING, RECORD)


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "last.safetensors"
    module = network()
    save_checkpoint(path, module, torch.optim.Adam(module.parameters()), STANDING, RECORD)
    return path


def test_others_may_read_it(saved) -> None:
    (saved.parent / "plain").write_text("")
    assert saved.stat().st_mode == (saved.parent / "plain").stat().st_mode


def test_another_network_is_refused(saved) -> None:
    with pytest.raises(InvalidInput, match=r"last\.safetensors is of another network .*size mismatch for 0\.weight"):
        load_checkpoint(saved, network(5))
    with pytest.raises(InvalidInput, match=r"of another network .*Unexpected key\(s\) in state_dict"):
        load_checkpoint(saved, nn.Sequential(nn.Linear(3, 4), nn.Conv2d(1, 1, 1)))


@pytest.mark.parametrize("part", [0, 3, 100, -1])
def test_a_damaged_file(saved, part) -> None:
    saved.write_bytes(saved.read_bytes()[:part])
    with pytest.raises(UnreadableFile, match=r"last\.safetensors is damaged or no checkpoint"):
        read_record(saved)
    with pytest.raises(UnreadableFile):
        load_checkpoint(saved, network())


def test_foreign_files(saved, tmp_path) -> None:
    with pytest.raises(UnreadableFile, match=r"none\.safetensors does not exist"):
        read_record(tmp_path / "none.safetensors")
    with pytest.raises(UnreadableFile, match="is damaged or no checkpoint"):
        read_record(tmp_path)
    foreign = tmp_path / "foreign.safetensors"
    save_file(load_file(saved), foreign)
    with pytest.raises(UnreadableFile, match=r"foreign\.safetensors holds no checkpoint of a meta-learner, version 1"):
        read_record(foreign)
    save_file(load_file(saved), foreign, metadata={**FORMAT, "version": "2"})
    with pytest.raises(UnreadableFile, match="holds no checkpoint of a meta-learner, version 1"):
        read_record(foreign)
    save_file(load_file(saved), foreign, metadata={**FORMAT, "standing": "{}", "record": "{"})
    with pytest.raises(UnreadableFile, match="is damaged or no checkpoint"):
        read_record(foreign)
    save_file(load_file(saved), foreign, metadata={**FORMAT, "standing": json.dumps({"age": 3}), "record": "{}"})
    with pytest.raises(UnreadableFile, match="is damaged or no checkpoint"):
        read_record(foreign)


def test_where_nothing_can_be_written(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    module = network()
    optimiser = torch.optim.Adam(module.parameters())
    with pytest.raises(
        UnwritableFile, match=r"file/last\.safetensors cannot be written: (Not a directory|File exists)"
    ):
        save_checkpoint(tmp_path / "file" / "last.safetensors", module, optimiser, STANDING, RECORD)


def test_other_trainings_are_told_apart(tmp_path) -> None:
    check_same(tmp_path, RECORD, RECORD)
    other = {"learner": {"name": "tiny"}, "training": {"rate": 2e-3, "steps": [1, 2]}, "dataset": "marks"}
    with pytest.raises(FingerprintMismatch) as raised:
        check_same(tmp_path, RECORD, other)
    assert str(raised.value) == (
        f"{tmp_path} belongs to another training: training.rate is 0.001 there and 0.002 here; dataset is None there "
        "and 'marks' here; train into another folder, or as before"
    )


def test_what_was_not_finished_is_removed(saved) -> None:
    (saved.parent / ".last.safetensors.0123abcd").write_bytes(b"half")
    (saved.parent / ".other.safetensors.0123abcd").write_bytes(b"half")
    remove_unfinished(saved)
    assert sorted(path.name for path in saved.parent.iterdir()) == [".other.safetensors.0123abcd", "last.safetensors"]
