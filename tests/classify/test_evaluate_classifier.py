import json
import math

import numpy as np
import pytest
import torch
from colours import COLOURS, MeanColour, colour_words, images_of
from PIL import Image
from scipy import stats

from fewshot.classify import ClassifierEvaluation, FewShotClassifier, evaluate
from fewshot.classify.evaluate import _resampled, _split, _wilson
from fewshot.classify.evaluation import count_confusions
from fewshot.classify.picture import draw_evaluation
from fewshot.datasets import ImageFolder
from fewshot.errors import FewshotWarning, InvalidInput

NOISY = {"count": 6, "shift": 90}  # so noisy that colours are taken for each other


def test_leave_one_out_is_a_loop():
    images, names = images_of(COLOURS, **NOISY)
    found = FewShotClassifier(MeanColour(), "prototypical").evaluate(images, names)
    predicted = []
    for row in range(len(images)):
        others = FewShotClassifier(MeanColour(), "prototypical")
        others.fit(images[:row] + images[row + 1 :], names[:row] + names[row + 1 :])
        predicted.append(others.predict(images[row : row + 1])[0])
    right = np.array(predicted) == np.array(names)
    assert 0.3 < right.mean() < 1
    assert found.accuracy == pytest.approx(right.mean())
    assert found.protocol == "leave-one-out"
    for place, name in enumerate(found.classes):
        for other_place, other in enumerate(found.classes):
            both = [guess == other for guess, true in zip(predicted, names, strict=True) if true == name]
            assert int(found.confusion[place, other_place]) == sum(both)
    assert {mistake.item for mistake in found.mistakes} == {f"number {row}" for row in np.flatnonzero(~right)}
    assert sorted((m.confidence for m in found.mistakes), reverse=True) == [m.confidence for m in found.mistakes]


def test_the_temperature_of_an_image_is_fitted_to_others(monkeypatch):
    images, names = images_of(COLOURS, **NOISY)
    sizes = []

    def fitted(logits, labels):
        sizes.append(len(logits))
        return 1.0

    monkeypatch.setattr(evaluate, "fit_temperature", fitted)
    found = FewShotClassifier(MeanColour(), "prototypical").evaluate(images, names)
    assert sizes == [len(images) - 1] * len(images)
    assert found.ece_before == found.ece_after


def test_a_copy_does_not_tell_what_it_is_a_copy_of(tmp_path):
    images, names = images_of(COLOURS, **NOISY)
    for row, (pixels, name) in enumerate(zip(images, names, strict=True)):
        (tmp_path / name).mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / name / f"{row:02}.png")
    once = FewShotClassifier(MeanColour(), "nearest-neighbour").evaluate(ImageFolder(tmp_path))
    for file in sorted(tmp_path.glob("*/*.png")):
        file.with_name(f"a copy of {file.name}").write_bytes(file.read_bytes())
    with pytest.warns(FewshotWarning, match="the same picture is there more than once, and counts once"):
        found = FewShotClassifier(MeanColour(), "nearest-neighbour").evaluate(ImageFolder(tmp_path))
    assert found.accuracy == once.accuracy < 1
    assert (found.items, found.interval) == (once.items, once.interval)
    assert not any("a copy of" in mistake.item for mistake in found.mistakes), "the first by name stands for both"


def test_more_images_are_split():
    images, names = images_of(COLOURS, count=80, shift=90)
    classifier = FewShotClassifier(MeanColour(), "prototypical")
    found = classifier.evaluate(images, names, repeats=4, test_share=0.25, seed=1)
    assert found.protocol == "4 splits with 25 % of each class held out"
    assert found.confusion.sum(1).tolist() == [80, 80, 80]  # 4 splits of 20 a class
    assert found.interval[0] < found.accuracy < found.interval[1]
    assert 0.4 < found.accuracy < 1
    assert found.ece_after < found.ece_before
    again = classifier.evaluate(images, names, repeats=4, test_share=0.25, seed=1)
    assert again.accuracy == found.accuracy
    assert classifier.evaluate(images, names, repeats=4, seed=2).accuracy != found.accuracy
    assert not hasattr(classifier, "head_")


