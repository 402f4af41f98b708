"""The experiments: every file is sound, what is run is what the file says, and what comes out is kept."""

import csv
import json
from dataclasses import replace

import pytest
import torch

from fewshot.backbones import list_backbones
from fewshot.benchmark import experiments
from fewshot.benchmark.experiments import (
    Experiment,
    catalogue,
    list_experiments,
    load_experiment,
    read_experiment,
    reproduce,
)
from fewshot.benchmark.experiments.catalogue import experiment_json
from fewshot.benchmark.experiments.measured import Measured, Ours, thinned
from fewshot.datasets import list_datasets, load_dataset
from fewshot.datasets.collection.omniglot_runs import one_shot_runs
from fewshot.errors import InvalidInput, UnknownName, UnreadableFile
from fewshot.learners.meta import list_meta_learners
from fewshot.learners.meta.training.meta_model import MetaModel

RUNS = "protonet/lake2019_oneshot_minimal1"
PROTONET = "protonet/snell2017_omniglot"
MADE = {"date": "2026-01-01", "packages": {"torch": "2.15.0"}, "hardware": "2 CPU cores, AVX-512"}


def some_ours(results: int) -> Ours:
    measured = tuple(Measured(90.0 + place, 0.25, 1000, 0) for place in range(results))
    return Ours(measured, 20, 10, 0.5, 0, ((10, 1.5, 0.7, 0.9), (20, 1.0, 0.8, None)), MADE)


@pytest.mark.parametrize("name", list_experiments())
def test_every_file_is_sound(name):
    found = load_experiment(name)
    assert name.partition("/")[0].replace("_", "-") == found.method
    assert found.paper.citation
    assert name.split("/")[1].split("_")[0][-4:].isdigit(), "the name tells the paper's year"
    for result, asked in zip(found.ours.results if found.ours else (), found.evaluations, strict=bool(found.ours)):
        if asked.goal and result.percent < asked.goal:
            assert found.finding, "a number that falls short needs a finding"


def experiments_of(kind: type) -> list[str]:
    return [name for name in list_experiments() if isinstance(load_experiment(name), kind)]


TRAINED = experiments_of(Experiment)


@pytest.mark.parametrize("name", TRAINED)
def test_every_file_of_a_training_is_sound(name):
    found = load_experiment(name)
    assert found.method in list_meta_learners()
    assert found.backbone in list_backbones("*")
    parts = [part for part in (found.data.train, found.data.validation, found.data.test) if part]
    assert {part.dataset for part in parts} <= set(list_datasets())
    assert found.data.train.split != found.data.test.split
    if found.ours:
        assert found.ours.hours > 0
        assert found.ours.steps <= found.training.steps
        assert found.ours.seed == found.training.seed
        assert found.ours.curve[-1][0] == found.ours.steps
        for result, asked in zip(found.ours.results, found.evaluations, strict=True):
            assert (result.tasks, result.seed) == (asked.count, asked.seed)


@pytest.mark.parametrize("name", list_experiments())
def test_every_file_is_written_as_the_program_writes_it(name):
    text = (catalogue.FOLDER / f"{name}.json").read_text()
    assert experiment_json(json.loads(text)) == text


def test_training_and_test_share_no_class(shared_data):
    classes: dict[str, set[str]] = {}
    for name in TRAINED:
        data = load_experiment(name).data
        parts = [part for part in (data.train, data.validation, data.test) if part]
        for part in parts:
            if str(part) not in classes:
                classes[str(part)] = set(part.load().class_names)
        found = [classes[str(part)] for part in parts]
        assert len(set.union(*found)) == sum(map(len, found)), name


def test_a_part_of_a_split_has_the_classes_of_its_groups_alone(shared_data):
    train = load_experiment(RUNS).data.train.load()
    assert len(train.class_names) == 136
    assert {name.partition("/")[0] for name in train.class_names} == {
        "Balinese", "Early_Aramaic", "Greek", "Korean", "Latin"
    }  # fmt: skip
    assert train.class_counts.unique().tolist() == [20]


def test_a_quick_run_trains_evaluates_goes_on_and_tells(shared_data, tmp_path):
    ours = reproduce(RUNS, tmp_path, steps=2, device="cpu", progress=False)
    assert (ours.steps, ours.best_step, len(ours.results), ours.results[0].tasks) == (2, 2, 1, 20)
    assert json.loads((tmp_path / "result.json").read_text()) == {"experiment": RUNS, "ours": ours.to_json()}
    with (tmp_path / "log.csv").open() as file:
        assert [row[0] for row in ours.curve] == [int(row["step"]) for row in csv.DictReader(file)] == [2]
    again = reproduce(RUNS, tmp_path, steps=2, device="cpu", progress=False)
    assert again == ours, "what has ended is not trained again, and its evaluation gives the same"
    expected = nearest_support(MetaModel.load(tmp_path / "best.safetensors", "cpu"))
    assert ours.results[0].percent == pytest.approx(100 * expected, abs=0.25 + 1e-6), "one near tie may differ"


