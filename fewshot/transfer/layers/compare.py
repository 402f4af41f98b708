"""Which depth of a network suits a data set: a probe a layer, and the blend that is best on held-out items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fewshot.metrics import Interval, PairedTest, accuracy_interval, paired_test
from fewshot.transfer.layers.probe import probe_accuracy, unit_gram
from fewshot.transfer.layers.splits import Split, fold_splits

INNER_FOLDS = 3


@dataclass(frozen=True)
class LayerComparison:
    """The accuracy of each layer, and of what was chosen without the scored items, one value a draw.

    `single` is the layer and `blend` the blend that was best within the items learned from; `singles` and `blends` say
    which those were, draw by draw. `advice` is the blend that all items together choose, for use on new ones.
    """

    accuracies: Mapping[str, tuple[float, ...]]
    single: tuple[float, ...]
    singles: tuple[str, ...]
    blend: tuple[float, ...]
    blends: tuple[tuple[str, ...], ...]
    advice: tuple[str, ...]

    @property
    def deepest(self) -> str:
        """The last layer, which is what most people take."""
        return list(self.accuracies)[-1]

    def interval(self, name: str) -> Interval:
        """Mean and 95 % interval of a layer, of "single" or of "blend"."""
        chosen = {"single": self.single, "blend": self.blend}
        return accuracy_interval(torch.tensor(chosen.get(name) or self.accuracies[name], dtype=torch.float64))

    def gain(self) -> PairedTest:
        """The blend against the deepest layer on the same draws."""
        return paired_test(torch.tensor(self.blend), torch.tensor(self.accuracies[self.deepest]))

    def to_json(self) -> dict[str, Any]:
        """Everything, with means and half-widths."""
        found = {name: self.interval(name) for name in (*self.accuracies, "single", "blend")}
        gain = self.gain()
        return {
            "layers": {name: {"accuracy": found[name].mean, "ci95": found[name].half_width} for name in found},
            "draws": {**self.accuracies, "single": self.single, "blend": self.blend},
            "singles": self.singles,
            "blends": self.blends,
            "advice": self.advice,
            "gain": {"over": self.deepest, "difference": gain.difference.mean, "ci95": gain.difference.half_width,
                     "p": gain.p_value},
        }  # fmt: skip


def compare_layers(
    features: Mapping[str, Tensor], labels: Tensor, splits: Sequence[Split], largest: int = 3
) -> LayerComparison:
    """Probe each layer and blend on each split.

    features: (N, C) of each layer, in the order of depth; labels (N,); splits as of `fold_splits` or `shot_splits`;
    largest: how many layers a blend may have. Layers and blends are chosen by folds within the items learned from, so
    nothing is learned from the scored ones. Where a class has one item alone nothing can be held out: the layer is then
    the deepest, and the blend is that of all layers.
    """
    grams = {name: unit_gram(values) for name, values in features.items()}
    classes = int(labels.max()) + 1
    draws: dict[str, list[float]] = {name: [] for name in grams}
    singles, blends, single, blend = [], [], [], []
    for train, test in splits:
        found = {name: probe_accuracy(gram, labels, train, test, classes) for name, gram in grams.items()}
        for name, accuracy in found.items():
            draws[name].append(accuracy)
        chosen, alone = choose_blend(grams, labels, train, largest)
        singles.append(alone)
        single.append(found[alone])
        blends.append(chosen)
        blend.append(probe_accuracy(_blended(grams, chosen), labels, train, test, classes))
    advice, _ = choose_blend(grams, labels, torch.arange(len(labels)), largest)
    kept = {name: tuple(values) for name, values in draws.items()}
    return LayerComparison(kept, tuple(single), tuple(singles), tuple(blend), tuple(blends), advice)


def choose_blend(
    grams: Mapping[str, Tensor], labels: Tensor, items: Tensor, largest: int = 3
) -> tuple[tuple[str, ...], str]:
    """The best blend and the best single layer, by folds within `items` alone.

    Greedy forward selection: from the best layer on, the one is added that raises the held-out accuracy most, until
    none does or the blend has `largest` layers.
    """
    names, own = list(grams), labels[items]
    counts = own.bincount()
    folds = min(INNER_FOLDS, int(counts[counts > 0].min()))
    if folds < 2:
        return tuple(names), names[-1]
    inner = [(items[train], items[test]) for train, test in fold_splits(own, folds, repeats=1)]
    classes = int(labels.max()) + 1

    def held_out(blend: Sequence[str]) -> float:
        gram = _blended(grams, blend)
        return sum(probe_accuracy(gram, labels, *split, classes) for split in inner) / len(inner)

    scores = {name: held_out([name]) for name in names}
    alone = max(reversed(names), key=scores.__getitem__)  # the deeper one of equals
    blend, best = [alone], scores[alone]
    while len(blend) < largest:
        further = {name: held_out([*blend, name]) for name in names if name not in blend}
        name = max(further, key=further.__getitem__, default="")
        if not name or further[name] <= best:
            break
        blend, best = [*blend, name], further[name]
    return tuple(name for name in names if name in blend), alone


def _blended(grams: Mapping[str, Tensor], names: Sequence[str]) -> Tensor:
    """The Gram matrix of unit features side by side."""
    return torch.stack([grams[name] for name in names]).sum(0) if len(names) > 1 else grams[names[0]]
