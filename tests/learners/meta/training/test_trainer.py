"""Training learns, is kept, goes on to the same numbers after any stop, and refuses what cannot work."""

import csv
import json
import re
from contextlib import contextmanager
from time import sleep, time

import programs
import pytest
import torch
from safetensors.torch import load_file
from tiny import BACKBONE, marks, training

from fewshot.errors import (
    Diverged,
    FewshotWarning,
    FingerprintMismatch,
    InvalidInput,
    MissingWeights,
    SamplingError,
    SplitError,
    UnknownName,
    UnreadableFile,
)
from fewshot.learners.meta.training import image_bank, running, trainer
from fewshot.learners.meta.training.checkpoint import read_record
from fewshot.learners.meta.training.meta_model import MetaModel
from fewshot.learners.meta.training.trainer import meta_train

FILES = {"best.safetensors", "last.safetensors", "training.json", "log.csv", "curves.png"}


def log(out) -> list[dict]:
    """The log without what depends on the clock."""
    with (out / "log.csv").open() as file:
        return [
            {name: value for name, value in row.items() if name not in ("seconds", "tasks_per_second")}
            for row in csv.DictReader(file)
        ]


def same_training(one, other) -> bool:
    """Bit-equal weights and optimiser states, last and best, and the same log."""
    for name in ("last", "best"):
        first, second = (load_file(out / f"{name}.safetensors") for out in (one, other))
        assert first.keys() == second.keys()
        assert all(torch.equal(first[key], second[key]) for key in first)
    return log(one) == log(other)


def test_a_training_learns_and_is_kept(train, held_out, tmp_path) -> None:
    told: list[dict] = []
    changes = {"ways": 10, "queries": 3, "tasks": 1, "learning_rate": 5e-3, "validation_ways": 5, "told": told.append}
    untrained = train(tmp_path / "none", "protonet", steps=1, validate_every=1, **{**changes, "learning_rate": 1e-9})
    model = train(tmp_path / "out", "protonet", steps=60, validate_every=30, **changes, dataset=marks(20))
    before, after = (
        each.evaluate(held_out, 5, 1, 3, tasks=100, progress=False) for each in (untrained, model)
    )  # fmt: skip
    assert after.mean - after.half_width > before.mean + before.half_width + 0.2
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    loaded = MetaModel.load(tmp_path / "out" / "best.safetensors", "cpu")
    assert loaded.evaluate(held_out, 5, 1, 3, tasks=100, progress=False) == after
    assert [row["step"] for row in told[1:]] == [30, 60]
    best = max(told[1:], key=lambda row: row["validation_accuracy"])
    standing, _ = read_record(tmp_path / "out" / "best.safetensors")
    assert (standing.best_step, standing.best_accuracy) == (best["step"], best["validation_accuracy"])
    assert standing.history[-1] == best


def test_training_json_says_what_was_trained(train, base, held_out, tmp_path) -> None:
    train(tmp_path, settings={"noise": 0.5}, steps=4, augmentation=("crop",), seed=3)
    record = json.loads((tmp_path / "training.json").read_text())
    assert record == read_record(tmp_path / "last.safetensors")[1]
    assert record["learner"]["name"] == "tiny"
    assert record["learner"]["settings"]["noise"] == 0.5
    assert record["backbone"] == BACKBONE
    assert record["dataset"]["fingerprint"] == base.fingerprint
    assert record["validation"]["fingerprint"] == held_out.fingerprint
    assert (record["training"]["steps"], record["training"]["augmentation"], record["ways"]) == (4, ["crop"], 3)


RESUMED = [
    {"optimizer": "adam", "schedule": "cosine"},
    {"optimizer": "adamw", "weight_decay": 0.1, "clip": 0.5},
    {"optimizer": "sgd", "learning_rate": 0.01, "momentum": 0.9, "schedule": "halve", "halve_every": 5},
    {"optimizer": "sgd", "momentum": 0.0, "rotations": True, "augmentation": ("crop", "flip"), "precision": "bfloat16"},
]


@pytest.mark.parametrize("changes", RESUMED)
@pytest.mark.parametrize("learner", ["tiny"])
def test_a_stopped_training_goes_on_to_the_same_numbers(train, tmp_path, learner, changes) -> None:
    """With random inputs, a learned scale, buffers, and settings that JSON changes."""
    settings = {"noise": 0.3}
    train(tmp_path / "whole", learner, settings, **changes)

    def stop(row: dict) -> None:
        if row["step"] in (4, 8):
            raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "parts", learner, settings, told=stop, **changes)
        torch.rand(5)  # what else draws numbers has no influence
    train(tmp_path / "parts", learner, settings, **changes)
    assert same_training(tmp_path / "whole", tmp_path / "parts")
    assert [row["step"] for row in log(tmp_path / "parts")] == ["4", "8", "12"]


