"""What a transfer method may see, as data on its class and in its result.

The kinds are those of Pan and Yang (2010, A survey on transfer learning, table 2): inductive transfer has labels of the
target; transductive transfer has labels of the source, and items of the target without labels.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Sees:
    """What is before a method's eyes while it learns.

    `weights`: a network pretrained on the source; `source`: labelled items of the source; `target_labels`: labelled
    items of the target; `target`: items of the target without labels; `test`: the very items that are predicted
    afterwards, so that a prediction depends on the others.
    """

    weights: bool = False
    source: bool = False
    target_labels: bool = False
    target: bool = False
    test: bool = False

    @property
    def kind(self) -> str:
        """`inductive`, `transductive`, `source-free`, `source-only` or `target-only`.

        `source-free` adapts to unlabelled items with the weights alone; `source-only` never sees the target.
        """
        if self.target_labels:
            return "inductive" if self.weights or self.source else "target-only"
        if self.target or self.test:
            return "transductive" if self.source else "source-free"
        return "source-only"

    def facts(self) -> dict[str, Any]:
        """For JSON: each of the five, and the kind that they make."""
        return {**asdict(self), "kind": self.kind}

    def __str__(self) -> str:
        seen = [name.replace("_", " ") for name, value in asdict(self).items() if value]
        return f"{self.kind} ({', '.join(seen) or 'nothing'})"


INDUCTIVE = Sees(weights=True, target_labels=True)
TARGET_ONLY = Sees(target_labels=True)
SOURCE_ONLY = Sees(source=True)
ADAPTS = Sees(source=True, target=True)
ADAPTS_TO_TEST = Sees(source=True, target=True, test=True)
SOURCE_FREE = Sees(weights=True, target=True)
