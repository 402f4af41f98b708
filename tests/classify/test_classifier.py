import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from colours import COLOURS, MeanColour, colour_words, images_of
from PIL import Image

from fewshot.classify import Calibration, FewShotClassifier, choose_method
from fewshot.classify.examples import Examples
from fewshot.classify.held_out import held_out_logits, stratified_folds
from fewshot.datasets import ImageFolder
from fewshot.embeddings import embed_images
from fewshot.errors import (
    BrokenImages,
    FewshotWarning,
    FingerprintMismatch,
    InvalidInput,
    MissingWeights,
    UnreadableFile,
)
from fewshot.learners import (
    BaseStatistics,
    Prototypical,
    choose_learner,
    create_learner,
    list_learners,
    parse_learner,
)

# without those that train prompts through a text tower, or take features of another layer
LEARNERS = [
    name for name in list_learners() if not create_learner(name).needs_encoder | create_learner(name).needs_projection
]


@pytest.fixture
def classifier() -> FewShotClassifier:
    return FewShotClassifier(MeanColour()).fit(*images_of(COLOURS))


@pytest.mark.parametrize("learner", LEARNERS)
def test_every_learner_classifies_images(learner, with_weights):
    learner = with_weights(create_learner(learner), 12)
    features = embed_images(MeanColour(), images_of(COLOURS, seed=2)[0])
    base = BaseStatistics.from_features(features, torch.arange(12) % 4, backbone="f00d")
    classifier = FewShotClassifier(MeanColour(), learner, base, colour_words()).fit(*images_of(COLOURS))
    images, names = images_of(COLOURS, seed=1)
    assert classifier.score(images, names) == 1
    assert classifier.predict(images).tolist() == names
    assert classifier.classes_.tolist() == ["blue", "green", "red"]


@pytest.mark.parametrize("base", [None, BaseStatistics(torch.full((12,), 0.4))])
def test_auto_takes_what_measured_best_and_says_why(base):
    images, names = images_of(COLOURS)
    classifier = FewShotClassifier(MeanColour(), "auto", base).fit(images, names)
    choice = choose_method(4, words=False) if base is None else choose_learner(4, "alone", "mean")
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
    assert classifier.get_params() == {
        "backbone": backbone, "learner": "ridge", "base": None, "words": None, "descriptions": None
    }  # fmt: skip
    assert classifier.set_params(learner=Prototypical("cosine")).learner == Prototypical("cosine")
    with pytest.raises(InvalidInput, match="no argument 'lerner'; it has .*, base, words and descriptions"):
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


@pytest.mark.parametrize("learner", LEARNERS)
def test_what_is_saved_loads_the_same(learner, tmp_path, with_weights):
    learner = with_weights(create_learner(learner), 12)
    features = embed_images(MeanColour(), images_of(COLOURS, seed=2)[0])
    base = BaseStatistics.from_features(features, torch.arange(12) % 4)
    classifier = FewShotClassifier(MeanColour(), learner, base, colour_words()).fit(*images_of(COLOURS))
    classifier.save(tmp_path / "clf")
    classifier.save(tmp_path / "clf")  # takes the place of the first
    loaded = FewShotClassifier.load(tmp_path / "clf", backbone=MeanColour())
    images, _ = images_of(COLOURS, seed=1)
    kept = {"weights": ""} if learner.trained else {}  # the folder has a copy of its own
    np.testing.assert_array_equal(loaded.predict_proba(images), classifier.predict_proba(images))
    assert loaded.predict(images).tolist() == classifier.predict(images).tolist()
    assert replace(loaded.learner, **kept) == replace(learner, **kept)


