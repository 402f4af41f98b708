import numpy as np
import pytest
from colours import COLOURS, MeanColour, images_of
from PIL import Image

from fewshot.classify import FewShotClassifier, predictions
from fewshot.classify.predictions import predict_many, top_predictions
from fewshot.errors import BrokenImages, InvalidInput

SHARES = np.array([[0.2, 0.5, 0.3], [0.4, 0.2, 0.4]])


def test_the_most_probable_classes_best_first():
    first, second = top_predictions(np.array(["a", "b", "c"]), SHARES, 2, 0.45)
    assert (first.name, first.confidence, first.top) == ("b", 0.5, (("b", 0.5), ("c", 0.3)))
    assert (second.name, second.top) == (None, (("a", 0.4), ("c", 0.4)))
    assert len(top_predictions(np.array([1, 2, 3]), SHARES, 9, 0)[0].top) == 3
    assert top_predictions(np.array([1, 2, 3]), SHARES, 1, 0.5)[0].name == 2


@pytest.fixture
def classifier():
    return FewShotClassifier(MeanColour()).fit(*images_of(COLOURS))


def test_a_threshold_is_a_probability(classifier):
    images, names = images_of(COLOURS, seed=1)
    assert [each.name for each in classifier.predict_top(images)] == names
    assert [each.name for each in classifier.predict_top(images, abstain=1.0)] == [None] * 12
    for abstain in (-0.1, 1.5, float("nan")):
        with pytest.raises(InvalidInput, match="a probability from 0 to 1, found"):
            classifier.predict_top(images, abstain=abstain)
    with pytest.raises(InvalidInput, match="must be 1 or more, found 0"):
        classifier.predict_top(images, k=0)


@pytest.fixture
def paths(tmp_path):
    images, _ = images_of(COLOURS, seed=1)
    found = [str(tmp_path / f"{number}.png") for number in range(len(images))]
    for pixels, path in zip(images, found, strict=True):
        Image.fromarray(pixels).save(path)
    for broken in (found[2], found[7]):
        with open(broken, "wb") as file:
            file.write(b"none")
    return found


def test_many_in_chunks_name_all_that_are_broken(classifier, paths, monkeypatch):
    monkeypatch.setattr(predictions, "CHUNK", 5)
    with pytest.raises(BrokenImages, match=r"2 images cannot be read: \S*2.png, \S*7.png"):
        predict_many(classifier, paths, 1, 0, skip_broken=False)
    kept, found = predict_many(classifier, paths, 1, 0, skip_broken=True)
    assert kept == [path for row, path in enumerate(paths) if row not in (2, 7)]
    assert [each.name for each in found] == ["red"] * 3 + ["green"] * 3 + ["blue"] * 4


def test_a_transductive_learner_sees_all_together(paths, monkeypatch):
    monkeypatch.setattr(predictions, "CHUNK", 5)
    classifier = FewShotClassifier(MeanColour(), "pt-map").fit(*images_of(COLOURS))
    good = [path for row, path in enumerate(paths) if row not in (2, 7)]
    _, found = predict_many(classifier, good, 1, 0, skip_broken=False)
    assert found == classifier.predict_top(good, 1)
