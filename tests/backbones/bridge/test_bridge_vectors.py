"""A bridge's text tower takes the vectors of tokens, whatever the way to join: the same texts, with a gradient."""

import copy

import pytest
import torch
from conftest import DIM, WIDTH
from torch import nn
from torch.nn.functional import normalize

from fewshot.backbones import TakesVectors
from fewshot.backbones.bridge import WAYS
from fewshot.backbones.bridge.join import JoinedText, Side
from fewshot.backbones.bridge.pairs import Pairs
from fewshot.backbones.registry import build_sentence_tower

TEXTS = ["some red thing", "blue", "a large green leaf"]


@pytest.fixture
def tower(speller):
    return build_sentence_tower(speller, None, True)


@pytest.fixture(params=list(WAYS))
def join(request):
    draw = {"generator": torch.Generator().manual_seed(1), "dtype": torch.float64}
    features, vectors = torch.randn(40, DIM, **draw), normalize(torch.randn(40, WIDTH, **draw), dim=1)
    return WAYS[request.param](Pairs(features, vectors, torch.randn(40, DIM, **draw), torch.randn(40, **draw)))


def test_vectors_of_tokens_give_what_the_tokens_give(tower, join):
    module, tokens = JoinedText(tower.module, join.to(torch.float32)), tower.tokenize(TEXTS)[0]
    assert isinstance(module, TakesVectors)
    assert module.width == WIDTH
    found = module.encode(module.embed(tokens), module.positions(tokens))
    torch.testing.assert_close(found, module(tokens), rtol=0, atol=1e-6)
    torch.testing.assert_close(found, join.to(torch.float32).text(tower.module(tokens)), rtol=0, atol=1e-6)
    plain = nn.Sequential(tower.module, Side(join, "text")).state_dict()
    assert module.state_dict().keys() == plain.keys(), "fingerprints count the names of the weights"


def test_every_way_passes_the_gradient_on(tower, join):
    inner, tokens = copy.deepcopy(tower.module).double(), tower.tokenize(["blue", "a red"])[0]
    vectors, ends = inner.embed(tokens).detach().requires_grad_(), inner.positions(tokens)

    def texts(vectors):
        return normalize(join.text(inner.encode(vectors, ends)), dim=1)

    found = texts(vectors)
    (slope,) = torch.autograd.grad((found * torch.arange(found.shape[1])).sum(), vectors)
    assert (slope.flatten(1).norm(dim=1) > 1e-8).all()
    assert torch.autograd.gradcheck(texts, vectors, eps=1e-6, atol=1e-7, fast_mode=True)
