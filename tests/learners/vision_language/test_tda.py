import numpy as np
import pytest
import torch

from fewshot.errors import InvalidInput
from fewshot.learners import create_learner
from fewshot.learners.vision_language import tda


def unit(items):
    return items / np.maximum(np.linalg.norm(items, axis=-1, keepdims=True), 1e-12)


def remember(cache, of, item, entropy, says, slots):
    """Karmanov et al. 2024: a class keeps its items of least entropy."""
    kept = cache.setdefault(of, [])
    if len(kept) < slots:
        kept.append((entropy, item, says))
    elif entropy < kept[-1][0]:
        kept[-1] = (entropy, item, says)
    kept.sort(key=lambda each: each[0])


def told(cache, item, beta, ways):
    """The sum over a cache of how close each of its items is, times what it says."""
    logits = np.zeros(ways)
    for kept in cache.values():
        for _, other, says in kept:
            logits += np.exp(-beta * (1 - item @ other)) * says
    return logits


def reference(support, labels, query, text, scale, changed=None):
    """The queries of one task, one after the other; of what kind each was."""
    settings = {"slots": 3, "alpha": 2.0, "beta": 5.0, "negative_slots": 2, "negative_alpha": 0.117}
    settings |= {"negative_beta": 1.0, "negative_least": 0.03, "lower": 0.2, "upper": 0.5, **(changed or {})}
    support, query, ways = unit(support), unit(query), len(text)
    labelled = {item: [(0.0, support[item], np.eye(ways)[labels[item]])] for item in range(len(support))}
    positive, negative, found, doubtful = {}, {}, [], 0
    for item in query:
        logits = scale * text @ item
        probabilities = np.exp(logits - logits.max())
        probabilities /= probabilities.sum()
        entropy, of = -(probabilities * np.log(probabilities)).sum(), int(logits.argmax())
        remember(positive, of, item, entropy, np.eye(ways)[of], settings["slots"])
        if settings["lower"] < entropy / np.log2(max(ways, 2)) < settings["upper"]:
            doubtful += 1
            refused = probabilities > settings["negative_least"]
            remember(negative, of, item, entropy, refused, settings["negative_slots"])
        logits += settings["alpha"] * told(positive, item, settings["beta"], ways)
        logits += settings["alpha"] * told(labelled, item, settings["beta"], ways)
        found.append(logits - settings["negative_alpha"] * told(negative, item, settings["negative_beta"], ways))
    return np.stack(found), doubtful


def assert_follows(tasks, shots=0, query=None, **settings):
    learner, kept = create_learner("tda", **settings), slice(shots)
    query = tasks.query if query is None else query
    head = learner.fit(tasks.support[:, kept].double(), tasks.labels[:, kept], tasks.ways, words=tasks.words)
    found, doubtful = head(query.double()), 0
    text, scale = tasks.words.vectors.double().numpy(), tasks.words.scale
    for task in range(len(found)):
        arrays = tasks.support[task, kept].double().numpy(), tasks.labels[task, kept].numpy()
        expected, unsure = reference(*arrays, query[task].double().numpy(), text[task], scale, settings)
        np.testing.assert_allclose(found[task], expected, atol=1e-9)
        doubtful += unsure
    return found, doubtful


@pytest.mark.parametrize("shots", [0, None], ids=["zero-shot", "few-shot"])
def test_it_follows_the_paper(grid_tasks, shots):
    assert_follows(grid_tasks, shots)


def test_both_caches_fill_and_change(make_tasks):
    tasks = make_tasks(tasks=3, queries=12, spread=0.8)
    found, doubtful = assert_follows(tasks)
    assert doubtful > 3 * 5 * 2  # more than there is room for
    assert not np.allclose(found, assert_follows(tasks, slots=12)[0], atol=1e-2)
    assert not np.allclose(found, assert_follows(tasks, negative_slots=12)[0], atol=1e-2)


@pytest.mark.parametrize(
    "settings",
    [
        {"slots": 1},
        {"alpha": 0.5, "beta": 1.0},
        {"negative_slots": 1},
        {"negative_alpha": 1.0, "negative_beta": 3.0},
        {"negative_least": 0.2},
        {"lower": 0.1, "upper": 0.6},
        {"lower": 0.3, "upper": 0.4},
    ],
    ids=str,
)
def test_settings_do_as_the_paper_says(make_tasks, settings):
    tasks = make_tasks(tasks=3, queries=12, spread=0.8)
    assert not np.allclose(assert_follows(tasks, **settings)[0], assert_follows(tasks)[0], atol=1e-3)


def test_unequal_queries_follow_the_paper(make_tasks):
    tasks = make_tasks(queries=20, dim=32, seed=2)
    few = tasks.query[tasks.query_labels < 2].view(4, -1, 32)  # the queries of two classes of five
    assert_follows(tasks, query=few)


@pytest.mark.parametrize("block", [1, 7, 256])
def test_a_long_stream_follows_the_paper_through_all_blocks(make_tasks, monkeypatch, block):
    monkeypatch.setattr(tda, "BLOCK", block)
    tasks = make_tasks(tasks=2, queries=60, spread=0.8)  # 300 in all
    _, doubtful = assert_follows(tasks)
    assert doubtful > 300


def test_a_warm_start_is_left_out_on_wish(make_tasks):
    tasks = make_tasks()
    zero, cold, warm = (
        create_learner("tda", warm_start=start).fit(tasks.support[:, kept], tasks.labels[:, kept], 5, words=tasks.words)
        for start, kept in ((True, slice(0)), (False, slice(None)), (True, slice(None)))
    )
    torch.testing.assert_close(cold(tasks.query), zero(tasks.query))
    assert not torch.allclose(warm(tasks.query), zero(tasks.query), atol=0.1)


def test_padding_in_the_midst_of_a_stream_is_passed_over(make_tasks):
    tasks = make_tasks()
    head = create_learner("tda").fit(tasks.support, tasks.labels, 5, words=tasks.words)
    mask = torch.arange(20) % 3 != 1
    masked = tasks.query.masked_fill(~mask[None, :, None], torch.nan)
    found = head(masked, mask.expand(4, -1))[:, mask]
    torch.testing.assert_close(found, head(tasks.query[:, mask]))


def test_no_query_looks_ahead(make_tasks):
    tasks = make_tasks()
    head = create_learner("tda").fit(tasks.support, tasks.labels, 5, words=tasks.words)
    whole, other = head(tasks.query), tasks.query.clone()
    other[:, 10:] = torch.rand(4, 10, 16)
    torch.testing.assert_close(head(other)[:, :10], whole[:, :10])


@pytest.mark.parametrize("setting", ["slots", "negative_slots"])
def test_a_cache_needs_room(setting):
    with pytest.raises(InvalidInput, match=f"tda: {setting} must be above zero, found 0"):
        create_learner("tda", **{setting: 0})


@pytest.mark.parametrize("setting", ["alpha", "beta", "negative_alpha", "negative_beta", "lower", "upper"])
def test_weights_below_zero_are_refused(setting):
    with pytest.raises(InvalidInput, match=f"tda: {setting} must be zero or more, found -1"):
        create_learner("tda", **{setting: -1.0})
