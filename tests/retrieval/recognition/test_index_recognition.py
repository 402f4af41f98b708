"""Recognition by an index: every rule against loops in float64, and classes that come and go."""

import json
import math

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from fewshot import EmbeddingTable, Index
from fewshot.cli import main
from fewshot.datasets.grouping import Grouping
from fewshot.errors import InvalidInput
from fewshot.retrieval.recognition import Rule, calibrate
from fewshot.retrieval.recognition.calibrating import left_out_evidence
from fewshot.retrieval.recognition.neighbours import nearest_items_of_others
from fewshot.retrieval.recognition.support import support_of

DIM = 12
RULES = [
    Rule(evidence="score"),
    Rule(k=5, evidence="score"),
    Rule(k=7, weights="uniform"),
    Rule(k=4, temperature=1.0),
    Rule("mean", evidence="score"),
    Rule(k=3),
    Rule("mean"),
]
NAMES = [f"{rule}, {rule.evidence}" for rule in RULES]


def table_of(vectors, labels, prefix="item") -> EmbeddingTable:
    """Vectors (n, D) under the names of their classes."""
    names = sorted(set(labels))
    numbers = torch.tensor([names.index(label) for label in labels])
    ids = tuple(f"{prefix}{row}" for row in range(len(labels)))
    group = {"shop": Grouping.of([f"s{row % 2}" for row in range(len(labels))])}
    return EmbeddingTable(torch.as_tensor(vectors), numbers, tuple(names), ids, groups=group)


