"""Matching with full context embeddings: all embeddings depend on the whole support (Vinyals et al. 2016, A.1, A.2)."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fewshot.learners.checks import check_positive
from fewshot.learners.distances import cosine_similarity
from fewshot.learners.features import l2_normalize
from fewshot.learners.precision import in_float64
from fewshot.learners.registry import register_learner
from fewshot.learners.support import Support
from fewshot.learners.trained import EpisodicNetwork, TrainedLearner


class FullContext(EpisodicNetwork):
    """The paper's f and g in `hidden` dimensions, each a correction of the features; it starts without any."""

    direction: Tensor

    def __init__(self, dim: int, hidden: int, steps: int, temperature: float) -> None:
        super().__init__()
        self.register_buffer("direction", torch.randn(dim))
        self.down, self.up = nn.Linear(dim, hidden), nn.Linear(hidden, dim, bias=False)
        self.ascending, self.descending = (nn.LSTM(hidden, hidden, batch_first=True) for _ in range(2))
        self.reading = nn.LSTMCell(2 * hidden, hidden)
        nn.init.zeros_(self.up.weight)
        self.steps, self.temperature = steps, temperature

    def learn(self, support: Support) -> dict[str, Tensor]:
        """G of the support, in the features' dimensions (T, S, D) and in the hidden ones (T, S, H)."""
        features, narrow = self._narrowed(support.features)
        context = narrow + self._in_context(narrow, support)
        return {
            "support": features + self.up(context),
            "context": context,
            "members": support.members,
        }

    def score(self, state: Mapping[str, Tensor], query: Tensor, mask: Tensor) -> Tensor:
        """Log probabilities of the classes: the attention that their samples get together, as in matching."""
        features, narrow = self._narrowed(query)
        embedded = features + self.up(self._read(narrow, state["context"], state["members"].sum(2) > 0))
        cosines = cosine_similarity(embedded, state["support"]) / self.temperature
        attention = (cosines - 1 / self.temperature).exp() @ state["members"]
        return (attention / attention.sum(2, keepdim=True)).log()

    def _narrowed(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Features of length √D, so that each dimension is about 1, and f' = g' of them: (..., H)."""
        features = l2_normalize(features) * features.shape[-1] ** 0.5
        return features, self.down(features)

    def _in_context(self, narrow: Tensor, support: Support) -> Tensor:
        """What both LSTMs say of each item (T, S, H): items stand in the order of their projection on `direction`.

        Items of equal projection have no order, and get the mean of what is said of them. Padding stands last in both
        directions, so it never comes before an item.
        """
        wide = in_float64(support.features)
        place, padding = (wide * self.direction.to(wide)).sum(2), support.labels < 0
        said = torch.zeros_like(narrow)
        for lstm, key in ((self.ascending, place), (self.descending, -place)):
            order = key.masked_fill(padding, torch.inf).argsort(1)[..., None].expand_as(narrow)
            said = said.scatter_add(1, order, lstm(narrow.gather(1, order))[0])
        equal = (place[:, :, None] == place[:, None, :]).to(narrow.dtype)
        return (equal / equal.sum(2, keepdim=True)) @ said

    def _read(self, narrow: Tensor, context: Tensor, real: Tensor) -> Tensor:
        """F of queries (T, Q, H): `steps` times an LSTM reads the support by attention (eq. 3 to 6)."""
        hidden, cell = torch.zeros_like(narrow), torch.zeros_like(narrow).flatten(0, 1)
        for _ in range(self.steps):
            attention = (hidden @ context.mT).masked_fill(~real[:, None], -torch.inf).softmax(2)
            seen = torch.cat([narrow, attention @ context], 2).flatten(0, 1)
            output, cell = self.reading(seen, (hidden.flatten(0, 1), cell))
            hidden = output.view_as(narrow) + narrow
        return hidden


@register_learner(
    "matching-fce", paper="Vinyals et al. 2016, Matching Networks for One Shot Learning, arXiv:1606.04080"
)
@dataclass(frozen=True)
class MatchingFCE(TrainedLearner):
    """Attention over the support, with embeddings that depend on the whole support.

    hidden: dimensions in which the LSTMs work (the paper's are those of the features); steps: how often a query reads
    the support (K in the paper, which does not tell it); temperature: of the cosines (the paper has 1, for features
    that are trained along). In the paper g depends on the order in which the support is given; here the order is that
    of a projection on a fixed direction, so neither it nor the numbers of the classes matter. easyfsl keeps the order
    given, reads the support once for each of its items, and gives no way to train on cached features.
    """

    hidden: int = 64
    steps: int = 4
    temperature: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "hidden", "steps", "temperature")

    def network(self, dim: int) -> FullContext:
        """Matching, with corrections that start at zero."""
        return FullContext(dim, self.hidden, self.steps, self.temperature)
