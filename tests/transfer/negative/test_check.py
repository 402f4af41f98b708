"""Verdicts, held-out choice, and the check on real digits."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

import fewshot
from fewshot.errors import InvalidInput
from fewshot.metrics import paired_test
from fewshot.transfer.negative import TransferCheck, choose_by_cross_validation, stratified_folds, transfer_check
from fewshot.transfer.negative.scratch import scratch_accuracy
from fewshot.transfer.per_class import some_of_each


def _draws(mean: float, seed: int, spread: float = 0.02) -> torch.Tensor:
    return mean + spread * torch.randn(12, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_verdicts() -> None:
    check = TransferCheck({"pretrained": _draws(0.8, 0), "random": _draws(0.5, 1), "pixels": _draws(0.4, 2)})
    assert (check.verdict, check.best) == ("helps", "pretrained")
    check = TransferCheck({"pretrained": _draws(0.6, 0), "random": _draws(0.5, 1), "pixels": _draws(0.7, 2)})
    assert check.verdict == "hurts"
    assert "fall back to pixels" in check.advice
    check = TransferCheck({"pretrained": _draws(0.6, 0), "random": _draws(0.5, 1), "pixels": _draws(0.6, 2)})
    assert check.verdict == "can't be told"
    assert "from pixels" in check.advice
    told = json.loads(json.dumps(check.to_json()))
    assert told["gain"]["random"]["mean"] == pytest.approx(0.1, abs=0.03)


def test_two_comparisons_ask_for_more_than_one() -> None:
    a, b = _draws(0.6, 0), _draws(0.55, 1)
    check = TransferCheck({"pretrained": a, "random": b, "pixels": b})
    assert check.gains["random"].difference.confidence == pytest.approx(0.975)
    assert check.gains["random"].difference.half_width > paired_test(a, b).difference.half_width


def test_a_check_on_digits() -> None:
    digits = some_of_each(fewshot.load_dataset("digits"), 30)
    assert digits.class_counts.tolist() == [30] * 10
    pixels = fewshot.embed(
        fewshot.create_backbone("fewshot:raw-pixels", device="cpu"), digits, workers=0, progress=False
    )
    noise = replace(pixels, features=torch.rand(len(digits), 20))
    episodes = fewshot.EpisodeSampler(digits.labels, ways=5, shots=5, queries=10).sample(4)
    learner = fewshot.create_learner("prototypical")
    images = pixels.features.view(-1, 3, 32, 32)
    check = transfer_check({"noise": noise, "pixels": pixels}, episodes, learner, images)
    assert check.verdict == "hurts"
    assert check.best in ("pixels", "trained from scratch")
    assert check.intervals["trained from scratch"].mean > 0.5
    assert torch.equal(check.accuracy["pixels"], fewshot.evaluate(learner, pixels, episodes).per_episode)
    assert torch.equal(scratch_accuracy(images, episodes[:1], 3), scratch_accuracy(images, episodes[:1], 3))


def test_some_of_each_leaves_out_classes() -> None:
    digits = fewshot.load_dataset("digits")
    part = some_of_each(digits, 7, classes=4, seed=3)
    assert part.class_counts.tolist() == [7] * 4
    assert set(part.ids) <= set(digits.ids)
    assert part.ids == some_of_each(digits, 7, classes=4, seed=3).ids != some_of_each(digits, 7, classes=4, seed=4).ids
    with pytest.raises(InvalidInput, match="1 or more"):
        some_of_each(digits, 0)


@pytest.mark.parametrize("counts", [(5, 5, 5), (3, 9, 4), (6, 3, 11)])
def test_folds_hold_every_class(counts: tuple[int, ...]) -> None:
    labels = torch.arange(3).repeat_interleave(torch.tensor(counts))[torch.randperm(sum(counts))]
    fold = stratified_folds(labels, 3)
    for number in range(3):
        held = labels[fold == number].bincount(minlength=3)
        assert all(count // 3 <= found <= -(-count // 3) for found, count in zip(held.tolist(), counts, strict=True))
    assert fold.bincount().max() - fold.bincount().min() <= 1


def test_the_simplest_is_chosen_unless_another_is_better_beyond_doubt() -> None:
    labels = torch.arange(40) % 2
    guesses = torch.randint(2, (40,), generator=torch.Generator().manual_seed(0))
    nearly = labels.clone()
    nearly[7] = 1 - nearly[7]
    candidates = {
        "guess": lambda learn, answer: guesses[answer],
        "nearly": lambda learn, answer: nearly[answer],
        "right": lambda learn, answer: labels[answer],
    }
    choice = choose_by_cross_validation(candidates, labels, folds=5, standard_errors=1.1)
    assert (choice.chosen, choice.best) == ("nearly", "right")  # one mistake in all is one standard error
    assert choice.accuracy["right"] == 1
    assert choice.accuracy["nearly"] == pytest.approx(39 / 40)
    assert choice.standard_error["nearly"] == pytest.approx((1 / 8) * (0.2 / 5) ** 0.5)
    assert choose_by_cross_validation(candidates, labels, folds=5, standard_errors=0.9).chosen == "right"


def test_bad_input() -> None:
    with pytest.raises(InvalidInput, match="5 folds need"):
        stratified_folds(torch.tensor([0, 0, 0, 1, 1, 1]), 5)
    with pytest.raises(InvalidInput, match="two classes or more, found 1"):
        stratified_folds(torch.zeros(6, dtype=torch.int64), 2)
    with pytest.raises(InvalidInput, match="found none"):
        choose_by_cross_validation({}, torch.arange(6) % 2)
    with pytest.raises(InvalidInput, match="an alternative"):
        TransferCheck({"pretrained": _draws(0.5, 0)})
    with pytest.raises(InvalidInput, match="16 pixels"):
        scratch_accuracy(torch.rand(4, 3, 8, 8), fewshot.EpisodeSampler(torch.arange(20) % 2, 2, 1, 1).sample(1))
    names, ids = ("a", "b"), tuple(map(str, range(8)))
    table = fewshot.EmbeddingTable(torch.ones(8, 3), torch.arange(8) % 2, names, ids)
    episodes = fewshot.EpisodeSampler(table.labels, ways=2, shots=1, queries=1).sample(2)
    learner = fewshot.create_learner("prototypical")
    with pytest.raises(InvalidInput, match="'flat' are the same"):
        transfer_check({"flat": table}, episodes, learner)
    single = replace(table, features=torch.rand(8, 3), labels=torch.zeros(8, dtype=torch.int64))
    with pytest.raises(InvalidInput, match="two classes"):
        transfer_check({"one": single}, episodes, learner)
    with pytest.raises(InvalidInput, match="'b' has others"):
        transfer_check({"a": single, "b": single.select(torch.arange(4))}, episodes, learner)
