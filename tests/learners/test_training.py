from dataclasses import asdict, replace

import pytest
import torch

from fewshot.episodes import EpisodeSampler
from fewshot.errors import InvalidInput, SamplingError
from fewshot.learners import Training, create_learner, evaluate, train_learner
from fewshot.learners.trained import read_header
from fewshot.learners.training import _split
from fewshot.metrics import accuracy_interval

QUICK = Training(queries=4, steps=6, tasks=4, validate_every=3, validation_tasks=20, learning_rate=3e-3)


@pytest.mark.parametrize(("name", "learning_rate"), [("feat", 1e-3), ("relation", 3e-4), ("matching-fce", 1e-3)])
def test_training_helps_on_classes_never_seen(name, learning_rate, base_table, tmp_path):
    """The base classes differ along directions that a cosine cannot tell from brightness; training can."""
    training = Training(queries=4, steps=200, tasks=8, learning_rate=learning_rate, validate_every=20)
    trained = train_learner(create_learner(name), base_table(16), tmp_path / "weights.safetensors", training)
    untrained = create_learner("prototypical", metric="cosine")
    novel = base_table(16, classes=40, seed=8)
    episodes = EpisodeSampler(novel.labels, queries=4, seed=1).sample(400)
    after, before = (evaluate(learner, novel, episodes).per_episode for learner in (trained, untrained))
    gain = accuracy_interval(after - before)
    assert gain.mean - gain.half_width > 0.01
    told = trained.facts()["training"]
    assert told["accuracy"] > told["accuracy_before"]
    assert told["best_step"] > 0


def test_the_same_seed_gives_the_same_weights(base_table, tmp_path):
    def weights(seed, file):
        learner = train_learner(create_learner("feat"), base_table(16), tmp_path / file, replace(QUICK, seed=seed))
        torch.rand(1)  # the global random state must not matter
        return learner.loaded(torch.zeros(1, 16)).state_dict()

    first, again, other = weights(1, "a"), weights(1, "b"), weights(2, "c")
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["queries.weight"], other["queries.weight"])


def test_the_best_weights_are_kept(base_table, tmp_path):
    """A rate that ruins the network leaves the start, which scored best."""
    learner, ruinous = create_learner("feat"), replace(QUICK, learning_rate=100.0)
    trained = train_learner(learner, base_table(16), tmp_path / "w", ruinous)
    assert trained.facts()["training"]["best_step"] == 0
    assert (trained.loaded(torch.zeros(1, 16)).output.weight == 0).all()


def test_held_out_classes_alone_decide(base_table, tmp_path):
    """Without information in the classes held out, nothing there can beat the start."""
    table, learner = base_table(16), create_learner("relation")
    base, apart = _split(table, 5, seed=0)
    assert set(base.ids).isdisjoint(apart.ids)
    assert len(base) + len(apart) == len(table)
    assert len(apart.class_names) == 5
    held_out = torch.tensor([name in apart.ids for name in table.ids])
    blank = replace(table, features=table.features.masked_fill(held_out[:, None], 1))
    told = train_learner(learner, blank, tmp_path / "w", replace(QUICK, validation_classes=0.25)).facts()["training"]
    assert told["accuracy"] == told["accuracy_before"]
    assert told["accuracy"] == pytest.approx(0.2, abs=0.01)


def test_the_file_tells_what_it_is(base_table, tmp_path):
    table = replace(base_table(16), backbone="f00d", dataset="da7a")
    state = torch.get_rng_state()
    training = replace(QUICK, seed=3)
    learner = train_learner(create_learner("relation", hidden=8), table, tmp_path / "new" / "w", training)
    assert torch.equal(torch.get_rng_state(), state)
    header = read_header(tmp_path / "new" / "w")
    assert header["learner"] == "relation"
    assert header["settings"] == {"hidden": 8}
    assert header["dim"] == 16
    assert header["backbone"] == learner.backbone == "f00d"
    assert header["training"].items() >= {**asdict(training), "table": table.fingerprint}.items()
    assert learner == create_learner("relation", hidden=8, weights=str(tmp_path / "new" / "w"))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["w"]


def test_what_cannot_be_trained_is_refused(base_table, tmp_path):
    def train(learner="feat", table=None, **settings):
        train_learner(create_learner(learner), table or base_table(16), tmp_path / "w", replace(QUICK, **settings))

    with pytest.raises(InvalidInput, match="ridge has nothing to train"):
        train("ridge")
    with pytest.raises(InvalidInput, match="the table has 20 classes; 11 of them are held out for validation.*11 ways"):
        train(ways=11)
    with pytest.raises(InvalidInput, match="ways must be an integer of at least 2, found 'all'"):
        train(ways="all")
    with pytest.raises(InvalidInput, match="steps must be an integer of at least 1, found 0"):
        train(steps=0)
    with pytest.raises(InvalidInput, match="learning_rate must be a finite number above 0"):
        train(learning_rate=0)
    with pytest.raises(SamplingError, match="too few classes with 25 items"):
        train(shots=21)
    broken = replace(base_table(16), features=torch.full((240, 16), torch.nan))
    with pytest.raises(InvalidInput, match="the features of the table hold NaN"):
        train(table=broken)
    assert not (tmp_path / "w").exists()
