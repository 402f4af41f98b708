"""The index as a learner: against loops in float64, against `classify`, by name in a benchmark."""

import math

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from fewshot import EmbeddingTable, EpisodeSampler, Index, evaluate
from fewshot.cli import main
from fewshot.errors import InvalidInput
from fewshot.learners import Head, create_learner, parse_learner
from fewshot.retrieval.recognition import Rule
from fewshot.retrieval.recognition.learner import IndexLearner

SETTINGS = [
    {},
    {"k": 4},
    {"k": 6, "weights": "uniform"},
    {"k": 50, "temperature": 0.5},
    {"rule": "mean"},
    {"metric": "l2", "k": 3, "temperature": 5.0},
    {"metric": "l2", "rule": "mean"},
    {"metric": "inner-product", "k": 2, "weights": "uniform"},
]


def tasks(tasks: int = 3, ways: int = 6, shots: int = 3, queries: int = 7, dim: int = 10, seed: int = 0):
    draw = torch.Generator().manual_seed(seed)
    centres = torch.randn(tasks, ways, dim, generator=draw)
    labels = torch.stack([torch.randperm(ways * shots, generator=draw) % ways for _ in range(tasks)])
    support = centres.gather(1, labels[..., None].expand(-1, -1, dim))
    support = support + 0.8 * torch.randn(support.shape, generator=draw)
    query = centres[:, :1].expand(-1, queries, -1) + torch.randn(tasks, queries, dim, generator=draw)
    return support, labels, query


