"""A text encoder that adds up the vectors of its words, for tests of learners that train prompts."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from fewshot.backbones import TextEncoder, TextTower
from fewshot.fingerprint import fingerprint
from fewshot.learners import Words

_WORDS = ("", "START", "X", "a", "photo", "of", "Y")  # the first is padding
_LENGTH = 24


class BagOfWords(nn.Module):
    """Token ids (B, L) to the sum (B, D) of the vectors of the words before the end, which has the largest id."""

    def __init__(self, vectors: Tensor) -> None:
        super().__init__()
        self.width = vectors.shape[1]
        without = torch.zeros(len(_WORDS), self.width)
        without[2:] = 0.01 * torch.randn(len(_WORDS) - 2, self.width, generator=torch.Generator().manual_seed(0))
        self.words = nn.Parameter(torch.cat([without, vectors.float(), torch.zeros(1, self.width)]))

    def forward(self, tokens: Tensor) -> Tensor:
        return self.encode(self.embed(tokens), self.positions(tokens))

    def embed(self, tokens: Tensor) -> Tensor:
        return self.words[tokens]

    def positions(self, tokens: Tensor) -> Tensor:
        return tokens.argmax(1)

    def encode(self, vectors: Tensor, positions: Tensor) -> Tensor:
        before = torch.arange(vectors.shape[1], device=vectors.device) < positions[:, None]
        return (vectors * before[..., None]).sum(1)


def words_with_encoder(words: Words) -> Words:
    """Words (T, W, D) with names, and an encoder to which each name means the vector of its class."""
    flat = words.vectors.flatten(0, 1)
    names = tuple(f"class{number}" for number in range(len(flat)))
    number = {name: at for at, name in enumerate((*_WORDS, *names))}
    end = len(number)

    def tokenize(texts: list[str]) -> tuple[Tensor, int]:
        ids = [[1, *(number[word.strip(".")] for word in text.split()), end] for text in texts]
        return torch.tensor([row + [0] * (_LENGTH - len(row)) for row in ids]), 0

    module = BagOfWords(flat)
    tower = TextTower(module, tokenize, _LENGTH, {}, "none", scale=words.scale)
    encoder = TextEncoder("bag:words", tower, torch.device("cpu"), "float32", fingerprint(flat))
    classes = torch.arange(len(flat)).view(words.vectors.shape[:2])
    return replace(words, names=names, classes=classes, encoder=encoder)