def draw(classes: int, shots: int, seed: int = 0, spread: float = 0.7):
    """Items (n, D) around one centre a class, with class names, and a question for every class and some between."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(classes, DIM))
    labels = [f"c{row % classes:03d}" for row in range(classes * shots)]
    items = np.tile(centres, (shots, 1)) + spread * random.normal(size=(classes * shots, DIM))
    asked = np.concatenate([centres, random.normal(size=(20, DIM))]) + spread * random.normal(size=(classes + 20, DIM))
    return items.astype(np.float32), labels, asked.astype(np.float32)


@pytest.fixture(params=["cosine", "inner-product", "l2"])
def made(request, tmp_path):
    items, labels, asked = draw(classes=9, shots=4)
    index = Index.build(table_of(items, labels), tmp_path / "index", metric=request.param, progress=False)
    return index, items, labels, asked


def closeness_of(query, item, metric) -> float:
    query, item = query.astype(np.float64), item.astype(np.float64)
    if metric == "l2":
        return -float(((query - item) ** 2).sum())
    product = float(query @ item)
    return product / float(np.linalg.norm(query) * np.linalg.norm(item)) if metric == "cosine" else product


def reference(query, items, labels, metric, rule: Rule):
    """Winner, its closeness and share, and the runner-up with its closeness, as the rule is told, in loops."""
    best: dict[str, float] = {}
    if rule.name == "mean":
        unit = [item.astype(np.float64) / (np.linalg.norm(item) if metric == "cosine" else 1) for item in items]
        for name in set(labels):
            own = [item for item, label in zip(unit, labels, strict=True) if label == name]
            best[name] = closeness_of(query, np.mean(own, axis=0), metric)
        first, second = sorted(best, key=lambda name: -best[name])[:2]
        return first, best[first], 1.0, second, best[second]
    scored = sorted(
        ((closeness_of(query, item, metric), label) for item, label in zip(items, labels, strict=True)), reverse=True
    )
    votes: dict[str, float] = {}
    for closeness, label in scored[: rule.k]:
        weight = 1.0 if rule.weights == "uniform" else math.exp((closeness - scored[0][0]) / rule.temperature)
        votes[label] = votes.get(label, 0) + weight
    for closeness, label in scored:
        best.setdefault(label, closeness)
    order = sorted(best, key=lambda name: (-votes.get(name, 0), -best[name]))
    first, second = order[:2]
    return first, best[first], votes[first] / sum(votes.values()), second, best[second]


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_classify_is_the_float64_reference(made, rule) -> None:
    index, items, labels, asked = made
    metric = index.manifest.metric
    sign = -1 if metric == "l2" else 1
    for query, found in zip(asked, index.classify(asked, rule=rule), strict=True):
        label, closeness, share, runner_up, next_best = reference(query, items, labels, metric, rule)
        assert (found.label, found.runner_up) == (label, runner_up)
        assert found.score == pytest.approx(sign * closeness, rel=1e-4, abs=1e-5)
        assert found.runner_up_score == pytest.approx(sign * next_best, rel=1e-4, abs=1e-5)
        assert found.share == pytest.approx(share, abs=1e-3)
        assert found.accepted
        assert found.name == label
        if rule.name == "knn":
            assert labels[found.nearest] == label
            assert found.key == f"item{found.nearest}"
        else:
            assert found.nearest is None
            assert found.key is None


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_left_out_classes_are_the_float64_reference(made, rule) -> None:
    index, items, labels, _ = made
    metric = index.manifest.metric
    scores, own = left_out_evidence(support_of(index), rule)
    names = support_of(index).names
    assert sorted(names[number] for number in own) == sorted(labels)
    wanted = []
    for item, label in zip(items, labels, strict=True):
        others = [row for row, other in enumerate(labels) if other != label]
        left = reference(item, items[others], [labels[row] for row in others], metric, rule)
        wanted.append(left[1] - (left[4] if rule.evidence == "margin" else 0))
    assert np.allclose(scores, wanted, rtol=1e-4, atol=1e-5)


def test_neighbours_of_other_classes_are_found_however_many_are_in_the_way(tmp_path, monkeypatch) -> None:
    from fewshot.retrieval.recognition import neighbours

    random = np.random.default_rng(0)
    items = np.concatenate([1 + 0.01 * random.normal(size=(300, 4)), random.normal(size=(40, 4))]).astype(np.float32)
    labels = ["crowd"] * 300 + [f"c{row % 7}" for row in range(40)]
    index = Index.build(table_of(items, labels), tmp_path / "index", metric="l2", progress=False)
    support = support_of(index)
    queries, own = items[:3] + 0.001, np.full((3, 1), support.names.index("crowd"))
    distance = ((queries[:, None].astype(np.float64) - items[None, 300:]) ** 2).sum(2)
    wanted = 300 + distance.argsort(1)[:, :5]
    assert (nearest_items_of_others(support, queries, own, 5).ids == wanted).all()
    monkeypatch.setattr(neighbours, "WIDEST", 10)  # the class is then left out of the search itself
    assert (nearest_items_of_others(support, queries, own, 5).ids == wanted).all()
    both = nearest_items_of_others(support, queries, np.append(own, np.full((3, 1), support.names.index("c3")), 1), 5)
    kept = [row for row in range(300, 340) if labels[row] != "c3"]
    assert (both.ids == np.array(kept)[distance[:, np.array(kept) - 300].argsort(1)[:, :5]]).all()
    few = nearest_items_of_others(support, queries, own, 60)
    assert (few.ids[:, 40:] == -1).all()
    assert np.isneginf(few.closeness[:, 40:]).all()
    assert (few.ids[:, :5] == wanted).all()


def test_a_class_is_known_by_one_picture_and_gone_with_it(tmp_path) -> None:
    items, labels, _ = draw(classes=6, shots=1)
    index = Index.build(table_of(items[:5], labels[:5]), tmp_path / "index", progress=False)
    stranger = items[5]
    for rule in ("knn", "mean"):
        assert index.classify(stranger, rule=rule).label != "c005"
    index.add(table_of(items[5:], labels[5:], prefix="new"))
    for rule in ("knn", "mean"):
        found = index.classify(stranger, rule=rule)
        assert found.label == "c005"
        assert found.score == pytest.approx(1, abs=1e-6)
    assert Index.open(tmp_path / "index").classify(stranger).key == "new0"
    index.delete(keys=["new0"])
    for rule in ("knn", "mean"):
        assert index.classify(stranger, rule=rule).label != "c005"
        assert "c005" not in support_of(index).names
    index.delete(where="label = 'c000'")
    assert index.compact()
    assert set(support_of(index).names) == {"c001", "c002", "c003", "c004"}
    assert {found.label for found in index.classify(items)} == {"c001", "c002", "c003", "c004"}


def test_items_without_a_label_have_no_say(tmp_path) -> None:
    items, labels, asked = draw(classes=4, shots=1)
    index = Index.build(table_of(items, labels), tmp_path / "index", progress=False)
    before = index.classify(asked, k=4)
    index.add(asked)  # an array has no labels
    assert len(index) == 4 + len(asked)
    assert [found.label for found in index.classify(asked, k=4)] == [found.label for found in before]
    with pytest.raises(InvalidInput, match="k must be at most 4"):
        index.classify(asked, k=5)
    bare = Index.build(asked, tmp_path / "bare", progress=False)
    with pytest.raises(InvalidInput, match="no labelled items"):
        bare.classify(asked)


def test_one_class_has_no_runner_up(tmp_path) -> None:
    items, _, asked = draw(classes=2, shots=1)
    index = Index.build(table_of(items, ["only", "only"]), tmp_path / "index", progress=False)
    for rule in ("knn", "mean"):
        found = index.classify(asked[0], rule=rule)
        assert (found.label, found.runner_up, found.runner_up_score) == ("only", None, None)
    with pytest.raises(InvalidInput, match="one class"):
        calibrate(index, 0.5)
    with pytest.raises(InvalidInput, match="a margin is ahead of a second class"):
        index.classify(asked, reject_at=0.1)
    with pytest.raises(InvalidInput, match="1 classes are too few for a margin"):
        calibrate(index, 0.5, strangers=asked)


def test_approximate_kinds_recognise_too(tmp_path) -> None:
    items, labels, _ = draw(classes=60, shots=12, spread=0.2)
    index = Index.build(table_of(items, labels), tmp_path / "index", index="IVF8,Flat", recall=0.9, progress=False)
    found = index.classify(items, k=3)
    assert np.mean([each.label == label for each, label in zip(found, labels, strict=True)]) > 0.97
    assert all(each.runner_up not in (None, each.label) for each in found)


def test_thresholds_reject_by_either_end_of_the_score(made) -> None:
    index, _, _, asked = made
    metric = index.manifest.metric
    scores = sorted(found.score for found in index.classify(asked))
    middle = scores[len(scores) // 2]
    for found in index.classify(asked, rule=Rule(evidence="score"), reject_at=middle):
        assert found.accepted == (found.score < middle if metric == "l2" else found.score > middle)
        assert (found.name is None) == (not found.accepted)
    for found in index.classify(asked, reject_at=0.05):
        assert found.accepted == (abs(found.score - found.runner_up_score) > 0.05)
    threshold = calibrate(index, 0.3)
    told = index.classify(asked, reject_at=threshold)
    assert told == index.classify(asked, false_accepts=0.3)
    assert {each.accepted for each in told} == {True, False}
    assert json.loads(json.dumps(threshold.to_json()))["rule"]["name"] == "knn"
    with pytest.raises(InvalidInput, match="calibrate anew"):
        index.classify(asked, k=2, reject_at=threshold)
    with pytest.raises(InvalidInput, match="not both"):
        index.classify(asked, reject_at=0.1, false_accepts=0.1)
    with pytest.raises(InvalidInput, match="finite"):
        index.classify(asked, reject_at=math.nan)


@pytest.mark.parametrize("wrong", [{"name": "svm"}, {"weights": "none"}, {"k": 0}, {"temperature": 0.0}])
def test_a_wrong_rule_is_refused(wrong) -> None:
    with pytest.raises(InvalidInput):
        Rule(**wrong)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Class folders of plain colours, an index of them, and more pictures."""
    folder = tmp_path_factory.mktemp("shop")
    random = np.random.default_rng(0)
    colours = random.integers(0, 256, size=(30, 3))
    for number, colour in enumerate(colours):
        for part in ("known", "asked") if number < 20 else ("strange",):
            place = folder / part / f"c{number:02d}"
            place.mkdir(parents=True)
            noise = random.integers(-4, 5, size=(16, 16, 3))
            Image.fromarray((colour + noise).clip(0, 255).astype(np.uint8)).save(place / "picture.png")
    Index.build(folder / "known", folder / "index", "fewshot:raw-pixels", metric="l2", workers=0, progress=False)
    return folder