def reference(support, labels, query, learner) -> list[float]:
    """The votes that the docstring tells, as logits of one query of one task, in loops of floats."""

    def unit(vector):
        return vector / np.linalg.norm(vector) if learner.metric == "cosine" else vector

    support, query = [unit(item) for item in support.double().numpy()], unit(query.double().numpy())
    ways, owners = int(labels.max()) + 1, labels.tolist()
    if learner.rule == "mean":
        members = [[item for item, owner in zip(support, owners, strict=True) if owner == way] for way in range(ways)]
        support, owners = [unit(np.mean(items, axis=0)) for items in members], list(range(ways))
    closeness = [
        -float(((item - query) ** 2).sum()) if learner.metric == "l2" else float(item @ query) for item in support
    ]
    nearest = [max(c for c, owner in zip(closeness, owners, strict=True) if owner == way) for way in range(ways)]
    if learner.rule == "mean":
        return [value / learner.temperature for value in nearest]
    voters = sorted(range(len(support)), key=lambda item: -closeness[item])[: learner.k]
    logits = []
    for way in range(ways):
        mine = [closeness[item] for item in voters if owners[item] == way]
        if learner.weights == "uniform":
            logits.append(len(mine) + sorted(nearest).index(nearest[way]) / (ways + 1))
        else:
            votes = math.log(sum(math.exp(c / learner.temperature) for c in mine)) if mine else -math.inf
            logits.append(max(votes, nearest[way] / learner.temperature))
    return logits


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_logits_are_the_float64_reference(settings) -> None:
    learner = IndexLearner(**settings)
    support, labels, query = tasks()
    found = learner.fit(support, labels, 6)(query)
    wanted = torch.tensor(
        [[reference(support[t], labels[t], each, learner) for each in query[t]] for t in range(3)], dtype=torch.float64
    )
    torch.testing.assert_close(found.double(), wanted, rtol=1e-4, atol=1e-3)
    assert found.dtype == torch.float32
    exact = learner.fit(support.double(), labels, 6)(query.double())
    torch.testing.assert_close(exact, wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_an_index_of_another_kind_votes_alike(settings) -> None:
    support, labels, query = tasks(shots=5)
    flat = IndexLearner(**settings).fit(support, labels, 6)(query)
    graph = IndexLearner(**settings, kind="HNSW16").fit(support, labels, 6)(query)
    torch.testing.assert_close(graph, flat, rtol=1e-4, atol=1e-3)


def test_what_an_index_has_not_found_comes_last(monkeypatch) -> None:
    from fewshot.retrieval.recognition import learner as room

    monkeypatch.setattr(room, "BEYOND", 1)
    support, labels, query = tasks(ways=8, shots=1)
    flat = IndexLearner().fit(support, labels, 8)(query)
    some = IndexLearner(kind="HNSW16").fit(support, labels, 8)(query)
    assert some.isfinite().all()
    best = flat.topk(2, dim=2).indices
    assert torch.equal(some.topk(2, dim=2).indices, best)
    torch.testing.assert_close(some.gather(2, best), flat.gather(2, best))
    assert (some.sort(2).values[..., :-2] < some.gather(2, best[..., 1:])).all()


@pytest.mark.parametrize("kind", ["Flat", "HNSW16"])
def test_tasks_of_unequal_shape_and_their_state(kind) -> None:
    learner = IndexLearner(k=3, kind=kind)
    big, small = tasks(tasks=1), tasks(tasks=1, ways=4, shots=2, queries=3, seed=1)
    support, query = torch.full((2, 18, 10), torch.nan), torch.full((2, 7, 10), torch.nan)
    labels, mask = torch.full((2, 18), -1), torch.zeros(2, 7, dtype=torch.bool)
    for row, (items, owners, asked) in enumerate((big, small)):
        support[row, : items.shape[1]], labels[row, : items.shape[1]] = items[0], owners[0]
        query[row, : asked.shape[1]], mask[row, : asked.shape[1]] = asked[0], True
    head = learner.fit(support, labels, torch.tensor([6, 4]))
    found = head(query, mask)
    torch.testing.assert_close(found[:1], learner.fit(big[0], big[1], 6)(big[2]))
    torch.testing.assert_close(found[1:, :3, :4], learner.fit(small[0], small[1], 4)(small[2]), rtol=1e-4, atol=1e-4)
    assert (found[1, :, 4:] == -torch.inf).all()
    assert torch.equal(Head(learner, head.state_dict())(query, mask), found)


@pytest.mark.parametrize("rule", [Rule(), Rule(k=5), Rule(k=4, weights="uniform"), Rule("mean")], ids=str)
@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_the_learner_says_what_the_index_says(tmp_path, rule, metric) -> None:
    support, labels, query = tasks(tasks=1, ways=20, shots=3, queries=60)
    names = tuple(f"c{way:02d}" for way in range(20))
    table = EmbeddingTable(support[0], labels[0], names, tuple(map(str, range(60))))
    index = Index.build(table, tmp_path / "index", metric=metric, progress=False)
    logits = index.as_learner(rule).fit(support, labels, 20)(query)[0]
    said = [names.index(each.label) for each in index.classify(query[0].numpy(), rule=rule)]
    assert logits.argmax(1).tolist() == said
    assert index.as_learner(rule, kind="HNSW8").kind == "HNSW8"


def test_a_kind_that_must_be_trained_gives_way_to_exact_search(tmp_path) -> None:
    vectors = np.random.default_rng(0).normal(size=(400, 8)).astype(np.float32)
    index = Index.build(vectors, tmp_path / "index", index="IVF4,Flat", recall=0.5, progress=False)
    assert index.as_learner().kind == "Flat"


def test_thousands_of_ways_in_bounded_time() -> None:
    draw = torch.Generator().manual_seed(0)
    centres = torch.randn(1500, 1, 16, generator=draw)
    features = (centres + 0.3 * torch.randn(1500, 2, 16, generator=draw)).flatten(0, 1)
    table = EmbeddingTable(
        features, torch.arange(1500).repeat_interleave(2), tuple(map(str, range(1500))), tuple(map(str, range(3000)))
    )
    episodes = EpisodeSampler(table.labels, ways=1500, shots=1, queries=1).sample(1)
    exact = evaluate(create_learner("index"), table, episodes, top_k=())
    assert 0.3 < exact.accuracy < 1
    assert exact.accuracy == evaluate(create_learner("nearest-neighbour", metric="cosine"), table, episodes).accuracy


def test_it_runs_in_a_benchmark_by_name(tmp_path) -> None:
    learner = parse_learner("index:rule=knn,k=1,kind=Flat")
    assert learner == IndexLearner()
    done = CliRunner().invoke(main, [
        "bench", "run", "--dataset", "digits", "--backbone", "fewshot:raw-pixels", "--learner", "index:k=1",
        "--learner", "index:rule=mean", "--shots", "1", "--episodes", "4", "--queries", "3",
        "--store", str(tmp_path / "store"), "--json",
    ])  # fmt: skip
    assert done.exit_code == 0, done.output
    assert done.stdout.count('"learner": "index') == 2
    shown = CliRunner().invoke(main, ["learners", "show", "index"])
    assert shown.exit_code == 0
    assert "Wu et al. 2018" in shown.output


@pytest.mark.parametrize("wrong", [{"k": 0}, {"temperature": 0.0}, {"rule": "svm"}, {"metric": "hamming"}])
def test_wrong_settings_are_refused(wrong) -> None:
    with pytest.raises(InvalidInput):
        IndexLearner(**wrong)


def test_a_kind_that_the_support_cannot_train_is_refused() -> None:
    support, labels, query = tasks()
    with pytest.raises(InvalidInput):
        IndexLearner(kind="nonsense").fit(support, labels, 6)(query)
    with pytest.raises(InvalidInput):
        IndexLearner(kind="IVF512,Flat").fit(support, labels, 6)(query)
