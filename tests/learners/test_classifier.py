import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from fewshot.embeddings import embed_images
from fewshot.errors import BrokenImages, FingerprintMismatch, InvalidInput, MissingWeights, UnreadableFile
from fewshot.learners import (
    BaseStatistics,
    FewShotClassifier,
    Prototypical,
    choose_learner,
    create_learner,
    list_learners,
    parse_learner,
)

COLOURS = {"red": (220, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 220)}


class MeanColour:
    """A backbone whose features are the mean of each channel in each quarter of the image."""

    name, dim, device, precision, layers, fingerprint = "test:mean", 12, torch.device("cpu"), "float32", None, "f00d"

    @staticmethod
    def preprocess(image):
        return torch.from_numpy(np.array(image.resize((8, 8)))).permute(2, 0, 1).float() / 255

    def __call__(self, images):
        return torch.nn.functional.adaptive_avg_pool2d(images, 2).flatten(1)


def images_of(colours, seed=0, count=4):
    noise = np.random.default_rng(seed)
    names = [name for name in colours for _ in range(count)]
    pixels = [np.clip(COLOURS[name] + noise.integers(-30, 30, (8, 8, 3)), 0, 255).astype(np.uint8) for name in names]
    return pixels, names


@pytest.fixture
def classifier() -> FewShotClassifier:
    return FewShotClassifier(MeanColour()).fit(*images_of(COLOURS))


@pytest.mark.parametrize("learner", list_learners())
def test_every_learner_classifies_images(learner, with_weights):
    learner = with_weights(create_learner(learner), 12)
    features = embed_images(MeanColour(), images_of(COLOURS, seed=2)[0])
    base = BaseStatistics.from_features(features, torch.arange(12) % 4, backbone="f00d")
    classifier = FewShotClassifier(MeanColour(), learner, base).fit(*images_of(COLOURS))
    images, names = images_of(COLOURS, seed=1)
    assert classifier.score(images, names) == 1
    assert classifier.predict(images).tolist() == names
    assert classifier.classes_.tolist() == ["blue", "green", "red"]


@pytest.mark.parametrize("base", [None, BaseStatistics(torch.full((12,), 0.4))])
def test_auto_takes_what_measured_best_and_says_why(base):
    images, names = images_of(COLOURS)
    classifier = FewShotClassifier(MeanColour(), "auto", base).fit(images, names)
    choice = choose_learner(4, "alone", "none" if base is None else "mean")
    assert classifier.head_.learner == parse_learner(choice.learner)
    assert classifier.reason_ == choice.reason
    assert not classifier.head_.learner.transductive
    assert classifier.predict(images).tolist() == names


def test_unlabelled_images_are_learned_from_or_refused():
    images, names = images_of(COLOURS)
    more, _ = images_of(COLOURS, seed=3)
    plain = FewShotClassifier(MeanColour(), "soft-kmeans").fit(images, names)
    richer = FewShotClassifier(MeanColour(), "soft-kmeans").fit(images, names, unlabelled=more)
    assert not np.allclose(plain.predict_proba(images), richer.predict_proba(images), atol=1e-9)
    with pytest.raises(InvalidInput, match="ridge does not learn from unlabelled"):
        FewShotClassifier(MeanColour(), "ridge").fit(images, names, unlabelled=more)


def test_probabilities_sum_to_one_in_the_order_of_classes(classifier):
    images, _ = images_of(COLOURS, seed=1)
    probabilities = classifier.predict_proba(images)
    assert probabilities.shape == (12, 3)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-12)
    assert (classifier.classes_[probabilities.argmax(1)] == classifier.predict(images)).all()
    assert classifier.predict_proba([]).shape == (0, 3)
    assert classifier.predict([]).shape == (0,)


