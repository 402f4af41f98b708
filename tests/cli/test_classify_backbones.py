"""Which backbone `fewshot classify` takes where none is named."""

import pytest

import fewshot.backbones
from fewshot.classify.rules import BRIDGE, IMAGES, RULES, TEXTS
from fewshot.classify.sources import Source
from fewshot.cli.classify.options import make_classifier

MANY = int(next(rule.fewest for rule in RULES if rule.most == float("inf")))


class Made:
    """A backbone by name alone."""

    def __init__(self, name, device):
        self.name, self.text = name, object() if name.startswith("bridge:") else None


@pytest.fixture
def chosen(monkeypatch):
    """The backbone that is made and whether the classifier has words, for a number of pictures a class and options."""
    monkeypatch.setattr(fewshot.backbones, "create_backbone", Made)
    monkeypatch.setattr(fewshot.backbones, "create_text_encoder", Made)

    def choose(shots, texts=False, backbone=None, learner="auto", words=None, templates=()):
        names = ["cat", "dog"] * max(1, shots)
        items = names if texts else tuple(names) if shots else None  # no list: pictures
        source = Source(items, names)
        made = make_classifier(source, backbone, learner, words, templates, None, "cpu")
        return made.backbone.name, made.words

    return choose


def test_pictures_and_names(chosen):
    assert chosen(0) == (BRIDGE, "simple")
    assert chosen(1) == (BRIDGE, "simple")
    assert chosen(MANY - 1) == (BRIDGE, "simple")
    assert chosen(MANY) == (IMAGES, None), "so many need no words, and no text tower"


def test_words_that_are_asked_for_are_used_however_many_pictures_there_are(chosen):
    assert chosen(MANY, words=True) == (BRIDGE, "simple")
    assert chosen(MANY, templates=("a drawing of a {}.",)) == (BRIDGE, "a drawing of a {}.")
    assert chosen(2, templates=("a {}.", "the {}.")) == (BRIDGE, ["a {}.", "the {}."])
    assert chosen(2, words=False) == (IMAGES, None)


def test_a_learner_that_is_asked_for(chosen):
    assert chosen(MANY, learner="gda") == (BRIDGE, "simple")
    assert chosen(2, learner="ridge") == (IMAGES, None)


def test_texts(chosen):
    assert chosen(2, texts=True) == (TEXTS, None)
    assert chosen(2, texts=True, words=True) == (TEXTS, "simple")


def test_a_backbone_that_is_named(chosen):
    assert chosen(2, backbone="fewshot:raw-pixels") == ("fewshot:raw-pixels", None)
    assert chosen(MANY, backbone="bridge:mine") == ("bridge:mine", "simple")