def test_members_that_share_their_words_are_saved_each_with_its_own(tmp_path):
    learner = create_learner("ensemble", learners="zero-shot+clip-adapter+ridge")
    classifier = FewShotClassifier(MeanColour(), learner, words=colour_words()).fit(*images_of(COLOURS))
    classifier.save(tmp_path / "clf")
    loaded = FewShotClassifier.load(tmp_path / "clf", backbone=MeanColour())
    images, _ = images_of(COLOURS, seed=1)
    np.testing.assert_array_equal(loaded.predict_proba(images), classifier.predict_proba(images))


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
        ({"version": 99}, "is of version 99, this fewshot reads 2"),
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
    assert asked == {"name": "test:mean", "device": "auto", "precision": "float32", "layers": None}


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


def test_names_alone_make_a_classifier():
    classifier = FewShotClassifier(MeanColour(), words=colour_words()).fit_names(["red", "green", "blue"])
    images, names = images_of(COLOURS)
    assert classifier.predict(images).tolist() == names
    assert classifier.head_.learner.name == "zero-shot"
    assert classifier.reason_ == "zero-shot for 0 images a class: there are only names"
    assert classifier.calibration_.examples == 0
    assert classifier.fit_names(["blue", "red"]).classes_.tolist() == ["blue", "red"]


def test_names_alone_that_do_not_suffice(monkeypatch):
    classifier = FewShotClassifier(MeanColour(), words=colour_words())
    with pytest.raises(InvalidInput, match="the class name 'red' is given twice"):
        classifier.fit_names(["red", "blue", "red"])
    with pytest.raises(InvalidInput, match="found 'red'"):
        classifier.fit_names(["red"])
    with pytest.raises(InvalidInput, match="'pink'"):
        classifier.fit_names(["red", "pink"])
    with pytest.raises(InvalidInput, match="ridge needs images of the classes and there are only names"):
        FewShotClassifier(MeanColour(), "ridge").fit_names(["red", "blue"])
    with pytest.raises(InvalidInput, match="test:mean has no text tower"):
        FewShotClassifier(MeanColour()).fit_names(["red", "blue"])
    monkeypatch.setattr(MeanColour, "fingerprint", "beef")
    with pytest.raises(FingerprintMismatch, match="the words are in the space of backbone f00d"):
        classifier.fit_names(["red", "blue"])


def test_words_and_a_few_images_go_by_the_rules():
    images, names = images_of(COLOURS)
    classifier = FewShotClassifier(MeanColour(), words=colour_words()).fit(images, names)
    assert classifier.reason_ == choose_method(4, words=True).reason
    assert classifier.score(*images_of(COLOURS, seed=1)) == 1
    many = FewShotClassifier(MeanColour()).fit(*images_of(COLOURS, count=20))
    assert many.head_.learner.name == choose_method(20, words=False).learner


def test_a_data_set_is_learned_and_scored(tmp_path):
    images, names = images_of(COLOURS)
    for row, (pixels, name) in enumerate(zip(images, names, strict=True)):
        (tmp_path / name).mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / name / f"{row:02}.png")
    dataset = ImageFolder(tmp_path)
    classifier = FewShotClassifier(MeanColour(), "ridge").fit(dataset)
    assert classifier.score(dataset) == 1
    expected = FewShotClassifier(MeanColour(), "ridge").fit(images, names).predict_proba(images)
    np.testing.assert_allclose(classifier.predict_proba(images), expected, atol=1e-6)
    Image.fromarray(images[0]).save(tmp_path / "blue" / "copy.png")
    with pytest.raises(InvalidInput, match=r"the same picture stands in two classes: blue/copy.png and red/00.png"):
        classifier.fit(ImageFolder(tmp_path))