def test_paths_and_pictures_are_as_good_as_arrays(classifier, tmp_path):
    images, _ = images_of(COLOURS, seed=1)
    expected = classifier.predict_proba(images)
    pictures = [Image.fromarray(pixels) for pixels in images]
    for number, picture in enumerate(pictures):
        picture.save(tmp_path / f"{number}.png")
    paths = [tmp_path / f"{number}.png" for number in range(len(images))]
    np.testing.assert_array_equal(classifier.predict_proba(pictures), expected)
    np.testing.assert_array_equal(classifier.predict_proba(paths), expected)
    np.testing.assert_array_equal(classifier.predict_proba([str(path) for path in paths]), expected)


@pytest.mark.parametrize("form", [list, np.array])
def test_integer_names_stay_integers(form):
    images, names = images_of(COLOURS)
    numbers = form([{"red": 7, "green": 3, "blue": 11}[name] for name in names])
    classifier = FewShotClassifier(MeanColour()).fit(images, numbers)
    assert classifier.classes_.tolist() == [3, 7, 11]
    assert classifier.predict(images).tolist() == list(numbers)


def test_fitting_again_forgets(classifier):
    classifier.fit(*images_of(["red", "blue"]))
    assert classifier.classes_.tolist() == ["blue", "red"]


def test_params_come_and_go():
    backbone = MeanColour()
    classifier = FewShotClassifier(backbone, learner="ridge")
    assert classifier.get_params() == {"backbone": backbone, "learner": "ridge", "base": None}
    assert classifier.set_params(learner=Prototypical("cosine")).learner == Prototypical("cosine")
    with pytest.raises(InvalidInput, match="no argument 'lerner'; it has backbone, learner and base"):
        classifier.set_params(lerner="ridge")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["red"] * 11, "found 12 images and 11 names"),
        (["red"] * 12, "two classes or more, found only 'red'"),
        (["red"] * 11 + [1], "all strings or all integers, found int, str"),
        ([0.5] * 12, "all strings or all integers, found float"),
    ],
)
def test_bad_names_are_refused(names, message):
    with pytest.raises(InvalidInput, match=message):
        FewShotClassifier(MeanColour()).fit(images_of(COLOURS)[0], names)


def test_no_images_are_refused(classifier):
    with pytest.raises(InvalidInput, match="found no images"):
        classifier.fit([], [])
    with pytest.raises(InvalidInput, match="found 0 images and 0 names"):
        classifier.score([], [])


