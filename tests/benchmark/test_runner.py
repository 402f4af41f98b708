"""The runner computes what is missing, shares what it can, and gives the numbers that `evaluate` gives."""

from dataclasses import replace
from functools import partial

import pytest
from results import make_result

from fewshot import create_backbone, create_learner, embed, evaluate, load_dataset
from fewshot.benchmark import Protocol, ResultStore, default_base, default_split, run, runner
from fewshot.errors import InvalidInput
from fewshot.learners.training import Training


@pytest.fixture(scope="module")
def pixels():
    return create_backbone("fewshot:raw-pixels", device="cpu")


PROTOCOL = Protocol("digits", episodes=30, shots=2)


def test_numbers_are_those_of_evaluate(pixels, tmp_path) -> None:
    learner = create_learner("ridge")
    (outcome,) = run([PROTOCOL], [pixels], [learner], ResultStore(tmp_path), progress=False)
    table = embed(pixels, load_dataset("digits"))
    plain = evaluate(learner, table, PROTOCOL.sampler(table).sample(30))
    assert outcome.made_now
    assert outcome.result.per_episode.tolist() == pytest.approx(plain.per_episode.tolist(), abs=1e-6)
    assert outcome.result.accuracy == pytest.approx(plain.accuracy, abs=1e-6)
    assert outcome.result.ci95 == pytest.approx(plain.ci95, abs=1e-6)
    assert outcome.result.dataset["items"] == 1797
    assert outcome.result.provenance["packages"]["torch"]


def test_only_missing_takes_up_a_stopped_run(pixels, tmp_path) -> None:
    learners = [create_learner(name) for name in ("ridge", "prototypical", "nearest-neighbour")]
    heard = []

    def stop_after_two(outcome) -> None:
        heard.append(outcome)
        if len(heard) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run([PROTOCOL], [pixels], learners, ResultStore(tmp_path), told=stop_after_two, progress=False)
    outcomes = run([PROTOCOL], [pixels], learners, ResultStore(tmp_path), progress=False)
    assert [outcome.made_now for outcome in outcomes] == [False, False, True]
    outcomes = run([PROTOCOL], [pixels], learners, ResultStore(tmp_path), mode="always", progress=False)
    assert [outcome.made_now for outcome in outcomes] == [True, True, True]


def test_a_result_of_something_else_is_not_taken_for_ones_own(pixels, tmp_path) -> None:
    store, ridge = ResultStore(tmp_path), create_learner("ridge")
    (outcome,) = run([PROTOCOL], [pixels], [ridge], store, progress=False)
    path = store.save(replace(outcome.result, protocol=replace(PROTOCOL, dataset="digits:")))  # the same file name
    path.rename(store.path(pixels.describe(), PROTOCOL, outcome.result.learner))
    (other,) = run([PROTOCOL], [pixels], [ridge], store, progress=False)
    assert other.result is None
    assert "holds a result of another protocol (digits:_all_5w2s15q_30e_seed0); use another store" in other.reason


def test_another_text_tower_counts_for_learners_with_words(pixels) -> None:
    tower, facts = {"name": "sentence:a", "fingerprint": "aaaa"}, {"name": "bridge:a", "fingerprint": "f"}
    kept = make_result(dataset="digits", split="all", shots=2, episodes=30)
    kept = replace(kept, backbone={**facts, "text": tower})
    tda, ridge = create_learner("tda"), create_learner("ridge")
    assert runner._difference(kept, kept.protocol, tda, {**facts, "text": tower}) == ""
    other = {**facts, "text": {**tower, "fingerprint": "bbbb"}}
    assert runner._difference(kept, kept.protocol, tda, other) == "text tower (sentence:a, aaaa)"
    assert runner._difference(kept, kept.protocol, ridge, other) == ""
    assert runner._difference(replace(kept, backbone=facts), kept.protocol, tda, other) == "", "older ones do not tell"


def test_descriptions_that_a_data_set_lacks_are_refused(pixels) -> None:
    table = embed(pixels, load_dataset("digits"))
    with pytest.raises(InvalidInput, match="digits has no descriptions of its classes; leave out .descriptions"):
        runner._Bench(pixels, False).words(replace(PROTOCOL, words="simple+descriptions"), table)


def test_a_learner_without_its_base_classes_is_told(pixels, tmp_path) -> None:
    (outcome,) = run([PROTOCOL], [pixels], [create_learner("simpleshot")], ResultStore(tmp_path), progress=False)
    assert outcome.result is None
    assert "simpleshot learns from base classes, and digits has none beside all" in outcome.reason
    assert not outcome.applicable
    assert list(ResultStore(tmp_path)) == []


def test_unlabelled_items_reach_the_learners_that_use_them(pixels, tmp_path) -> None:
    plain, more = PROTOCOL, replace(PROTOCOL, unlabelled=10, distractors=1)
    learners = [create_learner("pt-map"), create_learner("ridge")]
    outcomes = run([plain, more], [pixels], learners, ResultStore(tmp_path), progress=False)
    assert more.task == "5-way 2-shot, 10 unlabelled and 1 distractor classes"
    assert outcomes[0].result.accuracy != outcomes[2].result.accuracy


def test_base_classes_come_from_the_training_split(pixels, tmp_path, shared_data) -> None:
    protocol = Protocol("cifar-fs", split="test", base="train", episodes=20)
    (outcome,) = run([protocol], [pixels], [create_learner("simpleshot")], ResultStore(tmp_path), progress=False)
    assert outcome.result.accuracy > 0.2
    assert outcome.result.learner["needs_base_mean"]


def test_learners_share_episodes(pixels, tmp_path) -> None:
    learners = [create_learner("ridge"), create_learner("prototypical")]
    outcomes = run([PROTOCOL], [pixels], learners, ResultStore(tmp_path), progress=False)
    assert outcomes[0].result.episodes == outcomes[1].result.episodes


def test_defaults_of_splits(shared_data) -> None:
    assert default_split("cifar-fs") == "test"
    assert default_base("cifar-fs", "test") == "train"
    assert default_base("cifar-fs", "val") is None
    assert default_split("digits") == "all"
    assert default_base("digits", "all") is None
    assert default_split("folder:anywhere") == "all"


def test_learners_are_trained_on_the_base_classes_first(pixels, tmp_path, monkeypatch, shared_data) -> None:
    monkeypatch.setattr(runner, "Training", partial(Training, steps=2, tasks=4, validation_tasks=4))
    monkeypatch.setattr(runner, "cache_folder", lambda: tmp_path / "cache")
    protocol = Protocol("cifar-fs", split="test", base="train", episodes=20)
    learners = [create_learner("feat")]
    (outcome,) = run([protocol], [pixels], learners, ResultStore(tmp_path), progress=False)
    assert outcome.result.learner["training"]["shots"] == 1
    assert outcome.result.learner["settings"]["weights"] == ""
    outcome.result.save(tmp_path / "one.json")
    assert str(tmp_path) not in (tmp_path / "one.json").read_text()  # no path of this machine goes into a result
    (weights,) = (tmp_path / "cache" / "learners").iterdir()
    written = weights.stat().st_mtime_ns
    (again,) = run([protocol], [pixels], learners, ResultStore(tmp_path), mode="always", progress=False)
    assert weights.stat().st_mtime_ns == written
    assert again.result.per_episode.tolist() == outcome.result.per_episode.tolist()
    (none,) = run([replace(protocol, base=None)], [pixels], learners, ResultStore(tmp_path), progress=False)
    assert not none.applicable