def test_confidence_is_calibrated_on_held_out_images():
    images, names = images_of(COLOURS, count=12, shift=90)
    classifier = FewShotClassifier(MeanColour(), "nearest-neighbour").fit(images, names)
    features, labels = embed_images(MeanColour(), images), torch.from_numpy(np.unique(names, return_inverse=True)[1])
    unseen = held_out_logits(classifier.head_.learner, Examples(features, labels, 3), stratified_folds(labels, 10))
    assert classifier.calibration_ == Calibration.of(unseen, labels)
    seen = classifier.head_(features[None])[0].double()  # each image is its own neighbour, so none is wrong
    assert Calibration.of(seen, labels).temperature < 0.6 * classifier.calibration_.temperature
    shares = (seen / classifier.calibration_.temperature).softmax(1)
    np.testing.assert_allclose(classifier.predict_proba(images), shares, atol=1e-12)


@pytest.fixture
def words_classifier():
    class Text:
        fingerprint = "7e87"

    backbone = MeanColour()
    backbone.text = Text()
    return FewShotClassifier(backbone, "zero-shot", words=colour_words()).fit(*images_of(COLOURS))


def test_another_text_half_is_refused(words_classifier, tmp_path):
    words_classifier.save(tmp_path / "clf")
    assert FewShotClassifier.load(tmp_path / "clf", words_classifier.backbone).calibration_.examples == 12
    FewShotClassifier.load(tmp_path / "clf", MeanColour())  # whose words are in the head
    words_classifier.backbone.text.fingerprint = "beef"
    with pytest.raises(FingerprintMismatch, match="by words of text encoder 7e87 and that of test:mean is beef"):
        FewShotClassifier.load(tmp_path / "clf", words_classifier.backbone)


def test_the_text_half_is_known_after_being_saved_again(words_classifier, tmp_path):
    words_classifier.save(tmp_path / "clf")
    FewShotClassifier.load(tmp_path / "clf", words_classifier.backbone).save(tmp_path / "again")
    words_classifier.backbone.text.fingerprint = "beef"
    with pytest.raises(FingerprintMismatch, match="by words of text encoder 7e87"):
        FewShotClassifier.load(tmp_path / "again", words_classifier.backbone)


def test_an_item_by_itself_is_refused(classifier):
    for items in ("cat.jpg", Path("cat.jpg")):
        with pytest.raises(InvalidInput, match=r"come as a list, found 'cat.jpg' by itself; put it into a list"):
            classifier.predict(items)
    with pytest.raises(InvalidInput, match="found 'abcd' by itself"):
        classifier.fit("abcd", ["x", "y", "x", "y"])


def test_copies_add_nothing_to_what_is_learned():
    images, names = images_of(COLOURS, shift=90)
    once = FewShotClassifier(MeanColour(), "nearest-neighbour").fit(images, names)
    with pytest.warns(FewshotWarning, match="counts once: number 0 and number 12; .*; and 7 pairs more"):
        twice = FewShotClassifier(MeanColour(), "nearest-neighbour").fit(images + images, names + names)
    assert twice.calibration_ == once.calibration_
    np.testing.assert_array_equal(twice.predict_proba(images), once.predict_proba(images))


def test_a_model_of_the_first_version_loads(classifier, tmp_path):
    classifier.save(tmp_path / "clf")
    facts = tmp_path / "clf/classifier.json"
    content = json.loads(facts.read_text())
    old = {name: content[name] for name in ("format", "learner", "classes", "backbone")} | {"version": 1}
    del old["backbone"]["takes"]
    facts.write_text(json.dumps(old))
    loaded = FewShotClassifier.load(tmp_path / "clf", backbone=MeanColour())
    assert loaded.calibration_ == Calibration()
    images, names = images_of(COLOURS, seed=1)
    assert loaded.predict(images).tolist() == names


def test_other_folders_are_not_replaced(classifier, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_bytes(b"dear")
    for path in (tmp_path / "photos", tmp_path / "photos" / "cat.png"):
        with pytest.raises(InvalidInput, match="is there and holds no classifier, so it is not replaced"):
            classifier.save(path)
    assert (tmp_path / "photos" / "cat.png").read_bytes() == b"dear"
    (tmp_path / "empty").mkdir()
    classifier.save(tmp_path / "empty")
