from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch

from fewshot.embeddings import EmbeddingTable
from fewshot.episodes import SplitSampler
from fewshot.errors import InvalidInput
from fewshot.learners import Prototypical, Ridge, evaluate
from fewshot.learners.tuning import candidates, fit_tuned


@dataclass(frozen=True)
class TunedRidge(Ridge):
    grid: ClassVar = {"penalty": (1e-2, 1.0, 100.0), "scale": (1.0, 8.0)}


@pytest.fixture
def table():
    draw = torch.Generator().manual_seed(3)
    labels = torch.arange(6).repeat_interleave(30)
    features = torch.randn(6, 24, generator=draw)[labels] + 2.5 * torch.randn(180, 24, generator=draw)
    return EmbeddingTable(features, labels, tuple("abcdef"), tuple(map(str, range(180))))


def episodes(table, **settings):
    pool = torch.arange(180) % 30 < 20
    return SplitSampler(table.labels, pool=pool, test=~pool, shots=4, **settings).sample(5)


def reference(table, drawn, task):
    """The validation accuracy and the test probabilities of every setting, one task at a time."""
    found = []
    for penalty in (1e-2, 1.0, 100.0):
        for scale in (1.0, 8.0):
            head = Ridge(penalty=penalty, scale=scale).fit(
                table.features[drawn.support[task]][None], drawn.support_labels[task][None], 6
            )
            held = drawn.validation[task] >= 0
            logits = head(table.features[drawn.validation[task][held]][None])[0]
            labels = drawn.validation_labels[task][held]
            accuracy = float((logits.argmax(1) == labels).double().mean())
            loss = float(torch.nn.functional.cross_entropy(logits, labels))
            test = head(table.features[drawn.query[task]][None])[0].softmax(1)
            found.append(((-accuracy, loss), {"penalty": penalty, "scale": scale}, test))
    return found


@pytest.mark.parametrize(("tuning", "validation"), [("few", 4), ("full", "rest")])
def test_the_best_setting_on_the_validation_items_is_taken_for_each_task(table, tuning, validation):
    drawn = episodes(table, validation=validation)
    found = evaluate(TunedRidge(), table, drawn, tuning=tuning, chunk=2)
    for task, chosen in enumerate(found.settings["chosen"]):
        best = min(reference(table, drawn, task), key=lambda each: each[0])
        assert chosen == best[1]
        right = (best[2].argmax(1) == drawn.query_labels[task]).double().mean()
        assert found.per_episode[task] == pytest.approx(float(right))
    assert tuning == "full" or len({str(chosen) for chosen in found.settings["chosen"]}) > 1


def test_an_ensemble_is_the_mean_of_the_probabilities(table):
    drawn = episodes(table, validation=1)
    support, query = table.features[drawn.support], table.features[drawn.query]
    head = fit_tuned("ensemble", TunedRidge(), lambda one: one.fit(support, drawn.support_labels, 6))
    for task in range(5):
        mean = torch.stack([each[2] for each in reference(table, drawn, task)]).mean(0)
        torch.testing.assert_close(head(query)[task].softmax(1), mean)
    found = evaluate(TunedRidge(), table, episodes(table), tuning="ensemble")
    right = (head(query).argmax(2) == drawn.query_labels).double().mean(1)
    assert found.settings["chosen"] == []
    assert len(right) == len(found.per_episode)


def test_settings_outside_the_grid_stay():
    tried = candidates(TunedRidge(penalty=5.0, bias=False))
    assert [(one.penalty, one.scale) for one in tried[:3]] == [(1e-2, 1.0), (1e-2, 8.0), (1.0, 1.0)]
    assert not any(one.bias for one in tried)
    assert len(tried) == 6


def test_without_tuning_the_validation_items_change_nothing(table):
    drawn = episodes(table, validation=4)
    plain = evaluate(TunedRidge(), table, drawn)
    assert "chosen" not in plain.settings
    assert torch.equal(plain.per_episode, evaluate(Ridge(), table, drawn).per_episode)


def test_what_cannot_be_tuned_is_told(table):
    with pytest.raises(InvalidInput, match="tuning must be one of none, few, full, ensemble, found 'best'"):
        evaluate(TunedRidge(), table, episodes(table), tuning="best")
    with pytest.raises(InvalidInput, match="tuning='few' chooses settings on validation items, and the episodes have"):
        evaluate(TunedRidge(), table, episodes(table), tuning="few")
    with pytest.raises(InvalidInput, match="prototypical has no settings to tune"):
        evaluate(Prototypical(), table, episodes(table), tuning="ensemble")