def run(*arguments):
    return CliRunner().invoke(main, ["index", "classify", *map(str, arguments)])


def test_the_command_classifies_folders_and_says_none(shop) -> None:
    done = run(shop / "index", shop / "asked", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert len(told) == 20
    assert all(each["class"] == each["label"] == each["query"].split("/")[-2] for each in told)
    done = run(shop / "index", shop / "strange", shop / "asked", "--rule", "mean", "--false-accepts", "0.1",
               "--evidence", "score", "--strangers", shop / "strange", "--json")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "10 classes of strangers" in done.stderr
    named = [each["class"] for each in json.loads(done.stdout)]
    assert sum(name is not None for name in named[:10]) <= 1
    assert sum(name is not None for name in named[10:]) >= 15
    done = run(shop / "index", shop / "strange" / "c25" / "picture.png", "--false-accepts", "0.1")
    assert done.exit_code == 0, done.output
    assert "each left out" in done.stderr
    assert "picture.png" in done.stdout


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--false-accepts", "0.01"], "at least 199 are needed"),
        (["--reject-at", "1", "--false-accepts", "0.1"], "not both"),
        (["-k", "21"], "k must be at most 20"),
    ],
)
def test_the_command_refuses_in_one_line(shop, more, told) -> None:
    done = run(shop / "index", shop / "asked", *more)
    assert done.exit_code == 2
    assert told in done.stderr
    assert "Traceback" not in done.output


def test_neighbours_of_other_classes_are_all_found_where_the_first_look_shows_some(tmp_path) -> None:
    items = np.arange(1, 41, dtype=np.float32)[:, None] * np.ones(2, np.float32)
    labels = ["near"] * 12 + [f"c{row % 5}" for row in range(28)]
    index = Index.build(table_of(items, labels), tmp_path / "index", metric="l2", progress=False)
    support = support_of(index)
    own = np.array([[support.names.index("near")]])
    assert nearest_items_of_others(support, np.zeros((1, 2), np.float32), own, 5).ids.tolist() == [[12, 13, 14, 15, 16]]