def nearest_support(model: MetaModel) -> float:
    """The share of the queries of the runs whose nearest support image, by features made here, is of their class."""
    dataset, right = load_dataset("omniglot", "evaluation"), 0
    runs = one_shot_runs(dataset)

    @torch.no_grad()
    def embed(items):
        return model.model.backbone(torch.stack([model.network.preprocess(dataset[int(item)][0]) for item in items]))

    for support, query in zip(runs.support, runs.query, strict=True):
        nearest = torch.cdist(embed(query), embed(support)).argmin(1)
        right += int((dataset.labels[support][nearest] == dataset.labels[query]).sum())
    return right / 400


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_every_training_runs(shared_data, offline_weights, tmp_path, name):
    ours = reproduce(name, tmp_path, steps=1, tasks=2, device="cpu", progress=False)
    assert ours.steps == 1
    assert len(ours.results) == len(load_experiment(name).evaluations)


def test_shortened_is_shorter_and_nothing_else():
    whole = load_experiment(PROTONET)
    short = experiments.shortened(whole, steps=5, tasks=7)
    assert (short.training.steps, short.training.validate_every, short.training.validation_tasks) == (5, 5, 7)
    assert {evaluation.count for evaluation in short.evaluations} == {7}
    cut = {name: getattr(whole.training, name) for name in ("steps", "validate_every", "validation_tasks")}
    assert replace(short.training, **cut) == whole.training
    assert experiments.shortened(whole, steps=10**9, tasks=10**9) == replace(whole, ours=None)
    assert experiments.shortened(load_experiment(RUNS), tasks=2).evaluations[0].count == 20, "the runs are all needed"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Copies of the experiments that a test may write to."""
    for name in list_experiments():
        path = tmp_path / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text((catalogue.FOLDER / f"{name}.json").read_text())
    monkeypatch.setattr(catalogue, "FOLDER", tmp_path)
    return tmp_path


def test_what_is_recorded_is_read_back_and_nothing_else_changes(folder):
    before = load_experiment(PROTONET)
    ours = some_ours(4)
    path = experiments.record(PROTONET, ours)
    assert path == folder / f"{PROTONET}.json"
    assert load_experiment(PROTONET) == replace(before, ours=ours)
    assert "[ 20, 1.0, 0.8, null ]" in path.read_text(), "a row of the curve is one line"


def test_a_result_of_another_experiment_is_not_recorded(folder):
    before = (folder / f"{PROTONET}.json").read_text()
    with pytest.raises(InvalidInput, match="a result for each of the 4 evaluations, found 1"):
        experiments.record(PROTONET, some_ours(1))
    assert (folder / f"{PROTONET}.json").read_text() == before


def test_the_tables_tell_published_goal_and_ours(folder):
    experiments.record(PROTONET, some_ours(4))
    found = [load_experiment(PROTONET), replace(load_experiment(RUNS), ours=None)]
    rows = experiments.experiment_rows(found)
    assert [row["reached"] for row in rows] == ["no", "no", "no", "no", None]
    assert (rows[0]["published"], rows[0]["goal"], rows[0]["ours"]) == ("98.8", "98.5", "90.00 ± 0.25")
    text = experiments.experiments_markdown(found)
    assert "| [protonet/snell2017_omniglot](#protonetsnell2017_omniglot) | 5-way 1-shot, 15 queries" in text
    assert "0.50 hours of training on 2 CPU cores, AVX-512, 20 steps with seed 0" in text
    assert text.count("Not run yet: `fewshot bench reproduce protonet/lake2019_oneshot_minimal1`.") == 1
    assert experiments.curves_figure(found[1:]) is None
    figure = experiments.curves_figure(found)
    training, validation = figure.axes[0].get_lines()
    assert training.get_ydata() == pytest.approx([70, 80])
    assert (validation.get_xdata().tolist(), validation.get_ydata().tolist()) == ([10], [90])


def test_a_goal_is_reached_at_its_number():
    whole = load_experiment(PROTONET)
    evaluations = (replace(whole.evaluations[0], goal=90.0), replace(whole.evaluations[1], goal=91.1))
    row, other = experiments.experiment_rows([replace(whole, evaluations=evaluations, ours=some_ours(2))])
    assert (row["reached"], other["reached"]) == ("yes", "no")


@pytest.mark.parametrize("rows", [1, 199, 200, 201, 1000])
def test_a_long_curve_is_thinned_and_keeps_its_end(rows):
    history = [
        {"step": 10 * place, "loss": 1 / 3, "accuracy": 0.5, "validation_accuracy": None, "rate": 1.0}
        for place in range(1, rows + 1)
    ]
    curve = thinned(history)
    steps = [row[0] for row in curve]
    assert len(curve) <= 200
    assert steps[-1] == 10 * rows
    assert steps == sorted(set(steps))
    assert rows > 200 or len(curve) == rows
    assert curve[0][1:] == (0.33333, 0.5, None)


def test_an_unknown_experiment_is_refused_with_the_nearest():
    with pytest.raises(UnknownName, match="no experiment is called 'protonet/snell2017'; near: protonet/snell2017_"):
        load_experiment("protonet/snell2017")


BROKEN = [
    ({"method": "protonett"}, "no meta-learner is called 'protonett'"),
    ({"settings": {"metrik": "cosine"}}, "protonet has no setting 'metrik'"),
    ({"settings": {"metric": "taxi"}}, "metric must be 'euclidean' or 'cosine'"),
    ({"backbone": "fewshot:conv5"}, "no backbone is called 'fewshot:conv5'"),
    ({"training": {"ways": 60, "stepz": 5}}, "unexpected keyword argument 'stepz'"),
    ({"training": {"ways": 60, "steps": 0}}, "steps must be an integer of at least 1"),
    ({"evaluations": []}, "an experiment needs an evaluation"),
    ({"evaluations": [{"ways": 5, "shots": 1, "queries": 15, "published": 988}]}, "published must be per cent"),
    ({"evaluations": [{"ways": 5, "shots": 1, "queries": 15, "tasks": "some"}]}, "tasks must be 'drawn' or"),
    ({"evaluations": [{"ways": 5, "shots": 1, "queries": 1, "tasks": "one-shot-runs"}]}, "20 tasks of 20 ways"),
    ({"evaluations": [{"ways": 5, "shots": 1, "queries": 15, "settings": {"steps": 3}}]}, "no setting 'steps'"),
    ({"method": "maml", "settings": {}}, "maml is trained 60-way, not 5-way"),
    ({"colour": "blue"}, "unexpected keyword argument 'colour'"),
    ({"ours": {"results": []}}, "missing 5 required"),
]


@pytest.mark.parametrize(("change", "message"), BROKEN, ids=[message for _, message in BROKEN])
def test_a_broken_file_is_named_with_what_is_wrong(tmp_path, change, message):
    content = json.loads((catalogue.FOLDER / f"{PROTONET}.json").read_text()) | change
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(content))
    with pytest.raises(UnreadableFile, match=rf"broken\.json is no valid experiment: .*{message}"):
        read_experiment(path, "broken")


@pytest.mark.parametrize("missing", ["paper", "method", "data", "training", "evaluations"])
def test_a_file_that_lacks_a_part_is_named(tmp_path, missing):
    content = json.loads((catalogue.FOLDER / f"{PROTONET}.json").read_text())
    del content[missing]
    path = tmp_path / "cut.json"
    path.write_text(json.dumps(content))
    with pytest.raises(UnreadableFile, match=rf"cut\.json is no valid experiment: .*'{missing}'"):
        read_experiment(path, "cut")


def test_data_that_do_not_exist_are_refused(tmp_path):
    content = json.loads((catalogue.FOLDER / f"{PROTONET}.json").read_text())
    for part, message in (
        ({"dataset": "omniglott"}, "data set"),
        ({"dataset": "omniglot", "split": "dev"}, "split of"),
    ):
        path = tmp_path / "data.json"
        path.write_text(json.dumps(content | {"data": content["data"] | {"train": part}}))
        with pytest.raises(UnreadableFile, match=f"no {message}"):
            read_experiment(path, "data")


BAD_OURS = [
    ({"hours": -1.0}, "cannot be"),
    ({"best_step": 30}, "best_step 30 of 20 steps"),
    ({"provenance": {"date": "2026-01-01"}}, "provenance lacks hardware, packages"),
    ({"curve": ((1, 2),)}, "rows of step, loss, accuracy, validation_accuracy"),
    ({"seed": -1}, "seed must be an integer of at least 0"),
]


@pytest.mark.parametrize(("change", "message"), BAD_OURS, ids=[message for _, message in BAD_OURS])
def test_what_came_out_is_checked(change, message):
    with pytest.raises(InvalidInput, match=message):
        replace(some_ours(1), **change)


def test_an_accuracy_is_per_cent():
    with pytest.raises(InvalidInput, match="percent must be per cent between 0 and 100, found 101"):
        Measured(101, 0.1, 600, 0)
    with pytest.raises(InvalidInput, match="ci95 must be zero or more and finite, found nan"):
        Measured(50, float("nan"), 600, 0)
    assert Measured(50, 254.124, 2, 0).ci95 == 254.124, "the interval of two tasks"
