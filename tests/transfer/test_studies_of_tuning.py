"""The studies of layers and fine-tuning: what is drawn, what is measured once, and answers that follow the numbers."""

from dataclasses import replace

import pytest
import torch

from fewshot.transfer import INDUCTIVE, TransferResult, TransferStore
from fewshot.transfer.finetuning import FineTuning, parse_schedule
from fewshot.transfer.studies import augmentation, few_images, layers, load_study, regularisers, stages
from fewshot.transfer.studies.few_images import Measurement, drawn, epochs_of, measure

NAMES = ["layers", "stages", "regularisers", "augmentation"]


def result(study: str, data: str, shots: int, method: str, *draws: float) -> TransferResult:
    facts = {"dataset": data, "shots": shots}
    case = Measurement(data, shots, method, lambda images: FineTuning()).case
    return TransferResult(study, case, method, INDUCTIVE, draws, data=facts)


@pytest.mark.parametrize("name", NAMES)
def test_a_question_and_a_section_of_nothing(name):
    study = load_study(name)
    assert study.claim.endswith("?")
    assert study.section([]) == "Nothing is measured yet."


def test_answers_follow_the_numbers():
    results = [
        result("stages", "caltech101", 1, stages.HEAD, 0.50, 0.60, 0.70),
        result("stages", "caltech101", 1, stages.ALL, 0.40, 0.51, 0.59),
        result("stages", "caltech101", 20, stages.HEAD, 0.70, 0.80, 0.75),
        result("stages", "caltech101", 20, stages.ALL, 0.80, 0.91, 0.85),
        result("stages", "mnist", 1, stages.HEAD, 0.50, 0.60, 0.70),
        result("stages", "mnist", 1, stages.ALL, 0.60, 0.50, 0.75),
    ]
    told = stages.section(results)
    assert "| head | inductive | 60.0 ± 24.8 | 75.0 ± 12.4 | 60.0 ± 24.8 |" in told
    assert "better on caltech101, 20 shots (+10.3 ± 1.4)" in told
    assert "worse on caltech101, 1 shot (-10.0 ± 2.5)" in told
    assert "not told apart on mnist, 1 shot" in told
    assert "From pretrained weights against random ones: not measured." in told


def test_whether_a_gain_falls_with_the_shots_is_tested():
    results = [
        result("augmentation", "caltech101", shots, method, *draws)
        for shots, method, draws in [
            (1, "none", (0.5, 0.6, 0.7)),
            (1, "light", (0.6, 0.71, 0.8)),
            (20, "none", (0.8, 0.9, 0.85)),
            (20, "light", (0.8, 0.91, 0.85)),
        ]
    ]
    assert "gain at 1 less gain at 20 shots: +10.0 ± 0.0 points" in augmentation.section(results)


def test_regularisers_are_told_against_none():
    results = [
        result("regularisers", "mnist", 5, "none", 0.5, 0.6, 0.7),
        result("regularisers", "mnist", 5, "l2-sp", 0.6, 0.71, 0.8),
    ]
    told = regularisers.section(results)
    assert "l2-sp against plain fine-tuning: better on mnist, 5 shots (+10.3 ± 1.4)" in told
    assert "bss against" not in told


def test_the_deepest_layer_is_not_always_best():
    results = [
        replace(result("layers", "omniglot", 5, method, *draws), case="omniglot")
        for method, draws in [
            ("blocks.4", (0.9, 0.91, 0.92)),
            ("output", (0.8, 0.82, 0.81)),
            (layers.ONE, (0.9, 0.91, 0.92)),
            (layers.BLEND, (0.8, 0.82, 0.81)),
        ]
    ]
    told = layers.section(results)
    assert "omniglot (drawn, far from ImageNet): blocks.4 has the highest mean" in told
    assert "chosen on held-out items: +10.0 ± 2.5 points over output" in told


def test_few_shots_are_not_trained_for_less():
    assert [epochs_of(12, images) for images in (5, 25, 100)] == [12, 12, 3]
    for method in stages.METHODS:
        schedule = parse_schedule(stages.schedule_of(method, 25))
        assert schedule.epochs >= 12
    assert not stages.settings(stages.SCRATCH, 5).schedule.pretrained


def test_draws_share_no_image_and_repeat(shared_data):
    train, test = drawn("mnist", 3, 1)
    assert (len(train), len(test)) == (15, 150)
    assert train.pixels.shape[1:] == (3, few_images.SIDE, few_images.SIDE)
    assert not (train.pixels[:, None, 0] == test.pixels[None, :, 0]).flatten(2).all(2).any()
    drawn.cache_clear()
    again, _ = drawn("mnist", 3, 1)
    assert torch.equal(again.pixels, train.pixels)
    assert drawn("mnist", 3, 2)[0].class_names != train.class_names


@pytest.mark.slow
def test_what_is_measured_is_kept_and_not_measured_again(shared_data, offline_weights, tmp_path):
    store = TransferStore(tmp_path)
    asked = []

    def settings(images: int):
        asked.append(images)
        return stages.settings(stages.HEAD, images)

    wanted = [Measurement("mnist", 1, stages.HEAD, settings)]
    for _ in range(2):
        measure("stages", wanted, store, False)
    assert asked == [5]
    (found,) = store.find("stages")
    assert len(found.draws) == few_images.DRAWS
    assert found.interval.mean > 0.2
