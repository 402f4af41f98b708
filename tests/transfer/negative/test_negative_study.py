"""The study of negative transfer on digits at hand: trust loses to flipped labels, and the report says so."""

from __future__ import annotations

import torch

from fewshot.transfer.negative import choose_by_cross_validation, choose_depth, held_out_choice
from fewshot.transfer.studies import load_study
from fewshot.transfer.studies.negative import BACK, measure
from fewshot.transfer.studies.negative_cases import ALONE, TRUST, pooled_case


def test_flipped_labels_hurt_and_the_remedies_mend() -> None:
    from sklearn.datasets import load_digits

    pixels, labels = (torch.tensor(part) for part in load_digits(return_X_y=True))
    pixels = torch.nn.functional.normalize(pixels)
    source, target = torch.arange(300), torch.arange(300, 900)
    case = pooled_case(pixels[source], (labels[source] + 1) % 10, pixels[target], labels[target], 10, {})
    found = {result.method: result for result in measure("flipped", case)}
    means = {way: result.interval.mean for way, result in found.items()}
    assert means[TRUST] < means[ALONE] - 0.2
    assert min(means[way] for way in (BACK, "agreeing items", "pull, held out")) > means[TRUST] + 0.2
    assert found[ALONE].sees.kind == "target-only"
    assert found[TRUST].sees.kind == "inductive"
    told = load_study("negative").section(list(found.values()))
    assert "the source hurt in 1 of 1 cases" in told
    assert f"{BACK} in 1 of 1" in told
    assert load_study("negative").section(list(found.values())[:1]) == "Nothing was measured yet."
    assert isinstance(load_study("negative").section([]), str)


def test_the_choice_within_a_draw_sees_its_own_labels_alone() -> None:
    labels = torch.arange(40) % 2
    asked: list[torch.Tensor] = []

    def right(learn: torch.Tensor, answer: torch.Tensor) -> torch.Tensor:
        asked.append(torch.cat([learn, answer]))
        return labels[answer]

    learn, query = torch.arange(20), torch.arange(20, 40)
    answers = held_out_choice({"wrong": lambda _, answer: 1 - labels[answer], "right": right}, labels)(learn, query)
    assert torch.equal(answers, labels[query])
    *inner, last = asked
    assert all(int(items.max()) < 20 for items in inner)
    assert torch.equal(last, torch.cat([learn, query]))
    choice = choose_by_cross_validation({"right": right}, labels)
    assert choice.chosen == "right"


def test_the_depth_that_tells_the_classes_is_chosen() -> None:
    labels = 5 + torch.arange(60) % 3
    told = torch.eye(3)[labels - 5] + 0.3 * torch.randn(60, 3)
    choice = choose_depth({"shallow": torch.randn(60, 8), "middle": told, "deep": torch.randn(60, 8)}, labels)
    assert choice.chosen == "middle"
    assert choice.accuracy["middle"] > 0.8 > choice.accuracy["deep"]
    copies = choose_depth({"first": told, "second": 3 * told}, labels, standard_errors=1)
    assert copies.chosen == "first"
