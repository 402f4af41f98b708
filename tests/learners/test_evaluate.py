import json
import resource
import subprocess
import sys
from dataclasses import replace
from functools import partial

import pytest
import torch

from fewshot.embeddings import EmbeddingTable
from fewshot.episodes import Episodes, EpisodeSampler, MetaDatasetSampler, SplitSampler
from fewshot.errors import FingerprintMismatch, InvalidInput
from fewshot.learners import BaseStatistics, Words, create_learner, evaluate
from fewshot.learners.evaluate import GATHERED_BYTES, _chunk_size
from fewshot.learners.memory import free_memory
from fewshot.learners.tuning import fit_tuned

CLASSES, DIM = 12, 16


@pytest.fixture(scope="module")
def table() -> EmbeddingTable:
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(CLASSES).repeat_interleave(torch.arange(20, 20 + CLASSES))
    means = torch.rand(CLASSES, DIM, generator=draw)
    features = means[labels] + 0.4 * torch.randn(len(labels), DIM, generator=draw)
    names = tuple(f"class {number}" for number in range(CLASSES))
    return EmbeddingTable(features, labels, names, tuple(map(str, range(len(labels)))), backbone="abc")


@pytest.fixture(params=["fixed", "variable"])
def episodes(request, table) -> Episodes:
    if request.param == "fixed":
        return EpisodeSampler(table.labels, ways=6, shots=2, queries=5, seed=1).sample(30)
    return MetaDatasetSampler(table.labels, seed=1).sample(30)


def one_by_one(learner, table, episodes, base=None):
    """Predictions of each task alone, without padding: lists of (logits, labels, dataset labels)."""
    for task in range(len(episodes)):
        s, q = episodes.support[task], episodes.query[task]
        s_labels, q_labels = episodes.support_labels[task], episodes.query_labels[task]
        classes = episodes.classes[task][episodes.classes[task] >= 0]
        support, query = table.features[s[s >= 0]], table.features[q[q >= 0]]
        head = learner.fit(support[None], s_labels[s >= 0][None], len(classes), base)
        yield head(query[None])[0], q_labels[q >= 0], classes


@pytest.mark.parametrize("name", ["prototypical", "simpleshot", "logistic"])
def test_scores_are_those_of_a_loop_over_tasks(table, episodes, name):
    learner, base = create_learner(name), BaseStatistics(torch.full((DIM,), 0.5))
    found = evaluate(learner, table, episodes, base=base, chunk=7, top_k=(2, 3))
    accuracy, top2, confidence, right = [], [], [], []
    hits, predicted, truth = torch.zeros(CLASSES), torch.zeros(CLASSES), torch.zeros(CLASSES)
    for logits, labels, classes in one_by_one(learner, table, episodes, base):
        guess = logits.argmax(1)
        accuracy.append((guess == labels).double().mean())
        top2.append((logits.topk(2).indices == labels[:, None]).any(1).double().mean())
        confidence.append(logits.softmax(1).amax(1))
        right.append(guess == labels)
        for a, b in zip(classes[guess].tolist(), classes[labels].tolist(), strict=True):
            predicted[a], truth[b] = predicted[a] + 1, truth[b] + 1
            hits[a] += a == b
    torch.testing.assert_close(found.per_episode, torch.stack(accuracy))
    torch.testing.assert_close(found.top_k[2], torch.stack(top2))
    torch.testing.assert_close(
        found.per_class.precision, (hits / predicted).double(), equal_nan=True, atol=1e-6, rtol=0
    )
    torch.testing.assert_close(found.per_class.recall, (hits / truth).double(), equal_nan=True, atol=1e-6, rtol=0)
    confidence, right = torch.cat(confidence), torch.cat(right)
    bins = (confidence * 15).ceil().clamp(min=1).long() - 1
    gaps = [abs((right[bins == b].double() - confidence[bins == b]).sum()) for b in range(15)]
    assert found.calibration.expected_error == pytest.approx(float(sum(gaps)) / len(right), abs=1e-4)


@pytest.fixture
def new_classes(table) -> tuple[Episodes, Words]:
    """Ten supports of the first seven classes, asked for the last five; and words of all, of which two say nothing."""
    learned = torch.arange(CLASSES) < 7
    pool = torch.arange(len(table)) % 2 == 0
    test = ~pool & ~learned[table.labels]
    sampler = SplitSampler(table.labels, pool & learned[table.labels], test, shots=3, validation=2, seed=4, new=True)
    means = torch.stack([table.features[table.labels == label].mean(0) for label in range(CLASSES)])
    means[[2, 8]] = 1.0
    return sampler.sample(10), Words(torch.nn.functional.normalize(means, dim=1), table.class_names, 20.0)