@pytest.mark.parametrize("learner", ["maml", "meta-sgd", "baseline", "r2d2"])
def test_other_learners_go_on_too(train, tmp_path, learner) -> None:
    """Learned rates, second derivatives, labelled batches with a head of all classes, a learned penalty."""
    changes = {"steps": 4, "validate_every": 2, "validation_tasks": 3, "batch": 10}
    train(tmp_path / "whole", learner, **changes)

    def stop(row: dict) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "parts", learner, told=stop, **changes)
    train(tmp_path / "parts", learner, **changes)
    assert same_training(tmp_path / "whole", tmp_path / "parts")


def test_one_that_has_ended_is_only_loaded(train, tmp_path) -> None:
    first = train(tmp_path, steps=4)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}

    def told(row: dict) -> None:
        raise AssertionError

    again = train(tmp_path, steps=4, told=told)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    assert all(map(torch.equal, first.model.state_dict().values(), again.model.state_dict().values()))


def test_without_validation_the_last_is_the_best(train, tmp_path) -> None:
    model = train(tmp_path, validation=None, steps=6)
    last = load_file(tmp_path / "last.safetensors")
    assert all(torch.equal(value, last[f"model.{name}"]) for name, value in model.model.state_dict().items())
    assert [row["validation_accuracy"] for row in log(tmp_path)] == ["", ""]


def test_patience(train, tmp_path) -> None:
    """With a rate of nothing no look is better than the first."""
    train(tmp_path, learning_rate=1e-12, validate_every=1, patience=3)
    standing, _ = read_record(tmp_path / "last.safetensors")
    assert (standing.step, standing.best_step, standing.looks_since_best, standing.ended) == (4, 1, 3, True)


def killed_in_the_middle(processes, program, out) -> None:
    process = processes.Process(target=program, args=(out,))
    process.start()
    patience = time() + 120
    while not (out / "in the middle").exists():
        assert process.is_alive(), "the program ended by itself"
        assert time() < patience
        sleep(0.01)
    process.kill()
    process.join()
    assert process.exitcode == -9
    (out / "in the middle").unlink()


@pytest.mark.parametrize("program", [programs.train_slowly, programs.write_slowly], ids=["steps", "writing"])
def test_kill_9_loses_nothing_but_the_last_steps(processes, train, tmp_path, program) -> None:
    killed_in_the_middle(processes, program, tmp_path / "killed")
    left = {path.name for path in (tmp_path / "killed").glob(".*")}
    assert bool(left) == (program is programs.write_slowly)
    assert read_record(tmp_path / "killed" / "last.safetensors")[0].step == 4
    MetaModel.load(tmp_path / "killed" / "last.safetensors", "cpu")
    train(tmp_path / "killed", settings={"noise": 0.1})
    train(tmp_path / "whole", settings={"noise": 0.1})
    assert same_training(tmp_path / "killed", tmp_path / "whole")
    assert {path.name for path in (tmp_path / "killed").iterdir()} == FILES


def test_no_space_is_told_and_the_last_checkpoint_stays(processes, train, tmp_path) -> None:
    out = tmp_path / "full"
    process = processes.Process(target=programs.train_without_space, args=(out, 2_000))
    process.start()
    process.join(120)
    message = (out / "message").read_text()
    assert message.startswith(f"UnwritableFile: {out}/")
    assert "safetensors cannot be written: File too large; what was there before is kept" in message
    (out / "message").unlink()
    assert {path.name for path in out.iterdir()} == FILES
    assert read_record(out / "last.safetensors")[0].step == 4
    train(out, settings={"noise": 0.1})
    assert read_record(out / "last.safetensors")[0].ended


@pytest.mark.parametrize(
    ("nan_from", "message"),
    [
        (0.0, "tiny: the loss is NaN or infinite at step 1; nothing is kept yet; lower the learning rate, or set clip"),
        (6 / 12, "tiny: the loss is NaN or infinite at step 7; the checkpoint of step 4 is kept; lower"),
    ],
)
def test_nan_stops(train, tmp_path, nan_from, message) -> None:
    with pytest.raises(Diverged) as raised:
        train(tmp_path, settings={"nan_from": nan_from})
    assert str(raised.value).startswith(message)
    assert (tmp_path / "last.safetensors").exists() == (nan_from > 0)
    if nan_from:
        assert read_record(tmp_path / "last.safetensors")[0].step == 4
        assert all(tensor.isfinite().all() for tensor in load_file(tmp_path / "last.safetensors").values())


