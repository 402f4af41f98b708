"""From the vectors of tokens to that of a sentence, as the modules of a sentence-transformers folder say."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from fewshot.errors import InvalidInput, MissingWeights
from fewshot.files import read_json

_MODES = ("cls", "mean", "max")


class SentenceTower(nn.Module):
    """A transformer and what follows it: token ids (B, L) to vectors (B, D); `padding` at the end does not count.

    Prompts that are learned go in as the vectors of their tokens, as `TakesVectors` says.
    """

    transformer: Any

    def __init__(self, transformer: nn.Module, padding: int, pooling: list[str]) -> None:
        super().__init__()
        self.transformer, self.padding, self.pooling = transformer, padding, pooling

    @property
    def width(self) -> int:
        """The number of values of the vector of a token."""
        return self.transformer.get_input_embeddings().embedding_dim

    def forward(self, tokens: Tensor) -> Tensor:
        """The vectors of sentences."""
        return self._pooled(self.mask(tokens), input_ids=tokens)

    def embed(self, tokens: Tensor) -> Tensor:
        """The vector of each token; the transformer itself adds those of its place."""
        return self.transformer.get_input_embeddings()(tokens)

    def positions(self, tokens: Tensor) -> Tensor:
        """Where the last token stands that is not padding; -1 for none."""
        return self.mask(tokens).sum(1) - 1

    def encode(self, vectors: Tensor, positions: Tensor) -> Tensor:
        """From vectors of tokens (B, L, width), which end at the positions (B,), to those of sentences."""
        mask = torch.arange(vectors.shape[1], device=vectors.device) <= positions[:, None]
        return self._pooled(mask, inputs_embeds=vectors)

    def mask(self, tokens: Tensor) -> Tensor:
        """True (B, L) up to the last token that is not padding."""
        return (tokens != self.padding).flip(1).cumsum(1).flip(1) > 0

    def _pooled(self, mask: Tensor, **tokens: Tensor) -> Tensor:
        """The vectors of sentences whose tokens, as the transformer takes them, count where the mask (B, L) is true."""
        hidden = self.transformer(attention_mask=mask.long(), **tokens).last_hidden_state
        vectors = torch.cat([pool(hidden, mask, mode) for mode in self.pooling if mode in _MODES], 1)
        return normalize(vectors, dim=1) if "normalize" in self.pooling else vectors


def pool(hidden: Tensor, mask: Tensor, mode: str) -> Tensor:
    """One vector (B, E) of the vectors (B, L, E) where `mask` is true: the first, their mean or their maximum."""
    if mode == "cls":
        return hidden[:, 0]
    if mode == "max":
        return hidden.masked_fill(~mask[..., None], -torch.inf).amax(1)
    real = mask[..., None].to(hidden)
    return (hidden * real).sum(1) / real.sum(1).clamp(min=1)


def read_pooling(folder: Path) -> list[str]:
    """The steps after the transformer: "cls", "mean" or "max", side by side where several, and "normalize".

    Raises `InvalidInput` for other ones.
    """
    if not (folder / "modules.json").is_file():
        raise MissingWeights(f"the folder {folder} has no modules.json; name one that sentence-transformers saved")
    steps: list[str] = []
    for module in read_json(folder / "modules.json")[1:]:
        kind = module["type"].rpartition(".")[2]
        if kind == "Pooling":
            steps += _modes(read_json(folder / module["path"] / "config.json"))
        elif kind == "Normalize":
            steps.append("normalize")
        else:
            raise InvalidInput(f"{folder} has a module {kind!r}; a sentence: encoder knows Pooling and Normalize")
    unknown = [step for step in steps if step not in (*_MODES, "normalize")]
    if unknown or not steps:
        raise InvalidInput(f"{folder} pools by {unknown or 'nothing'}; a sentence: encoder knows {', '.join(_MODES)}")
    return steps


def _modes(config: dict[str, Any]) -> list[str]:
    """The modes that a pooling's settings switch on, in the old way of writing them or the new one."""
    if "pooling_mode" in config:
        mode = config["pooling_mode"]
        return [mode] if isinstance(mode, str) else list(mode)
    names = {"cls_token": "cls", "max_tokens": "max", "mean_tokens": "mean"}
    on = [key.removeprefix("pooling_mode_") for key in sorted(config) if "pooling_mode_" in key and config[key]]
    return [names.get(mode, mode) for mode in on]  # in the order of sentence-transformers, which is that of letters