@pytest.mark.parametrize("tuning", ["none", "few", "ensemble"])
@pytest.mark.parametrize("chunk", [3, "auto"])
def test_new_classes_are_asked_with_what_was_learned_of_others(table, new_classes, tuning, chunk):
    episodes, words = new_classes
    learner = create_learner("clip-adapter", epochs=20)
    found = evaluate(learner, table, episodes, words=words, tuning=tuning, chunk=chunk)
    known, asked = words.select(table.class_names[:7]), words.select(table.class_names[7:])
    for task in range(len(episodes)):
        support, labels = table.features[episodes.support[task]][None], episodes.support_labels[task][None]
        fit = partial(_fit_to, support, labels, known)
        if tuning == "none":
            head = fit(learner)
        else:
            held = table.features[episodes.validation[task]][None], episodes.validation_labels[task][None]
            head = fit_tuned(tuning, learner, fit, *held)
        right = head.for_words(asked)(table.features[episodes.query[task]][None]).argmax(2)[0] + 7
        accuracy = (right == table.labels[episodes.query[task]]).double().mean()
        assert found.per_episode[task] == pytest.approx(float(accuracy), abs=1e-6)
    assert found.per_class.queries[:7].sum() == 0
    assert not found.top_k, "of five classes, five are always right"
    assert 0.3 < found.accuracy < 1


def _fit_to(support, labels, words, learner):
    return learner.fit(support, labels, 7, words=words)


def test_who_learns_of_classes_alone_is_not_asked_for_new_ones(table, new_classes):
    episodes, words = new_classes
    with pytest.raises(
        InvalidInput, match="other classes than the support; what gda learns of its classes says nothing"
    ):
        evaluate(create_learner("gda"), table, episodes, words=words)
    with pytest.raises(InvalidInput, match="other classes than the support: pass words="):
        evaluate(create_learner("clip-adapter"), table, episodes)
    with pytest.raises(InvalidInput, match="these episodes ask for other classes than their support has"):
        episodes.check_same_classes()


@pytest.mark.parametrize("name", ["prototypical", "ridge", "logistic", "matching"])
def test_chunks_make_no_difference(table, episodes, name):
    learner = create_learner(name)
    whole = evaluate(learner, table, episodes, chunk=1000)
    for chunk in (1, 4, "auto"):
        assert torch.equal(evaluate(learner, table, episodes, chunk=chunk).per_episode, whole.per_episode)


def test_a_stream_does_not_come_class_after_class(table):
    words = Words(torch.nn.functional.normalize(torch.eye(CLASSES, DIM) + 0.2, dim=1), table.class_names)
    episodes = EpisodeSampler(table.labels, ways=CLASSES, shots=1, queries=8).sample(3)
    by_class = episodes.query_labels.argsort(dim=1, stable=True)
    sorted_ones = replace(
        episodes, query=episodes.query.gather(1, by_class), query_labels=episodes.query_labels.gather(1, by_class)
    )
    tda, shuffled = create_learner("tda"), sorted_ones.as_stream()
    found = evaluate(tda, table, sorted_ones, words=words)
    features, vectors = table.features, words.of(shuffled.classes)
    head = tda.fit(features[shuffled.support], shuffled.support_labels, CLASSES, words=vectors)
    right = head(features[shuffled.query]).argmax(2) == shuffled.query_labels
    torch.testing.assert_close(found.per_episode, right.double().mean(1))
    in_order = head(features[sorted_ones.query]).argmax(2) == sorted_ones.query_labels
    assert not torch.equal(found.per_episode, in_order.double().mean(1))


def test_interval_text_and_json(table):
    episodes = EpisodeSampler(table.labels, ways=6, shots=1, queries=5, seed=1).sample(40)
    found = evaluate(create_learner("ridge", penalty=2.0), table, episodes)
    assert found.accuracy == pytest.approx(found.per_episode.mean().item())
    assert found.ci95 == pytest.approx(2.0227 * found.per_episode.std().item() / 40**0.5, rel=1e-4)
    assert str(found) == f"{100 * found.accuracy:.2f} ± {100 * found.ci95:.2f} % (40 episodes)"
    content = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert content["per_episode"] == pytest.approx(found.per_episode.tolist(), abs=5.1e-7)  # six decimals are kept
    assert content["accuracy"] == found.accuracy
    assert content["learner"]["settings"]["penalty"] == 2.0
    assert content["top_k"]["5"]["accuracy"] >= content["accuracy"]
    assert content["settings"]["episodes"]["sampler"] == "EpisodeSampler"
    assert len(content["per_class"]["recall"]) == CLASSES
    assert content["seconds"] > 0


