"""Two small towers to join: eyes that see colours, with a classifier of 1,000, and a sentence encoder that spells."""

import json
import string
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from fewshot.backbones import Network, Preprocessing, register_backbone
from fewshot.backbones.bridge.pairs import Pairs

DIM, WIDTH = 12, 16


def prepare(image: Image.Image) -> torch.Tensor:
    """A picture as 8 x 8 pixels."""
    pixels = image.resize((8, 8)).tobytes()
    return torch.frombuffer(bytearray(pixels), dtype=torch.uint8).view(8, 8, 3).permute(2, 0, 1) / 255


def make_eyes(name: str, seed: int, classes: int | None = 1000) -> str:
    """Enter a small image backbone; `seed` makes its weights."""

    @register_backbone(name)
    def build(pretrained: bool) -> Network:
        torch.manual_seed(seed if pretrained else 100 + seed)
        module = nn.Sequential(nn.Conv2d(3, DIM, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        head = None if classes is None else nn.Linear(DIM, classes)
        preprocess = Preprocessing(prepare, 8, {"size": 8})
        return Network(module.eval(), preprocess, "made here" if pretrained else "random", "tiny:eyes", head)

    return name


@pytest.fixture(scope="session")
def eyes() -> str:
    return make_eyes("tiny:eyes", 0)


@pytest.fixture(scope="session")
def blind_of_classes() -> str:
    """Eyes without a classifier."""
    return make_eyes("tiny:headless", 0, None)


@pytest.fixture(scope="session")
def speller(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A sentence encoder of one random layer over letters, as sentence-transformers saves it."""
    pytest.importorskip("transformers")
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder: Path = tmp_path_factory.mktemp("speller")
    signs = ["[PAD]", "[UNK]", *string.ascii_lowercase, *string.ascii_uppercase, " "]
    letters = Tokenizer(models.WordLevel({sign: place for place, sign in enumerate(signs)}, unk_token="[UNK]"))
    letters.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    PreTrainedTokenizerFast(tokenizer_object=letters, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": WIDTH, "intermediate_size": WIDTH, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = BertConfig(vocab_size=len(signs), max_position_embeddings=24, initializer_range=0.5, **sizes)
    BertModel(config).save_pretrained(folder)
    modules = [{"path": kind, "type": f"sentence_transformers.models.{kind}"} for kind in ("", "Pooling")]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "Pooling").mkdir()
    (folder / "Pooling" / "config.json").write_text('{"pooling_mode": "mean"}')
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 24}')
    return f"sentence:{folder}"


@pytest.fixture
def three_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short texts for the 1,000 classes, so that small encoders are quick."""
    names = [f"{first}{second}{third}" for first in "abcdefghij" for second in "klmnopqrst" for third in "uvwxyzABCD"]
    monkeypatch.setattr("fewshot.backbones.bridge.class_words.class_texts", lambda classes: [names])


@pytest.fixture
def pairs() -> Pairs:
    """Forty pairs with features (40, 6) and vectors (40, 5) that go together, and a classifier of forty classes."""
    drawn = torch.Generator().manual_seed(1)
    vectors = torch.nn.functional.normalize(torch.randn(40, 5, generator=drawn, dtype=torch.float64), dim=1)
    mixing = torch.randn(5, 6, generator=drawn, dtype=torch.float64)
    features = vectors @ mixing + 0.1 * torch.randn(40, 6, generator=drawn, dtype=torch.float64) + 2
    weight = torch.randn(40, 6, generator=drawn, dtype=torch.float64)
    return Pairs(features, vectors, weight, torch.randn(40, generator=drawn, dtype=torch.float64))
