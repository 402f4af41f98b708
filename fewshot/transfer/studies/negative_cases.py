"""The cases of the study of negative transfer: a target, a source that may not suit it, and ways to learn from both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, normalize

from fewshot.transfer.domains.weighting import discriminator_weights
from fewshot.transfer.negative import (
    LinearHead,
    agreeing_items,
    fit_head,
    head_candidate,
    held_out_choice,
    tradaboost,
)
from fewshot.transfer.negative.cross_validation import Candidate
from fewshot.transfer.sees import INDUCTIVE, Sees
from fewshot.transfer.studies.small_targets import (
    LITE0,
    depth_tables,
    pixel_table,
    small_digits,
    small_groceries,
    small_target,
)

FOLDS = 3
PENALTY, PULLS = 0.1, (0.1, 1.0, 10.0, 100.0)
ALONE, TRUST = "target alone", "source on trust"
WITH_SOURCE = Sees(source=True, target_labels=True)


@dataclass(frozen=True, eq=False)
class Case:
    """A target with its labels (N,), and ways to learn it: `ALONE`, `TRUST` and the remedies, each a `Candidate`."""

    labels: Tensor
    ways: Mapping[str, Candidate]
    sees: Sees
    queries: int
    data: Mapping[str, Any] = field(default_factory=dict)


def digits_case(domain: str, permuted: int) -> Case:
    """Digits of "mnist" or other ones of "usps" beside a few of USPS; the first `permuted` have their labels moved on.

    Moved on by one among themselves, that is: with all ten no label is right.
    """
    usps = small_digits("usps", 120)
    by_class = usps.labels.argsort(stable=True)
    target = usps.select(by_class[::2])
    source = usps.select(by_class[1::2]) if domain == "usps" else small_digits(domain, 100)
    moved = torch.where(source.labels < permuted, (source.labels + 1) % max(permuted, 1), source.labels)
    pixels = [normalize(avg_pool2d(pixel_table(part).features.view(-1, 3, 32, 32).mean(1, keepdim=True), 2).flatten(1))
              for part in (source, target)]  # fmt: skip
    about = {"source": domain, "target": "usps", "permuted": permuted, "features": "pixels"}
    return pooled_case(pixels[0], moved, pixels[1], target.labels, 10, about)


def pooled_case(
    source: Tensor, source_labels: Tensor, features: Tensor, labels: Tensor, ways: int, data: Mapping[str, Any]
) -> Case:
    """Source items beside the target's: all, those that agree, or weighted, by TrAdaBoost or by likeness alone."""
    alone = head_candidate(features, labels, ways, PENALTY)
    head = fit_head(source, source_labels, ways, PENALTY)

    def pooled(kept: Tensor, learn: Tensor, answer: Tensor) -> Tensor:
        items, known = torch.cat([source[kept], features[learn]]), torch.cat([source_labels[kept], labels[learn]])
        return fit_head(items, known, ways, PENALTY).predict(features[answer])

    def selected(learn: Tensor, answer: Tensor) -> Tensor:
        kept = agreeing_items(source, source_labels, features[learn], labels[learn], ways, penalty=PENALTY)
        return pooled(kept, learn, answer)

    def boosted(learn: Tensor, answer: Tensor) -> Tensor:
        heads = tradaboost(source, source_labels, features[learn], labels[learn], ways, penalty=PENALTY)
        return heads.predict(features[answer])

    def weighted(learn: Tensor, answer: Tensor) -> Tensor:
        weights = torch.cat([discriminator_weights(source, features[learn], folds=3), torch.ones(len(learn))])
        items, known = torch.cat([source, features[learn]]), torch.cat([source_labels, labels[learn]])
        return fit_head(items, known, ways, PENALTY, weights).predict(features[answer])

    trust = partial(pooled, torch.ones(len(source), dtype=torch.bool))
    found: dict[str, Candidate] = {ALONE: alone, TRUST: trust, "agreeing items": selected, "TrAdaBoost": boosted}
    found |= {"density ratio": weighted, "pull, held out": _pull_held_out(features, labels, ways, head)}
    return Case(labels, found, WITH_SOURCE, 15, data)