def test_one_episode_has_no_interval(table):
    found = evaluate(create_learner("ridge"), table, EpisodeSampler(table.labels, ways=2).sample(1))
    assert found.to_json()["ci95"] is None
    assert found.top_k == {}
    assert None in found.to_json()["per_class"]["recall"]


def test_bad_arguments_are_refused(table):
    learner, episodes = create_learner("prototypical"), EpisodeSampler(table.labels, ways=3).sample(4)
    with pytest.raises(InvalidInput, match="no episodes"):
        evaluate(learner, table, episodes[:0])
    with pytest.raises(InvalidInput, match="chunk must be 'auto' or a whole number above zero, found 0"):
        evaluate(learner, table, episodes, chunk=0)
    with pytest.raises(InvalidInput, match="beyond the 20 of the table"):
        evaluate(learner, table.select(classes=[0]), episodes)
    reordered = table.select(indices=torch.arange(len(table)).flip(0))
    with pytest.raises(InvalidInput, match="another class than its label says"):
        evaluate(learner, reordered, episodes)
    with pytest.raises(InvalidInput, match="simpleshot needs the mean"):
        evaluate(create_learner("simpleshot"), table, episodes)


def test_base_of_another_backbone_is_refused(table):
    episodes = EpisodeSampler(table.labels, ways=3).sample(4)
    learner = create_learner("simpleshot")
    evaluate(learner, table, episodes, base=BaseStatistics.from_table(table))
    with pytest.raises(FingerprintMismatch, match="base statistics are of backbone xyz and the table of abc"):
        evaluate(learner, table, episodes, base=BaseStatistics(torch.zeros(DIM), "xyz"))


def test_chunks_keep_to_their_bytes(table):
    features = torch.empty(1, 640)
    for shots in (1, 5, 20):
        episodes = EpisodeSampler(table.labels.repeat(4), ways=5, shots=shots, queries=15).sample(1)
        size = _chunk_size(episodes, features)
        task_bytes = 5 * (shots + 15) * 640 * 4
        assert size * task_bytes <= GATHERED_BYTES["cpu"] < (size + 1) * task_bytes
    assert _chunk_size(episodes, torch.empty(1, 10**7)) == 1


def test_chunks_shrink_with_the_free_memory(table, monkeypatch):
    episodes = EpisodeSampler(table.labels, ways=5).sample(1)
    task_bytes = 5 * 16 * 640 * 4
    module = sys.modules["fewshot.learners.evaluate"]
    monkeypatch.setattr(module, "free_memory", lambda device: 160 * task_bytes)
    assert _chunk_size(episodes, torch.empty(1, 640)) == 10
    monkeypatch.setattr(module, "free_memory", lambda device: None)
    assert _chunk_size(episodes, torch.empty(1, 640)) == GATHERED_BYTES["cpu"] // task_bytes


def test_free_memory_is_told():
    assert 1 << 20 < free_memory(torch.device("cpu")) < 1 << 50


def test_unlabelled_items_go_to_those_that_use_them(table):
    more = EpisodeSampler(table.labels, ways=3, queries=4, unlabelled=5, distractors=1).sample(20)
    for name, same in (("prototypical", True), ("pt-map", False)):
        learner = create_learner(name)
        given = evaluate(learner, table, more).per_episode
        without = evaluate(learner, table, replace(more, unlabelled=None, unlabelled_labels=None)).per_episode
        assert torch.equal(given, without) is same


MEMORY_PROGRAM = """
import resource, sys, torch
from fewshot.embeddings import EmbeddingTable
from fewshot.episodes import EpisodeSampler
from fewshot.learners import create_learner, evaluate
labels = torch.arange(20).repeat_interleave(50)
table = EmbeddingTable(torch.randn(1000, 640), labels, tuple("abcdefghijklmnopqrst"), tuple(map(str, range(1000))))
sampler = EpisodeSampler(labels, ways=5, shots=1, queries=15)
evaluate(create_learner("prototypical"), table, sampler.sample(500))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
evaluate(create_learner("prototypical"), table, sampler.sample(10_000))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss is in kilobytes on Linux only")
def test_memory_of_ten_thousand_episodes_is_bounded():
    """Their gathered features would be 2 GB; what the process takes more than for 500 stays below 160 MB."""
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 0
    done = subprocess.run([sys.executable, "-c", MEMORY_PROGRAM], capture_output=True, text=True, check=True)
    assert int(done.stdout) / 1024 < 160
