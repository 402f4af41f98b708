"""Sources in order, and how far scores agree with each other and with what was measured."""

from __future__ import annotations

import itertools
import math
import warnings
from dataclasses import replace

import pytest
import torch

import fewshot
from fewshot.errors import FewshotWarning, FingerprintMismatch, InvalidInput
from fewshot.transfer.transferability import Ranking, Source, rank_sources, spearman, weighted_tau


def test_correlations_against_their_definitions() -> None:
    a, b = [3.0, 1.0, 2.0, 5.0, 4.0], [0.2, 0.4, 0.1, 0.9, 0.5]
    ranks = [[sorted(values).index(value) for value in values] for values in (a, b)]
    gaps = sum((one - other) ** 2 for one, other in zip(*ranks, strict=True))
    assert spearman(a, b) == pytest.approx(1 - 6 * gaps / (5 * 24))
    assert weighted_tau(a, b) == pytest.approx((_tau(a, b, a) + _tau(a, b, b)) / 2)
    assert weighted_tau(a, a) == pytest.approx(1)
    assert math.isnan(spearman([1.0, 1.0], [1.0, 2.0]))
    with pytest.raises(InvalidInput, match="same sources"):
        spearman([1.0], [1.0])
    with pytest.raises(InvalidInput, match="finite"):
        weighted_tau([1.0, math.nan], [1.0, 2.0])


def _tau(a: list[float], b: list[float], by: list[float]) -> float:
    """Vigna's tau with hyperbolic weights 1 / (rank + 1), ranks counted from the best of `by`."""
    rank = {place: order for order, place in enumerate(sorted(range(len(by)), key=lambda i: -by[i]))}
    top = bottom = 0.0
    for i, j in itertools.combinations(range(len(a)), 2):
        weight = 1 / (rank[i] + 1) + 1 / (rank[j] + 1)
        top += weight * math.copysign(1, (a[i] - a[j]) * (b[i] - b[j]))
        bottom += weight
    return top / bottom


def _sources() -> tuple[list[Source], torch.Tensor]:
    labels = torch.arange(60) % 3
    means = 3 * torch.eye(6)[labels]
    features = [means + spread * torch.randn(60, 6) for spread in (0.5, 3.0, 1.5)]
    return [Source(name, x, x.softmax(1) if name == "good" else None) for name, x in zip(
        ("good", "bad", "middling"), features, strict=True)], labels  # fmt: skip


def test_ranking() -> None:
    sources, labels = _sources()
    ranking = rank_sources(sources, labels)
    assert ranking.order == ("good", "middling", "bad")
    assert ranking.ranks("gbc") == (1, 3, 2)
    assert math.isnan(ranking.values["leep"][1])
    assert math.isnan(ranking.ranks("leep")[2])
    assert ranking.agreement(["logme", "gbc"]) == {"logme, gbc": 1}
    assert ranking.agreement().keys() > {"h-score, transrate"}
    assert ranking.against([0.9, 0.5, 0.7])["gbc"] == {"weighted_tau": 1, "spearman": 1, "sources": 3}
    told = ranking.to_json()
    assert told["order"] == ["good", "middling", "bad"]
    assert told["sources"][1]["scores"]["leep"] is None


def test_equal_sources_share_a_rank() -> None:
    ranking = Ranking(("a", "b", "c"), {"x": (1.0, 1.0, 0.0)})
    assert ranking.ranks("x") == (1.5, 1.5, 3)


def test_the_order_goes_by_the_scores_that_are_trusted() -> None:
    ranking = Ranking(("a", "b"), {"logme": (1.0, 2.0), "h-score": (2.0, 1.0), "nce": (2.0, 1.0)})
    assert ranking.order == ("b", "a")
    assert ranking.counted == ("logme",)
    assert Ranking(("a", "b"), {"h-score": (2.0, 1.0), "nce": (2.0, 1.0)}).order == ("a", "b")


def test_saturated_scores_tie() -> None:
    labels = torch.arange(12) % 3
    ranking = rank_sources([Source(name, torch.randn(12, 40)) for name in "abc"], labels, ["h-score"])
    assert ranking.ranks("h-score") == (2, 2, 2)


def test_scores_that_need_more_items_are_left_out_unless_they_are_named() -> None:
    sources = [Source(name, torch.randn(7, 4)) for name in "ab"]
    labels = torch.tensor([0, 0, 1, 1, 2, 2, 3])
    with warnings.catch_warnings(record=True, category=FewshotWarning) as said:
        warnings.simplefilter("always")
        ranking = rank_sources(sources, labels)
    assert any("gbc is left out: gbc needs 2 items of every class" in str(each.message) for each in said)
    assert "logme" in ranking.values
    assert not {"gbc", "nleep", "leep"} & ranking.values.keys()
    with pytest.raises(InvalidInput, match="2 items of every class"):
        rank_sources(sources, labels, ["gbc"])
    with pytest.raises(InvalidInput, match="two classes or more"):
        rank_sources(sources, torch.zeros(7, dtype=torch.int64))


def test_bad_input() -> None:
    sources, labels = _sources()
    with pytest.raises(InvalidInput, match="two sources"):
        rank_sources(sources[:1], labels)
    with pytest.raises(InvalidInput, match="this source has none"):
        rank_sources(sources[1:], labels, ["leep"])


def test_a_source_data_set_speaks_through_its_head() -> None:
    labels = torch.arange(60) % 3
    features = 3 * torch.eye(6)[labels] + torch.randn(60, 6)
    ids = tuple(map(str, range(60)))
    target = fewshot.EmbeddingTable(features, labels, tuple("abc"), ids, backbone="net")
    shuffled = replace(target, labels=labels[torch.randperm(60)])
    sources = [Source.trained_on(table, target, name) for name, table in (("same", target), ("noise", shuffled))]
    ranking = rank_sources(sources, labels, ["leep", "nce"])
    assert ranking.order == ("same", "noise")
    assert sources[0].probabilities is not None
    assert sources[0].probabilities.sum(1).tolist() == pytest.approx([1] * 60)
    with pytest.raises(FingerprintMismatch, match="another backbone"):
        Source.trained_on(replace(target, backbone="other"), target)


def test_a_real_backbone_beats_its_random_twin(offline_weights: None) -> None:
    dataset = fewshot.load_dataset("digits")
    dataset = dataset.select(torch.arange(0, len(dataset), 30))
    sources = []
    for pretrained in (True, False):
        backbone = fewshot.create_backbone("timm:tf_efficientnet_lite0", device="cpu", pretrained=pretrained)
        table = fewshot.embed(backbone, dataset, progress=False, workers=0)
        sources.append(Source.of("pretrained" if pretrained else "random", backbone, table))
    ranking = rank_sources(sources, dataset.labels, ["logme", "gbc", "shrunk-h-score", "leep"])
    assert sources[0].probabilities is not None
    assert ranking.order[0] == "pretrained"