@pytest.mark.parametrize("learner", ["r2d2", "metaoptnet", "baseline++", "maml"])
def test_a_rate_far_too_high(train, tmp_path, learner) -> None:
    """Solvers that are given NaN do not hide where it came from."""
    with pytest.raises(Diverged, match="the loss is NaN or infinite at step 2; nothing is kept yet"):
        train(tmp_path, learner, steps=3, optimizer="sgd", learning_rate=1e30)


def test_weights_that_overflow_in_the_last_step_are_not_kept(train, tmp_path) -> None:
    with pytest.raises(Diverged, match="tiny: weights are NaN or infinite after step 1; nothing is kept yet"):
        train(tmp_path, optimizer="sgd", learning_rate=3e38, weight_decay=1e10, steps=1)
    assert not (tmp_path / "last.safetensors").exists()


def test_another_training_in_the_folder(train, tmp_path) -> None:
    train(tmp_path, steps=4)
    before = (tmp_path / "last.safetensors").read_bytes()
    for changes, named in (
        ({"learning_rate": 0.5}, r"training\.learning_rate is 0\.001 there and 0\.5 here"),
        ({"settings": {"noise": 0.25}}, r"learner\.settings\.noise is 0\.0 there and 0\.25 here"),
        ({"learner": "protonet"}, r"learner\.name is 'tiny' there and 'protonet' here"),
        ({"backbone": "fewshot:conv4-omniglot"}, "backbone is 'test:tiny' there"),
        ({"dataset": marks(13)}, r"dataset\.fingerprint is .* dataset\.classes is 12 there and 13 here"),
        ({"validation": None}, "validation is {.*} there and None here"),
    ):
        with pytest.raises(FingerprintMismatch, match=f"belongs to another training: .*{named}"):
            train(tmp_path, **{"steps": 4, **changes})
    assert (tmp_path / "last.safetensors").read_bytes() == before


def test_a_damaged_checkpoint_is_named_not_overwritten(train, tmp_path) -> None:
    train(tmp_path, steps=4)
    last = tmp_path / "last.safetensors"
    last.write_bytes(last.read_bytes()[:-5])
    with pytest.raises(UnreadableFile, match=r"last\.safetensors is damaged"):
        train(tmp_path, steps=4)
    assert last.exists()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"ways": 13}, SamplingError, "too few classes with 3 items: 13 needed, 12 found"),
        ({"shots": 7}, SamplingError, "too few classes with 9 items: 3 needed, 0 found"),
        ({"validation_ways": 7}, SamplingError, "too few classes with 3 items: 7 needed, 6 found"),
        ({"learner": "tiny-fixed", "validation_ways": 5}, InvalidInput, "3 outputs, one a class, and cannot do 5-way"),
        ({"learner": "maml", "validation_ways": 5}, InvalidInput, "maml has 3 outputs, one a class, and cannot do 5-"),
        ({"learner": "tiny-regression"}, InvalidInput, "tiny-regression is trained on numbers, and marks has classes"),
        ({"backbone": "fewshot:raw-pixels"}, InvalidInput, "needs a preprocessing with mean and std"),
        ({"validation": marks(6)}, SplitError, "share 6 classes of marks, 'marks 0 of seed 0' among them"),
        ({"within": "alphabet"}, UnknownName, "no grouping is called 'alphabet'; near: half"),
        *(
            (
                {"learner": name, "within": within},
                InvalidInput,
                rf"{name} is trained on labelled batches of all classes, and cannot keep tasks within one '{within}'",
            )
            for name in ("baseline", "rfs")
            for within in ("half", "alphabet")
        ),
    ],
)
def test_refused_before_any_step(train, tmp_path, changes, error, message) -> None:
    with pytest.raises(error, match=message):
        train(tmp_path, **changes)
    assert not (tmp_path / "last.safetensors").exists()


