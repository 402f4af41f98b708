"""The text half of open_clip's models."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import open_clip
from torch import Tensor, arange, full, nn

from fewshot.backbones.network import TextTower
from fewshot.backbones.sources.open_clip_weights import model_config
from fewshot.backbones.sources.tokens import tokenize_up_to
from fewshot.errors import MissingPackage, MissingWeights

_POOLS = ("argmax", "eos", "first", "last")


class PromptTower(nn.Module):
    """A transformer over tokens that takes words or, for prompts that are learned, their vectors.

    `forward` is open_clip's `encode_text`: token ids (B, L) to (B, D). The same in two steps: `embed` gives the vectors
    of the tokens (B, L, width), without positions, and `encode` goes on from these and the positions (B,) whose output
    stands for the text.
    """

    attn_mask: Tensor | None

    def __init__(self, tower: Any, pool: str, end: int) -> None:
        super().__init__()
        self.token_embedding, self.positional_embedding = tower.token_embedding, tower.positional_embedding
        self.transformer, self.ln_final, self.text_projection = tower.transformer, tower.ln_final, tower.text_projection
        self.register_buffer("attn_mask", tower.attn_mask, persistent=False)
        self.pool, self.end = pool, end

    @property
    def width(self) -> int:
        """The number of values of the vector of a token."""
        return self.token_embedding.embedding_dim

    @property
    def reads_up_to_the_end(self) -> bool:
        """Whether the tokens after the one that is pooled don't matter."""
        return self.attn_mask is not None and self.pool in ("argmax", "eos")

    def forward(self, tokens: Tensor) -> Tensor:
        """The vectors of texts."""
        return self.encode(self.embed(tokens), self.positions(tokens))

    def embed(self, tokens: Tensor) -> Tensor:
        """The vector of each token."""
        return self.token_embedding(tokens)

    def positions(self, tokens: Tensor) -> Tensor:
        """Where the output stands that is taken for the text: its end, or the first or last position."""
        if self.pool == "argmax":  # the end has the largest id
            return tokens.argmax(1)
        if self.pool == "eos":
            return (tokens == self.end).int().argmax(1)
        return full((len(tokens),), 0 if self.pool == "first" else tokens.shape[1] - 1, device=tokens.device)

    def lengths(self, tokens: Tensor) -> Tensor:
        """How many of the tokens are read."""
        return self.positions(tokens) + 1

    def encode(self, vectors: Tensor, positions: Tensor) -> Tensor:
        """From the vectors of tokens (B, L, width) to those of texts (B, D)."""
        length = vectors.shape[1]
        mask = None if self.attn_mask is None else self.attn_mask[:length, :length].to(vectors)
        hidden = self.transformer(vectors + self.positional_embedding[:length], attn_mask=mask)
        pooled = self.ln_final(hidden)[arange(len(hidden), device=hidden.device), positions]
        if isinstance(self.text_projection, nn.Linear):
            return self.text_projection(pooled)
        return pooled if self.text_projection is None else pooled @ self.text_projection


class WholeTower(nn.Module):
    """A text tower that takes words only, all of the context: CoCa's, or a Hugging Face model."""

    def __init__(self, text: nn.Module) -> None:
        super().__init__()
        self.text = text

    def forward(self, tokens: Tensor) -> Tensor:
        """The vectors (B, D) of token ids (B, L); towers that also give tokens give them second."""
        output = self.text(tokens)
        return output[0] if isinstance(output, tuple) else output


class Tokens:
    """The tokenizer of a model, loaded when first needed: images alone do without."""

    def __init__(self, name: str, model: str, length: int) -> None:
        self.name, self.model, self.length = name, model, length

    @cached_property
    def tokenizer(self) -> Any:
        """open_clip's own, or one of the package transformers."""
        try:
            return open_clip.get_tokenizer(self.model, context_length=self.length)
        except ImportError:
            raise MissingPackage("transformers", f"the tokenizer of {self.name}", extra="offline") from None
        except Exception as error:  # the hub has its own errors for files that cannot be had
            reason = str(error).strip().splitlines()[0]
            raise MissingWeights(f"the tokenizer of {self.name} could not be loaded: {reason}") from error

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, int]:
        """Token ids (N, length), and how many texts were cut."""
        texts, inner = list(texts), getattr(self.tokenizer, "tokenizer", None)
        if getattr(self.tokenizer, "tokenizer_mode", "") or getattr(self.tokenizer, "reduction_fn", None):
            return self.tokenizer(texts), 0  # these choose their tokens in their own way
        if inner is None:
            return tokenize_up_to(self.length, texts, self.tokenizer, padding=0)
        # not by padding alone: SigLIP pads with the mark of the end, CLIPA turns that mark into padding
        tokens, longer = self.tokenizer(texts), self.tokenizer(texts, self.length + 1)
        cut = (longer[:, :-1] != tokens).any(1) | (longer[:, -1] != inner.pad_token_id)
        return tokens, int(cut.sum())


def text_tower(joint: Any, name: str, model: str, architecture: str, weights: str) -> TextTower:
    """The text half of a joint model with its weights loaded; `model` is what open_clip calls it."""
    module = _module(joint)
    lengths = None
    if isinstance(module, PromptTower) and module.reads_up_to_the_end:
        lengths = module.lengths
    config = model_config(model)["text_cfg"]
    length = config.get("context_length", open_clip.tokenizer.DEFAULT_CONTEXT_LENGTH)
    bias = joint.logit_bias
    return TextTower(
        module=module,
        tokenize=Tokens(name, model, length),
        context_length=length,
        settings={"architecture": architecture, "context_length": length, **_settings(config)},
        weights=weights,
        scale=float(joint.logit_scale.detach().exp().flatten()[0]),
        bias=0.0 if bias is None else float(bias.detach().flatten()[0]),
        lengths=lengths,
    )


def _module(joint: Any) -> nn.Module:
    if not hasattr(joint, "text"):  # open_clip's plain CLIP, whose text half lies open in it
        return PromptTower(joint, joint.text_pool_type, joint.text_eos_id)
    tower = joint.text
    plain = isinstance(tower, open_clip.transformer.TextTransformer) and tower.cls_emb is None
    if plain and not tower.use_pad_mask and tower.pool_type in _POOLS:
        return PromptTower(tower, tower.pool_type, tower.eos_id)
    return WholeTower(tower)


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """How texts are prepared."""
    found = {name: config[name] for name in ("hf_tokenizer_name", "tokenizer_mode") if config.get(name)}
    return {**found, **(config.get("tokenizer_kwargs") or {})}
