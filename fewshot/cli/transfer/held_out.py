"""Which images `tune` learns from, which end its stages early, and which it scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from fewshot.cli.arguments import with_options

if TYPE_CHECKING:
    from fewshot.datasets import Dataset

held_out_options = with_options(
    click.option("--shots", type=click.IntRange(1), help="Learn from so many images a class, score the others."),
    click.option(
        "--held-out", type=float, default=0.2, show_default=True, help="Share that is scored, without --shots."
    ),
    click.option(
        "--validation",
        type=float,
        default=0.2,
        show_default=True,
        help="Share of the rest that ends stages early, with --patience.",
    ),
    click.option(
        "--patience", type=click.IntRange(0), default=0, help="Epochs without a better accuracy; 0 for never."
    ),
)


@dataclass(frozen=True)
class Parts:
    """Three parts of a data set without common images; `validation` is None where no stage may end early."""

    train: Dataset
    validation: Dataset | None
    test: Dataset

    @classmethod
    def of(cls, dataset: Dataset, shots: int | None, held_out: float, validation: float, seed: int) -> Parts:
        """Drawn by `seed` class by class: `shots` images to learn from, or all but the share `held_out`.

        validation: the share of those to learn from that ends stages early. Raises `InvalidInput` for a share that is
        none, and for a class with too few images.
        """
        from fewshot.errors import InvalidInput
        from fewshot.transfer.layers import check_labels, places_in_class

        for name, share in (("held-out", held_out), ("validation", validation)):
            if not 0 <= share < 1:
                raise InvalidInput(f"--{name} must be a share in [0, 1), found {share}")
        least = (shots or 1) + 1
        check_labels(dataset.labels, least, dataset.class_names, f"{shots or 1} to learn from, and one more to score,")
        counts = dataset.class_counts
        kept = counts.clone().fill_(shots) if shots else (counts - (held_out * counts).ceil().clamp_min(1)).long()
        looking = (validation * kept).round().long().minimum(kept - 1)
        place = places_in_class(dataset.labels, seed)
        scored = place >= kept[dataset.labels]
        looked_at = ~scored & (place < looking[dataset.labels])
        train, test = (dataset.select(indices=mask) for mask in (~scored & ~looked_at, scored))
        return cls(train, dataset.select(indices=looked_at) if looked_at.any() else None, test)