def test_an_unreadable_image_is_named(classifier, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(BrokenImages, match=r"broken\.png"):
        classifier.predict([tmp_path / "broken.png"])
    with pytest.raises(BrokenImages, match=r"missing\.png"):
        classifier.predict([tmp_path / "missing.png"])


def test_nothing_works_before_fit(tmp_path):
    classifier = FewShotClassifier(MeanColour())
    with pytest.raises(InvalidInput, match=r"call fit\(images, names\) first"):
        classifier.predict(images_of(COLOURS)[0])
    with pytest.raises(InvalidInput, match=r"call fit\(images, names\) before save"):
        classifier.save(tmp_path / "clf")


def test_base_of_another_backbone_is_refused():
    classifier = FewShotClassifier(MeanColour(), "simpleshot", BaseStatistics(torch.zeros(12), "beef"))
    with pytest.raises(FingerprintMismatch, match="base was made with backbone beef and the classifier uses f00d"):
        classifier.fit(*images_of(COLOURS))


@pytest.mark.parametrize("learner", list_learners())
def test_what_is_saved_loads_the_same(learner, tmp_path, with_weights):
    learner = with_weights(create_learner(learner), 12)
    features = embed_images(MeanColour(), images_of(COLOURS, seed=2)[0])
    base = BaseStatistics.from_features(features, torch.arange(12) % 4)
    classifier = FewShotClassifier(MeanColour(), learner, base).fit(*images_of(COLOURS))
    classifier.save(tmp_path / "clf")
    classifier.save(tmp_path / "clf")  # takes the place of the first
    loaded = FewShotClassifier.load(tmp_path / "clf", backbone=MeanColour())
    images, _ = images_of(COLOURS, seed=1)
    kept = {"weights": ""} if learner.trained else {}  # the folder has a copy of its own
    np.testing.assert_array_equal(loaded.predict_proba(images), classifier.predict_proba(images))
    assert loaded.predict(images).tolist() == classifier.predict(images).tolist()
    assert replace(loaded.learner, **kept) == replace(learner, **kept)


def test_another_backbone_is_refused(classifier, tmp_path):
    classifier.save(tmp_path / "clf")
    other = MeanColour()
    other.fingerprint = "beef"
    with pytest.raises(FingerprintMismatch, match=r"fitted with test:mean \(f00d, float32\) and test:mean is beef"):
        FewShotClassifier.load(tmp_path / "clf", backbone=other)


def test_damaged_folders_are_told(classifier, tmp_path):
    def load():
        FewShotClassifier.load(tmp_path / "clf", backbone=MeanColour())

    with pytest.raises(UnreadableFile, match=r"classifier\.json does not exist"):
        load()
    classifier.save(tmp_path / "clf")
    facts, head = tmp_path / "clf/classifier.json", tmp_path / "clf/head.safetensors"
    content, whole = json.loads(facts.read_text()), head.read_bytes()
    head.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnreadableFile, match=r"head\.safetensors is damaged"):
        load()
    head.unlink()
    with pytest.raises(UnreadableFile, match=r"head\.safetensors does not exist"):
        load()
    head.write_bytes(whole)
    for change, message in [
        ({"format": "other"}, "holds no FewShotClassifier"),
        ({"version": 99}, "is of version 99, this fewshot reads 1"),
        ({"classes": ["a", "b"]}, "names 2 classes and its head has others"),
        ({"backbone": {}}, "lacks 'fingerprint'"),
    ]:
        facts.write_text(json.dumps(content | change))
        with pytest.raises(UnreadableFile, match=message):
            load()


def test_the_backbone_is_made_again_by_name(classifier, tmp_path, monkeypatch):
    import fewshot.backbones

    asked = {}

    def create(name, **settings):
        asked.update(settings, name=name)
        return MeanColour()

    monkeypatch.setattr(fewshot.backbones, "create_backbone", create)
    classifier.save(tmp_path / "clf")
    FewShotClassifier.load(tmp_path / "clf")
    assert asked == {"name": "test:mean", "precision": "float32", "layers": None}


def test_a_backbone_of_random_weights_must_be_given(tmp_path):
    from fewshot.backbones import create_backbone

    backbone = create_backbone("fewshot:conv4", device="cpu", pretrained=False)
    classifier = FewShotClassifier(backbone).fit(*images_of(COLOURS))
    classifier.save(tmp_path / "clf")
    with pytest.raises(MissingWeights, match="load the classifier with backbone= as it was fitted"):
        FewShotClassifier.load(tmp_path / "clf")
    images, _ = images_of(COLOURS, seed=1)
    loaded = FewShotClassifier.load(tmp_path / "clf", backbone=backbone)
    np.testing.assert_array_equal(loaded.predict_proba(images), classifier.predict_proba(images))


def test_without_base_a_centring_learner_centres_by_its_own_images():
    images, names = images_of(COLOURS)
    plain = FewShotClassifier(MeanColour(), "simpleshot").fit(images, names)
    mean = BaseStatistics(embed_images(MeanColour(), images).mean(0))
    told = FewShotClassifier(MeanColour(), "simpleshot", mean).fit(images, names)
    assert torch.allclose(plain.head_.centre, told.head_.centre)
    assert plain.score(images, names) == 1.0


def test_scikit_learn_clones_it():
    from sklearn.base import clone

    classifier = FewShotClassifier(MeanColour(), "ridge").fit(*images_of(COLOURS))
    again = clone(classifier)
    assert again.learner == "ridge"
    assert not hasattr(again, "head_")
    assert again.backbone is classifier.backbone
    assert again.fit(*images_of(COLOURS)).predict(images_of(COLOURS)[0]).tolist() == list(images_of(COLOURS)[1])
