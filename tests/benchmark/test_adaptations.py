"""Experiments on frozen features: every file is sound, and one is run from pictures to the mean over data sets."""

import json
from collections import Counter
from dataclasses import replace
from statistics import fmean

import pytest
import torch
from clip_models import COLOURS, squares
from torchvision.utils import save_image

from fewshot.benchmark.experiments import (
    Adaptation,
    AdaptedOurs,
    Measured,
    adaptation,
    catalogue,
    experiment_facts,
    experiment_rows,
    experiments_markdown,
    list_experiments,
    load_experiment,
    read_experiment,
    record,
    reproduce,
    shortened,
    told_rows,
)
from fewshot.benchmark.experiments.catalogue import experiment_json
from fewshot.benchmark.experiments.reproduction import adapt
from fewshot.datasets import list_datasets
from fewshot.errors import FewshotError, InvalidInput, UnreadableFile
from fewshot.learners import create_learner
from fewshot.zeroshot.templates import template_set

ADAPTATIONS = [name for name in list_experiments() if isinstance(load_experiment(name), Adaptation)]
GDA, ZERO_SHOT = "gda/wang2024_rn50", "zero_shot/radford2021_rn50"
MADE = {"date": "2026-01-01", "packages": {"torch": "2.15.0"}, "hardware": "2 CPU cores, AVX-512"}


@pytest.mark.parametrize("name", ADAPTATIONS)
def test_every_file_of_an_adaptation_is_sound(name):
    found = load_experiment(name)
    learner = found.learner()
    assert learner.needs_words
    sets = [each.dataset for each in found.data]
    assert set(sets) <= set(list_datasets())
    assert max(Counter(sets).values()) == 1
    assert len({(each.episodes, each.seed, each.tuning) for each in found.data}) == 1
    templates = {each.dataset: len(template_set(each.words).templates) for each in found.data}
    assert all(count == 1 or name.startswith("imagenet") for name, count in templates.items()), "one but for ImageNet"
    assert found.data[0].tuning == "none" or learner.grid
    assert {each.published for each in found.evaluations} - {None}
    for each in found.evaluations:
        assert (each.shots == 0) == (not learner.needs_support)
    if hasattr(learner, "warm_start"):
        assert not learner.warm_start, "the paper's has no labelled images"


def test_numbers_of_the_data_sets_have_the_mean_that_was_published():
    mean, *rows = load_experiment("gda/wang2024_vit_b16").evaluations
    assert mean.published == pytest.approx(fmean(row.published for row in rows), abs=0.1)


@pytest.fixture
def experiment(clip_folder, tmp_path, monkeypatch):
    """GDA at one and two shots on two small folders of coloured squares, by a model that knows colours."""
    names = list(COLOURS)
    for folder, seed, kept in (("four", 1, names[:4]), ("eight", 2, names)):
        images, labels = squares(9, seed)
        for row, (image, label) in enumerate(zip(images, labels.tolist(), strict=True)):
            if names[label] in kept:
                place = tmp_path / folder / names[label]
                place.mkdir(parents=True, exist_ok=True)
                save_image(image, place / f"{row:03d}.png")
    backbone = f"open_clip:local-dir:{clip_folder('clip')}"
    monkeypatch.setattr(adaptation, "list_backbones", lambda pattern="*": [backbone.partition("/")[0]])
    content = json.loads((catalogue.FOLDER / f"{GDA}.json").read_text())
    common = {"split": "all", "pool": "2/3", "words": "a {} square", "episodes": 3, "seed": 0, "tuning": "few"}
    content |= {
        "backbone": backbone,
        "data": [{"dataset": f"folder:{tmp_path / folder}", **common} for folder in ("four", "eight")],
        "evaluations": [{"shots": 1, "published": 62.19}, {"shots": 2, "goal": 100.0}],
    }
    monkeypatch.setattr(catalogue, "FOLDER", tmp_path / "experiments")
    path = tmp_path / "experiments" / "gda" / "small2026.json"
    path.parent.mkdir(parents=True)
    path.write_text(experiment_json(content))
    return load_experiment("gda/small2026")


