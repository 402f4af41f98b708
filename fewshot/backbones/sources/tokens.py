"""Texts to token ids of a limited number, and how many texts lost their end by it."""

from collections.abc import Callable, Sequence

from torch import Tensor


def tokenize_up_to(
    length: int, texts: Sequence[str], tokenize: Callable[[list[str], int], Tensor], padding: int
) -> tuple[Tensor, int]:
    """Token ids (N, L), L ≤ `length`, of N texts, and the number of texts that were too long for it.

    `tokenize(texts, most)` gives (N, L) ids of L ≤ most, padded at the end with `padding` and cut where it must be.
    """
    tokens = tokenize(list(texts), length + 1)
    too_long = (tokens[:, length:] != padding).any(1)
    tokens = tokens[:, :length].clone()
    if too_long.any():  # cut anew, since the last token of a cut text is a special one
        tokens[too_long] = tokenize([text for text, long in zip(texts, too_long.tolist(), strict=True) if long], length)
    return tokens, int(too_long.sum())