def pulled_case(turned: bool) -> Case:
    """A head learned on shop photos of groceries pulls one learned on a few others; or one turned at random does."""
    source, target = small_groceries("train"), small_groceries("test")
    tables = [depth_tables(part)["last"] for part in (source, target)]
    features = [normalize(table.features.float()) for table in tables]
    ways = len(target.class_names)
    head = fit_head(features[0], source.labels, ways, PENALTY)
    if turned:
        noise = torch.randn(features[0].shape[1], features[0].shape[1], generator=torch.Generator().manual_seed(0))
        head = LinearHead(head.weight @ torch.linalg.qr(noise.double()).Q, head.bias)
    x, y = features[1], target.labels

    def pulled(learn: Tensor, answer: Tensor) -> Tensor:
        return fit_head(x[learn], y[learn], ways, PULLS[-1], towards=head).predict(x[answer])

    found: dict[str, Candidate] = {
        ALONE: head_candidate(x, y, ways, PENALTY),
        TRUST: pulled,
        "pull, held out": _pull_held_out(x, y, ways, head),
    }
    made_of = {"source table": tables[0].fingerprint, "target table": tables[1].fingerprint, "backbone": LITE0}
    return Case(y, found, WITH_SOURCE, 15, {"target": "grocery test photos", "turned": turned, **made_of})


def depth_case(name: str, side: int = 64) -> Case:
    """The last features of an ImageNet network on drawings, against pixels, the other depths, and a choice of depth."""
    dataset = small_target(name, 20, 40)
    ways = len(dataset.class_names)
    tables = {ALONE: pixel_table(dataset), **depth_tables(dataset, side)}
    heads: dict[str, Candidate] = {
        TRUST if depth == "last" else depth: head_candidate(table.features, dataset.labels, ways, PENALTY)
        for depth, table in tables.items()
    }
    found = {ALONE: heads[ALONE], TRUST: heads[TRUST]}
    found["depth, held out"] = held_out_choice(heads, dataset.labels, FOLDS, standard_errors=0)
    made_of = {"target table": tables["last"].fingerprint, "backbone": LITE0, "side": side}
    return Case(dataset.labels, found, INDUCTIVE, 12, {"target": name, "source": "ImageNet", **made_of})


CASES = {
    "MNIST to USPS, all labels permuted": partial(digits_case, "mnist", 10),
    "MNIST to USPS, half of the labels permuted": partial(digits_case, "mnist", 5),
    "MNIST to USPS, true labels": partial(digits_case, "mnist", 0),
    "USPS to USPS, half of the labels permuted": partial(digits_case, "usps", 5),
    "USPS to USPS, true labels": partial(digits_case, "usps", 0),
    "grocery head turned at random": partial(pulled_case, True),
    "grocery head as it is": partial(pulled_case, False),
    "last ImageNet features, Omniglot": partial(depth_case, "omniglot"),
    "last ImageNet features, USPS": partial(depth_case, "usps"),
    "last ImageNet features of 32 pixels, USPS": partial(depth_case, "usps", 32),
}


def _pull_held_out(features: Tensor, labels: Tensor, ways: int, head: LinearHead) -> Candidate:
    """L2-SP whose strength held-out labels choose, none at all among them."""

    def pulled(penalty: float, learn: Tensor, answer: Tensor) -> Tensor:
        return fit_head(features[learn], labels[learn], ways, penalty, towards=head).predict(features[answer])

    strengths: dict[str, Candidate] = {ALONE: head_candidate(features, labels, ways, PENALTY)}
    strengths |= {f"pull {penalty:g}": partial(pulled, penalty) for penalty in PULLS}
    return held_out_choice(strengths, labels, FOLDS)
