"""Experiments of domain adaptation: sound files, published baselines reproduced to the digit, and clear refusals."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fewshot.benchmark.experiments import (
    DomainPair,
    DomainTransfer,
    experiments_markdown,
    list_experiments,
    load_experiment,
    read_experiment,
    reproduce,
    shortened,
)
from fewshot.errors import InvalidInput, UnknownName, UnreadableFile

NAMES = [name for name in list_experiments() if isinstance(load_experiment(name), DomainTransfer)]


def loaded(name: str) -> DomainTransfer:
    found = load_experiment(name)
    assert isinstance(found, DomainTransfer)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_file_is_sound(shared_data, name) -> None:
    experiment = loaded(name)
    domains = experiment.load().groups["domain"].names
    for pair in experiment.evaluations:
        assert {pair.source, pair.target} <= set(domains)
        assert pair.published is not None
    assert experiment.ours is not None
    assert all(row in experiments_markdown([experiment]) for row in ("Mean over", "intervals over the target's items"))


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("source_only")])
def test_the_published_baseline_comes_out_to_the_digit(shared_data, name, tmp_path) -> None:
    experiment = loaded(name)
    ours = reproduce(name, tmp_path, progress=False)
    for pair, found in zip(experiment.evaluations, ours.results, strict=True):
        assert found.percent == pytest.approx(pair.published, abs=0.0051)
    assert ours.results == experiment.ours.results
    assert (tmp_path / "result.json").is_file()


def test_an_adaptation_is_what_was_recorded(shared_data) -> None:
    experiment = loaded("gfk/long2013_digits")
    table = experiment.load()
    for pair, kept in zip(experiment.evaluations, experiment.ours.results, strict=True):
        assert experiment.measure(table, pair).percent == pytest.approx(kept.percent, abs=0.2)  # other linear algebra


def test_a_quick_look_is_refused() -> None:
    with pytest.raises(InvalidInput, match="trains no network"):
        shortened(loaded(NAMES[0]), steps=3)
    with pytest.raises(InvalidInput, match="all items of its domains"):
        shortened(loaded(NAMES[0]), tasks=3)


def test_what_does_not_exist_is_named(shared_data) -> None:
    experiment = loaded("source_only/long2013_digits")
    with pytest.raises(UnknownName, match="domain of mnist-usps-pixels is called 'svhn'"):
        experiment.measure(experiment.load(), DomainPair("mnist", "svhn"))
    with pytest.raises(UnknownName, match="table of features is called 'digit'"):
        replace(experiment, table="digit")
    with pytest.raises(UnknownName, match="no adaptation method is called 'tcaa'"):
        replace(experiment, method="tcaa")
    with pytest.raises(InvalidInput, match="a result for each of the 1 evaluations"):
        replace(experiment, evaluations=experiment.evaluations[:1])


def test_a_broken_file_is_named(tmp_path) -> None:
    path = tmp_path / "broken.json"
    path.write_text('{"table": "office-caltech10", "method": "tca", "paper": {"citation": "x"}, "evaluations": []}')
    with pytest.raises(UnreadableFile, match=r"broken\.json is no valid experiment"):
        read_experiment(path, "tca/broken")
