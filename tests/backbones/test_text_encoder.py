"""Text encoders: what they take, equal texts, sharing, fingerprints, release."""

import json

import pytest
import torch
from torch import Tensor, nn

from fewshot.backbones import (
    TextEncoder,
    TextTower,
    create_backbone,
    create_text_encoder,
    loaded_text_encoders,
    release,
)
from fewshot.errors import FewshotError, InvalidInput


class Counting(nn.Module):
    """Ids (B, L) to their sum and their number; notes the shapes of its calls."""

    def __init__(self, value: float = 1.0) -> None:
        super().__init__()
        self.weight, self.shapes = nn.Parameter(torch.tensor([value, 1.0])), []

    def forward(self, tokens: Tensor) -> Tensor:
        self.shapes.append(tuple(tokens.shape))
        return torch.stack([tokens.sum(1), (tokens > 0).sum(1)], 1) * self.weight


def tokenize(texts) -> tuple[Tensor, int]:
    return torch.tensor([[ord(letter) for letter in text] + [0] * (9 - len(text)) for text in texts]), 0


def encoder_of(module: nn.Module, **more) -> TextEncoder:
    tower = TextTower(module, tokenize, 9, {"case": "kept"}, "none", **more)
    return TextEncoder("my:texts", tower, torch.device("cpu"), "float32", "0" * 16)


def lengths(tokens: Tensor) -> Tensor:
    return (tokens > 0).sum(1)


@pytest.mark.parametrize("batch_size", [1, 2, 256])
def test_equal_texts_are_encoded_once_in_order_of_length(batch_size):
    module = Counting()
    vectors = encoder_of(module, lengths=lengths)(["abc", "b", "abc", "defgh", "b"], batch_size=batch_size)
    assert vectors.tolist() == [[294, 3], [98, 1], [294, 3], [510, 5], [98, 1]]
    shapes = {1: [(1, 5), (1, 3), (1, 1)], 2: [(2, 5), (1, 1)], 256: [(3, 5)]}[batch_size]
    assert [shape for shape in module.shapes if shape != (1, 9)] == shapes  # one of (1, 9) tells the dimension


def test_texts_are_whole_where_the_tower_needs_all_of_them():
    module = Counting()
    encoder_of(module)(["abc", "b"])
    assert set(module.shapes) == {(1, 9), (2, 9)}


def test_no_texts_and_texts_of_another_kind():
    encoder = encoder_of(Counting())
    assert encoder([]).shape == (0, 2)
    assert encoder(("",)).tolist() == [[0, 0]]
    with pytest.raises(InvalidInput, match="texts are a list of strings, found one string 'cat'; put it into a list"):
        encoder("cat")
    with pytest.raises(InvalidInput, match=r"texts must be strings; number 1 is None \(NoneType\)"):
        encoder(["cat", None])


def test_vectors_that_are_not_finite_are_refused():
    with pytest.raises(InvalidInput, match="my:texts gives NaN or infinite vectors in float32"):
        encoder_of(Counting(torch.inf))(["a"])


def test_description_is_json_and_release_ends_it():
    encoder = encoder_of(Counting(), scale=100.0, bias=-1.0)
    told = json.loads(json.dumps(encoder.describe()))
    assert (told["dim"], told["scale"], told["bias"], told["parameters"]) == (2, 100.0, -1.0, 2)
    assert told["tokenizer"] == {"case": "kept"}
    encoder.release()
    with pytest.raises(FewshotError, match="the text encoder my:texts was released; call create_text_encoder again"):
        encoder(["a"])


@pytest.fixture
def clip(clip_folder):
    release()
    yield {"name": f"open_clip:local-dir:{clip_folder('clip')}", "device": "cpu", "precision": "float32"}
    release()


def test_who_asks_for_the_same_gets_the_same(clip):
    encoder = create_text_encoder(**clip)
    assert create_text_encoder(**clip) is encoder
    assert create_backbone(**clip).text is encoder
    other = create_text_encoder(**(clip | {"precision": "bfloat16"}))
    assert other is not encoder
    assert other.fingerprint != encoder.fingerprint
    assert create_text_encoder(**clip, pretrained=False).fingerprint != encoder.fingerprint
    assert create_backbone(**clip).fingerprint != encoder.fingerprint


def test_images_alone_load_no_text_encoder(clip):
    backbone = create_backbone(**clip)
    backbone(torch.zeros(1, 3, 32, 32))
    assert loaded_text_encoders() == []
    assert release(backbone) > 0


def test_a_backbone_is_released_with_its_text(clip):
    backbone = create_backbone(**clip)
    text = backbone.text
    freed = backbone.memory + text.memory
    assert release(backbone) == freed
    assert text.released
    again = create_text_encoder(**clip)
    assert again is not text
    assert again.fingerprint == text.fingerprint
    assert release(again) == again_memory(clip)


def again_memory(clip) -> int:
    return create_text_encoder(**clip).memory


def test_vectors_can_take_part_in_training_even_if_loaded_in_inference_mode(clip):
    with torch.inference_mode():
        encoder = create_text_encoder(**clip)
    tokens = encoder.tokenize(["red"])
    vectors = encoder.module.embed(tokens).clone().requires_grad_()
    encoder.module.encode(vectors, encoder.module.positions(tokens)).sum().backward()
    assert vectors.grad is not None
    assert not encoder(["red"]).is_inference()