def test_an_adaptation_runs_from_pictures_to_the_mean_over_data_sets(experiment, tmp_path):
    ours = reproduce(experiment.id, tmp_path / "out", device="cpu", progress=False)
    assert [result.tasks for result in ours.results] == [3, 3]
    files = sorted((tmp_path / "out" / "results").rglob("*.json"))
    assert len(files) == 4, "two data sets at two numbers of shots"
    for shots, result in zip((1, 2), ours.results, strict=True):
        found = [json.loads(file.read_text()) for file in files]
        draws = [each["evaluation"]["per_episode"] for each in found if each["protocol"]["shots"] == shots]
        means = torch.tensor(draws).mean(0)
        assert result.percent == pytest.approx(100 * float(means.mean()), abs=1e-3)
        assert result.ci95 == pytest.approx(100 * 4.302653 * float(means.std()) / 3**0.5, abs=1e-2), "t, 2 degrees"
        assert result.percent > 60, "the model knows the colours"
    assert json.loads((tmp_path / "out" / "result.json").read_text())["ours"] == ours.to_json()
    written = {file: file.stat().st_mtime_ns for file in files}
    again = reproduce(experiment.id, tmp_path / "out", device="cpu", progress=False)
    assert again.results == ours.results
    assert {file: file.stat().st_mtime_ns for file in files} == written, "what was done is not done again"

    record(experiment.id, ours)
    recorded = load_experiment(experiment.id)
    assert recorded == replace(experiment, ours=ours)
    one, two = experiment_rows([recorded])
    assert one["ours"] == f"{ours.results[0].percent:.2f} ± {ours.results[0].ci95:.2f}"
    assert (one["reached"], two["reached"]) == (None, "yes" if ours.results[1].percent >= 100 else "no")
    assert "Ours: 3 draws (seed 0)" in experiments_markdown([recorded])


def test_a_quick_look_has_fewer_draws(experiment, tmp_path):
    ours = reproduce(experiment.id, tmp_path / "quick", tasks=2, device="cpu", progress=False)
    assert [result.tasks for result in ours.results] == [2, 2]
    assert shortened(experiment, tasks=100) == experiment
    with pytest.raises(InvalidInput, match="gda/small2026 trains no network; leave out the number of steps"):
        reproduce(experiment.id, tmp_path / "quick", steps=5)


def test_what_cannot_be_run_names_the_data_set(experiment, tmp_path):
    wanting = replace(experiment, data=(experiment.data[0], replace(experiment.data[1], dataset="folder:/not/there")))
    with pytest.raises(FewshotError, match=r"folder:/not/there, 1 shot, mean of 2 data sets: .*/not/there"):
        adapt(wanting, tmp_path / "out", "cpu", False)


def test_no_images_are_no_images(experiment, tmp_path):
    zero = replace(
        experiment,
        method="zero-shot",
        data=tuple(replace(each, tuning="none") for each in experiment.data),
        evaluations=(replace(experiment.evaluations[0], shots=0),),
    )
    [result] = adapt(zero, tmp_path / "out", "cpu", False).results
    assert (result.tasks, result.ci95) == (3, 0), "every draw is the same"
    [file, _] = (tmp_path / "out" / "results").rglob("*.json")
    assert json.loads(file.read_text())["protocol"]["shots"] == 0
    with pytest.raises(InvalidInput, match="gda needs images of the classes; shots must be 1 or more"):
        replace(zero, method="gda")


def test_without_a_pool_every_picture_is_asked_for(experiment, tmp_path):
    [part, _] = experiment.data
    whole = replace(part, tuning="none", shots=0, pool="none")
    zero = replace(
        experiment,
        method="tda",
        settings={"warm_start": False},
        data=(whole,),
        evaluations=(replace(experiment.evaluations[0], shots=0),),
    )
    adapt(zero, tmp_path / "out", "cpu", False)
    [file] = (tmp_path / "out" / "results").rglob("*.json")
    found = json.loads(file.read_text())
    assert found["dataset"]["items"] == 36
    assert sum(found["evaluation"]["per_class"]["queries"]) == 3 * 36, "all of it, in each of three orders"
    for changes in ({"shots": 1}, {"half": "base"}):
        with pytest.raises(InvalidInput, match="pool 'none' holds nothing to learn from: set shots=0 and no half"):
            replace(whole, **changes)
    for changes in ({"tuning": "full"}, {"pool": "2/3", "tuning": "few"}, {"pool": None, "ways": 5}):
        with pytest.raises(InvalidInput, match="0 shots leave the words alone, of all classes and untuned"):
            replace(whole, **changes)


