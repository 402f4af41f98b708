import json
import warnings

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, top_k_accuracy_score

from fewshot import EmbeddingTable
from fewshot.embeddings import embed_images
from fewshot.errors import FingerprintMismatch, InvalidInput
from fewshot.learners.words import Words
from fewshot.metrics import calibration_error
from fewshot.zeroshot import BACKGROUND, evaluate_zero_shot, score_words

NAMES = ("red", "green", "blue", "yellow", "white", "black", "grey", "pink")


def random_table(items=400, dim=12, classes=8, empty=()) -> tuple[Words, EmbeddingTable]:
    drawn = torch.Generator().manual_seed(4)
    vectors = torch.nn.functional.normalize(torch.randn(classes, dim, generator=drawn), dim=1)
    labels = torch.randint(classes, (items,), generator=drawn)
    labels[torch.isin(labels, torch.tensor(empty, dtype=torch.int64))] = 0
    features = vectors[labels] + 0.5 * torch.randn(items, dim, generator=drawn)
    words = Words(vectors, NAMES[:classes], scale=20.0, backbone="b")
    return words, EmbeddingTable(features, labels, NAMES[:classes], tuple(map(str, range(items))), backbone="b")


def half_width(values) -> float:
    return stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))


@pytest.mark.parametrize("empty", [(), (3, 5)])
def test_equals_scikit_learn_on_the_same_logits(empty):
    """CLIP_benchmark's acc1, acc5 and mean_per_class_recall."""
    words, table = random_table(empty=empty)
    features = table.features.double().numpy()
    logits = 20 * (features / np.linalg.norm(features, axis=1, keepdims=True)) @ words.vectors.double().numpy().T
    labels, predicted = table.labels.numpy(), logits.argmax(1)
    result = score_words(words, table)
    right = (predicted == labels).astype(float)
    five = np.array([label in np.argsort(-row)[:5] for row, label in zip(logits, labels, strict=True)], dtype=float)
    recalls = [right[labels == c].mean() for c in range(8) if (labels == c).any()]
    assert result.top1.mean == pytest.approx(right.mean(), abs=1e-12)
    assert result.top1.half_width == pytest.approx(half_width(right), rel=1e-9)
    assert result.top5.mean == pytest.approx(five.mean(), abs=1e-12)
    assert result.top5.half_width == pytest.approx(half_width(five), rel=1e-9)
    assert result.top5.mean == pytest.approx(top_k_accuracy_score(labels, logits, k=5, labels=range(8)), abs=1e-12)
    with warnings.catch_warnings(action="ignore"):  # of classes that are predicted and have no items
        assert result.class_recall.mean == pytest.approx(balanced_accuracy_score(labels, predicted), abs=1e-12)
    assert result.class_recall.half_width == pytest.approx(half_width(recalls), rel=1e-9)
    assert (result.confusion.numpy() == confusion_matrix(labels, predicted, labels=range(8))).all()
    chances = torch.from_numpy(logits).softmax(1)
    assert result.calibration.ece_before == pytest.approx(
        calibration_error(chances[None], table.labels[None]), abs=1e-6
    )
    assert result.calibration.ece_after < result.calibration.ece_before
    assert [n for n, share in zip(NAMES, result.recalls, strict=True) if share != share] == [NAMES[c] for c in empty]


def test_confused_pairs_and_json():
    words, table = random_table()
    result = score_words(words, table, {"templates": "t"})
    pairs = result.confused(3)
    assert [count for *_, count in pairs] == sorted((count for *_, count in pairs), reverse=True)
    for true, found, count in pairs:
        assert true != found
        assert count == result.confusion[NAMES.index(true), NAMES.index(found)]
    written = json.loads(json.dumps(result.to_json()))
    assert sum(count for *_, count in written["confusion"]) == written["items"] == 400
    assert written["top1"] == {"mean": result.top1.mean, "ci95": result.top1.half_width, "t_interval_over": "items"}
    assert written["class_recall"]["t_interval_over"] == "classes"
    assert written["settings"] == {"templates": "t"}
    assert written["calibration"]["ece_after"] == result.calibration.ece_after


def test_a_background_is_never_right():
    words, table = random_table(classes=7)
    seven = EmbeddingTable(table.features, table.labels.clamp(max=5), NAMES[:6], table.ids, backbone="b")
    result = score_words(Words(words.vectors, (*NAMES[:6], BACKGROUND), 20.0, backbone="b"), seven)
    assert result.confusion.shape == (6, 7)
    away = int(result.confusion[:, 6].sum())
    assert away > 0
    assert result.top1.mean == pytest.approx(int(result.confusion.diagonal().sum()) / 400)
    assert any(found == BACKGROUND for _, found, _ in result.confused(36))


def test_few_items_and_few_classes():
    words, table = random_table(items=4, classes=3)
    result = score_words(words, table)
    assert result.calibration is None
    assert result.top5 is None
    assert json.dumps(result.to_json())


def test_other_words_are_refused():
    words, table = random_table()
    with pytest.raises(InvalidInput, match="must name the 8 classes"):
        score_words(words.select(NAMES[::-1]), table)
    with pytest.raises(FingerprintMismatch):
        score_words(Words(words.vectors, NAMES, backbone="another"), table)


def test_evaluate_a_table(clip, draw):
    images, names = draw(6, seed=20, most=90)
    known = tuple(dict.fromkeys(names))
    labels = torch.tensor([known.index(name) for name in names])
    ids = tuple(map(str, range(len(names))))
    table = EmbeddingTable(embed_images(clip, images), labels, known, ids, backbone=clip.fingerprint)
    result = evaluate_zero_shot(clip, table, progress=False)
    assert result.top1.mean > 0.6
    assert result.settings["templates"]["name"] == "simple"
    assert result.settings["prompts"]["count"] == 6
    swapped = {"red": "green", "green": "red"}
    assert evaluate_zero_shot(clip, table, class_names=swapped, progress=False).top1.mean < result.top1.mean - 0.2
    described = evaluate_zero_shot(
        clip, table, None, descriptions={n: f"a large {n} thing" for n in known}, progress=False
    )
    assert described.settings["described_classes"] == 6
    assert (described.settings["templates"]["name"], described.settings["templates"]["count"]) == ("none", 0)
    assert described.top1.mean > 0.6
    with pytest.raises(InvalidInput, match="'purple', which is no class"):
        evaluate_zero_shot(clip, table, class_names={"purple": "red"})
