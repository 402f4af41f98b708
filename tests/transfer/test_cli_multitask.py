"""`fewshot transfer multitask`: a table, JSON, and one line for what it refuses."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from fewshot.cli import main
from fewshot.datasets import Dataset, Grouping, list_datasets, register_dataset
from fewshot.datasets.sources.arrays import ArrayImages

NAME = "patterns-in-pairs"
QUICK = ["--backbone", "fewshot:raw-pixels", "--steps", "5", "--draws", "2", "--shots", "2", "--quiet"]


def patterns() -> Dataset:
    """Four noisy patterns in two pairs, eight pictures of each."""
    noise = np.random.default_rng(0)
    labels = torch.arange(32) % 4
    shapes = noise.integers(0, 180, (4, 16, 16))
    pixels = np.stack([shapes[label] + noise.integers(0, 70, (16, 16)) for label in labels.tolist()])
    names = tuple("abcd")
    ids = tuple(f"{names[label]}/{number}" for number, label in enumerate(labels.tolist()))
    pairs = Grouping(labels // 2, ("first", "second"))
    same = Grouping(torch.zeros(32, dtype=torch.int64), ("all",))
    return Dataset(NAME, ArrayImages(pixels.astype(np.uint8)), labels, names, ids, groups={"pair": pairs, "same": same})


@pytest.fixture(autouse=True)
def _registered() -> None:
    if NAME not in list_datasets():
        register_dataset(NAME)(patterns)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["transfer", "multitask", NAME, *QUICK, *arguments], catch_exceptions=False)


def test_a_table_tells_each_alone_and_together() -> None:
    told = run("--labels", "class,pair", "--balancing", "pcgrad", "--balancing", "equal")
    assert told.exit_code == 0, told.output
    for words in ("alone, steps shared", "pcgrad", "gain over alone", "affinity of pair to class"):
        assert words in told.output
    assert "gradnorm" not in told.output


def test_json_is_the_results() -> None:
    told = json.loads(run("--labels", "class,pair", "--json", "--random").output)
    assert len(told) == 2 * 6
    assert {result["case"] for result in told} == {f"{NAME}: class", f"{NAME}: pair"}
    assert told[0]["sees"]["kind"] == "target-only"
    assert len(told[0]["draws"]) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--labels", "class,pairs"], "near: pair"),
        (["--labels", "class,same"], "the label set same has 1 classes"),
        (["--labels", ","], "name at least one"),
        (["--balancing", "gradnrm"], "near: gradnorm"),
        (["--shots", "8"], "ask for fewer"),
        (["--learning-rate", "-1"], "learning_rate must be"),
        (["--train-backbone", "--random"], "needs a preprocessing with mean and std"),
    ],
)
def test_what_it_refuses(arguments: list[str], words: str) -> None:
    told = run(*arguments)
    assert told.exit_code == 2
    assert words in told.output
    assert len(told.output.strip().splitlines()) == 1