def test_a_split_tests_its_share_and_leaves_one():
    labels = torch.tensor([0] * 10 + [1] * 2 + [2])
    test = _split(labels, 0.3, True, torch.Generator().manual_seed(0))
    assert [int(test[labels == label].sum()) for label in range(3)] == [3, 1, 0]
    assert bool(_split(labels, 0.9, False, torch.Generator().manual_seed(0))[12])


@pytest.mark.parametrize(("right", "count"), [(0, 5), (5, 5), (7, 20), (180, 200)])
def test_the_score_interval(right, count):
    share, (low, high) = _wilson(torch.tensor([1.0] * right + [0.0] * (count - right), dtype=torch.float64))
    interval = stats.binomtest(right, count).proportion_ci(method="wilson")
    assert share == pytest.approx(right / count)
    assert (low, high) == pytest.approx((interval.low, interval.high), abs=1e-6)


def test_the_interval_of_splits_is_widened():
    draws = np.random.default_rng(0).integers(0, 2, (6, 30)).astype(float)
    mean, (low, high) = _resampled([torch.from_numpy(each) for each in draws], items=150)
    shares = draws.mean(1)
    half = stats.t.ppf(0.975, 5) * math.sqrt((1 / 6 + 30 / 120) * shares.var(ddof=1))
    assert (mean, low, high) == pytest.approx((shares.mean(), shares.mean() - half, shares.mean() + half), abs=1e-9)


def test_a_class_of_one_image_is_not_tested():
    images, names = images_of(COLOURS)
    found = FewShotClassifier(MeanColour(), "prototypical").evaluate(images[:9], names[:9])
    assert found.untested == ("blue",)
    assert found.confusion.sum(1).tolist() == [0, 4, 4]
    assert found.to_json()["recall"][0] is None
    with pytest.raises(InvalidInput, match="every class has one image, so none can be held out"):
        FewShotClassifier(MeanColour(), "prototypical").evaluate([images[0], images[4]], ["red", "green"])


def test_words_alone_need_no_image_of_a_class():
    images, names = images_of(COLOURS)
    found = FewShotClassifier(MeanColour(), "zero-shot", words=colour_words()).evaluate(images[:9], names[:9])
    assert found.untested == ()
    assert found.accuracy == 1


@pytest.mark.parametrize(
    ("settings", "message"), [({"repeats": 1}, "repeats must be 2"), ({"test_share": 1}, "found 1")]
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(InvalidInput, match=message):
        FewShotClassifier(MeanColour()).evaluate(*images_of(COLOURS), **settings)


def evaluation(confusion, classes):
    return ClassifierEvaluation(
        "leave-one-out", 0.5, (0.2, 0.8), 9, classes, torch.tensor(confusion), 0.2, 0.1, (), (), {}, "", {}, {}, 1.0
    )


def test_the_most_confused_pairs():
    found = evaluation([[3, 1, 0], [4, 4, 0], [0, 0, 0]], ("a", "b", "c"))
    assert found.most_confused() == [("b", "a", 0.5, 4), ("a", "b", 0.25, 1)]
    assert found.most_confused(1) == [("b", "a", 0.5, 4)]
    assert found.recall[:2].tolist() == [0.75, 0.5]
    told = json.loads(json.dumps(found.to_json()))
    assert told["recall"] == [0.75, 0.5, None]
    assert told["most_confused"][0] == {"class": "b", "taken_for": "a", "share": 0.5, "times": 4}
    assert str(found) == "50.0 % (95 % interval 20.0 to 80.0; leave-one-out)"


def test_confusions_are_counted():
    assert count_confusions(torch.tensor([0, 0, 2]), torch.tensor([1, 1, 2]), 3).tolist() == [
        [0, 2, 0],
        [0, 0, 0],
        [0, 0, 1],
    ]


@pytest.mark.parametrize("classes", [2, 30, 80])
def test_the_picture(classes, tmp_path):
    confusion = torch.eye(classes, dtype=torch.int64) * 3
    confusion[0, 1] = 1
    draw_evaluation(evaluation(confusion.tolist(), tuple(f"${name}$" for name in range(classes))), tmp_path / "c.png")
    with Image.open(tmp_path / "c.png") as picture:
        assert picture.format == "PNG"
        assert len(picture.getcolors(1 << 24)) > 20