@pytest.mark.parametrize("method", ["clip-adapter", "prolip"])
def test_halves_of_the_classes_have_a_harmonic_mean(experiment, tmp_path, method):
    shots = experiment.evaluations[0]
    halves = tuple(replace(shots, half=half) for half in ("base", "new", "harmonic"))
    untuned = tuple(replace(each, tuning="none") for each in experiment.data)
    adapter = replace(experiment, method=method, data=untuned, evaluations=halves)
    adapt(adapter, tmp_path / "out", "cpu", False)
    files = [json.loads(file.read_text()) for file in (tmp_path / "out" / "results").rglob("*.json")]
    assert len(files) == 4, "two data sets, each by halves"
    base, new = (
        torch.tensor([each["evaluation"]["per_episode"] for each in files if each["protocol"]["half"] == half]).mean(0)
        for half in ("base", "new")
    )
    results = adapt(adapter, tmp_path / "out", "cpu", False).results
    for result, draws in zip(results, (base, new, 2 * base * new / (base + new)), strict=True):
        assert result.percent == pytest.approx(100 * float(draws.mean()), abs=1e-3)
    assert results[0].percent != results[1].percent
    assert files[0]["backbone"]["layers"] == (["pre-projection"] if method == "prolip" else None)
    assert [adapter.task(each) for each in halves] == [
        "1 shot, mean of 2 data sets, base half",
        "1 shot, mean of 2 data sets, new half",
        "1 shot, mean of 2 data sets, harmonic mean",
    ]
    with pytest.raises(InvalidInput, match="what gda learns of its classes says nothing of others"):
        replace(adapter, method="gda")


def test_the_page_tells_each_list_of_data_sets_once_and_what_was_not_run():
    found = [load_experiment(name) for name in (GDA, ZERO_SHOT)]
    rows = told_rows(found)
    assert {row["ours"] for row in rows} == {"not run"}
    assert {row["ours"] for row in experiment_rows(found)} == {None}
    assert [row["task"] for row in rows][-2:] == ["16 shots, mean of 11 data sets", "no images, mean of 11 data sets"]
    text = experiments_markdown(found)
    assert text.count("fgvc-aircraft") == 1
    assert "`zero-shot` on `open_clip:RN50/openai`; 2 draws, tuning none; the data sets of gda/wang2024_rn50." in text
    assert f"Not run yet: `fewshot bench reproduce {ZERO_SHOT}`." in text
    facts = experiment_facts(found[1])
    assert facts["paper"].endswith("arXiv:2103.00020")
    assert "fgvc-aircraft (part=test from part=train, words `a photo of a {}, a type of aircraft.`)" in facts["how"]
    assert "finding" not in facts


BROKEN = [
    ({"method": "gdaa"}, "no learner is called 'gdaa'"),
    ({"settings": {"alfa": 1}}, "gda has no setting 'alfa'"),
    ({"backbone": "open_clip:RN51/openai"}, "no backbone is called 'open_clip:RN51/openai'"),
    ({"data": []}, "needs a data set and an evaluation"),
    ({"data": [{"dataset": "dtd", "episodes": 10}]}, "dtd: supports are drawn twice or more from a pool"),
    ({"data": [{"dataset": "dtd", "pool": "7/10", "episodes": 1}]}, "dtd: supports are drawn twice or more"),
    ({"data": [{"dataset": "dtd", "pool": "7/10", "colour": 1}]}, "protocol settings .'colour'. are not known"),
    ({"evaluations": [{"shots": 0, "published": 50}]}, "gda needs images of the classes"),
    ({"evaluations": [{"shots": 1, "published": 622}]}, "published must be per cent"),
    ({"evaluations": [{"shots": 1, "dataset": "omniglot"}]}, "no data set of this experiment is called 'omniglot'"),
    ({"ours": {"results": [], "hours": 1, "provenance": MADE}}, "a result for each of the 5 evaluations, found 0"),
]


@pytest.mark.parametrize(("change", "message"), BROKEN, ids=[message for _, message in BROKEN])
def test_a_broken_adaptation_is_named_with_what_is_wrong(tmp_path, change, message):
    content = json.loads((catalogue.FOLDER / f"{GDA}.json").read_text()) | change
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(content))
    with pytest.raises(UnreadableFile, match=rf"broken\.json is no valid experiment: .*{message}"):
        read_experiment(path, "broken")


def test_what_came_out_of_an_adaptation_is_read_back():
    ours = AdaptedOurs((Measured(62.5, 0.4, 10, 0),), 1.5, MADE)
    assert AdaptedOurs.from_json(json.loads(json.dumps(ours.to_json()))) == ours
    assert create_learner("gda").grid["alpha"][-1] == 100, "the authors' seven values"