@pytest.mark.parametrize("learner", ["baseline", "baseline++", "rfs"])
def test_turned_classes_are_told_apart(train, base, tmp_path, learner) -> None:
    """Four outputs a class, and labels of them all; validation tasks are of unturned classes."""
    changes = {"steps": 2, "validate_every": 2, "batch": 48, "rotations": True, "validation_tasks": 2}
    model = train(tmp_path, learner, **changes)
    assert model.record["ways"] == 4 * len(base.class_names)
    images = torch.zeros(1, *model.network.preprocess.shape)
    assert model.model.eval()(images).shape == (1, 48)
    with pytest.raises(FingerprintMismatch, match="ways is 48 there and 12 here; .*rotations is True there and False"):
        train(tmp_path, learner, **{**changes, "rotations": False})


def test_the_bar_tells_loss_accuracy_and_pace_between_looks(train, tmp_path, monkeypatch) -> None:
    notes: list[str] = []

    @contextmanager
    def bar(*about, **more):
        yield lambda count, note="": notes.append(note)

    monkeypatch.setattr(trainer, "progress_bar", bar)
    monkeypatch.setattr(running, "SECONDS", 0.0)
    monkeypatch.setattr(image_bank, "progress_bar", bar)
    train(tmp_path / "shown", steps=4, validate_every=2, progress=True)
    told = [note for note in notes if note]
    assert [bool(re.fullmatch(r"loss \d\.\d{3}, accuracy [\d.]+ %, [\d,]+ tasks/s", note)) for note in told[:2]] == [
        True
    ] * 2
    assert all(re.fullmatch(r"loss .*, accuracy .* %, validation [\d.]+ %, [\d,]+ tasks/s", note) for note in told[2:])
    assert len(told) == 4 + 2
    monkeypatch.setattr(running, "SECONDS", 3600.0)
    notes.clear()
    train(tmp_path / "fast", steps=4, validate_every=2, progress=True)
    assert len([note for note in notes if note]) == 2


def test_the_engine_is_told_after_the_first_step(train, tmp_path) -> None:
    """And kept in training.json, but not in what a training is known by: the next machine may choose another."""
    order: list[str] = []
    changes = {"steps": 4, "validate_every": 2, "validation_tasks": 2, "told_engine": order.append}

    def stop(row: dict) -> None:
        order.append(f"step {row['step']}")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, "maml", told=stop, **changes)
    assert len(order) == 2
    assert order[0].startswith("batched on cpu, ")
    record = json.loads((tmp_path / "training.json").read_text())
    assert record == {**read_record(tmp_path / "last.safetensors")[1], "engine": order[0]}
    train(tmp_path, "maml", **changes)
    assert order[2:] == order[:1]
    order.clear()
    train(tmp_path, "maml", **changes)
    assert order == []  # it had ended


@pytest.mark.parametrize(
    ("learner", "settings", "told"),
    [
        ("reptile", {"batch": 2, "evaluation_steps": 1, "inner_steps": 1}, "batched on cpu, 2 tasks at once: "),
        ("maml", {"engine": "loop", "evaluation_steps": 1}, "loop: engine='loop' was asked for"),
    ],
)
def test_how_other_learners_compute(train, tmp_path, learner, settings, told) -> None:
    found: list[str] = []
    train(tmp_path, learner, settings, steps=1, validation=None, told_engine=found.append)
    assert len(found) == 1
    assert found[0].startswith(told)


def test_images_that_do_not_fit_are_told(train, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(image_bank, "free_memory", lambda device: 150_000)  # the validation images take 38 kB
    with pytest.warns(
        FewshotWarning, match=r"96 images of marks \(all\) take 0\.1 MB .* ahead by 1 worker process$"
    ) as all_:
        train(tmp_path / "decoded", steps=2)
    assert len([one for one in all_ if issubclass(one.category, FewshotWarning)]) == 1
    monkeypatch.undo()
    train(tmp_path / "kept", steps=2)
    assert same_training(tmp_path / "decoded", tmp_path / "kept")


def test_pretrained_weights_that_do_not_exist(base, tmp_path) -> None:
    from fewshot.learners.meta import create_meta_learner

    learner = create_meta_learner("protonet")
    with pytest.raises(MissingWeights, match="has no pretrained weights"):
        meta_train(learner, "fewshot:conv4-omniglot", base, tmp_path, training(), pretrained=True, progress=False)


def test_a_fixed_head_does_its_ways_only(train, held_out, tmp_path) -> None:
    model = train(tmp_path, "tiny-fixed", steps=1)
    with pytest.raises(InvalidInput, match="tiny-fixed has 3 outputs, one a class, and cannot do 5-way tasks; train"):
        model.evaluate(held_out, ways=5)
