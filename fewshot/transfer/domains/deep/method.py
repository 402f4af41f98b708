"""What deep methods share: a network trained on the source with one more loss that looks at the target."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from fewshot.errors import Diverged
from fewshot.learners.checks import check_not_negative, check_positive
from fewshot.transfer.domains.adaptation import Adaptation
from fewshot.transfer.domains.checks import check_labels, check_pair, check_vectors
from fewshot.transfer.domains.deep.network import AdaptableNetwork, build_network


@dataclass(frozen=True)
class Batch:
    """One step's items of both domains: features (B, width) and logits (B, classes), and the labels of the source."""

    source_features: Tensor
    target_features: Tensor
    source_logits: Tensor
    target_logits: Tensor
    labels: Tensor


@dataclass(frozen=True)
class DeepAdaptation(Adaptation):
    """A network for vectors (N, D) or images (N, C, H, W), trained by Adam; predictions are its last.

    weight: of the loss that looks at the target, reached along Ganin's ramp 2 / (1 + exp(-10 progress)) - 1.
    """

    weight: float = 1.0
    epochs: int = 10
    batch: int = 128
    learning_rate: float = 1e-3
    seed: int = 0

    def __post_init__(self) -> None:
        check_positive(self, "epochs", "batch", "learning_rate")
        check_not_negative(self, "weight")

    def adapt(self, source: Tensor, labels: Tensor, target: Tensor) -> Tensor:
        """As `Adaptation.adapt`, for images too; raises `Diverged` where the loss is no longer finite."""
        source, target = check_pair(source, target)
        check_vectors(source.flatten(1), target.flatten(1))
        labels = check_labels("source", labels, len(source))
        present, places = labels.unique(return_inverse=True)
        source, target = _scaled(source.float(), target.float())
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            network = build_network(source.shape[1:], len(present))
            logits = self._adapted_logits(network, source, places, target)
        return present[logits.argmax(1)]

    def transfer_loss(self, batch: Batch, companion: nn.Module) -> Tensor:
        """The loss that looks at the target, a scalar."""
        raise NotImplementedError

    def companion(self, network: AdaptableNetwork) -> nn.Module:
        """What is trained beside the network, such as a discriminator; nothing by default."""
        return nn.Identity()

    def _adapted_logits(self, network: AdaptableNetwork, source: Tensor, labels: Tensor, target: Tensor) -> Tensor:
        companion = self.companion(network)
        optimizer = torch.optim.Adam([*network.parameters(), *companion.parameters()], self.learning_rate)
        network.train()
        for progress, chosen, of_target in self._batches(len(source), len(target)):
            # in one pass, so that batch norms see both domains as they will when they are asked
            features, logits = network(torch.cat([source[chosen], target[of_target]]))
            cut = len(chosen)
            batch = Batch(features[:cut], features[cut:], logits[:cut], logits[cut:], labels[chosen])
            loss = functional.cross_entropy(batch.source_logits, batch.labels)
            if self.weight:
                loss = loss + self.weight * ramp(progress) * self.transfer_loss(batch, companion)
            step(optimizer, loss, self.name)
        return network.logits(target)

    def _train_on_source(self, network: AdaptableNetwork, source: Tensor, labels: Tensor, smoothing: float = 0) -> None:
        optimizer = torch.optim.Adam(network.parameters(), self.learning_rate)
        network.train()
        for _, chosen, _ in self._batches(len(source), len(source)):
            _, logits = network(source[chosen])
            step(optimizer, functional.cross_entropy(logits, labels[chosen], label_smoothing=smoothing), self.name)

    def _batches(self, sources: int, targets: int) -> Iterator[tuple[float, Tensor, Tensor]]:
        """Progress in [0, 1) and indices of source and target; an epoch is once through the larger domain."""
        size = min(self.batch, sources, targets)
        steps = self.epochs * max(1, max(sources, targets) // size)
        orders = [shuffled(count, size, steps) for count in (sources, targets)]
        for number, (chosen, of_target) in enumerate(zip(*orders, strict=True)):
            yield number / steps, chosen, of_target


def ramp(progress: float) -> float:
    """Ganin et al. 2016, section 5.2.2: from 0 to 1."""
    return 2 / (1 + math.exp(-10 * progress)) - 1


def step(optimizer: torch.optim.Optimizer, loss: Tensor, method: str) -> None:
    """One step down `loss`; raises `Diverged` where it is not finite."""
    if not bool(loss.isfinite()):
        raise Diverged(f"{method}: the loss is {float(loss.detach())}; lower learning_rate or weight")
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def shuffled(count: int, size: int, steps: int) -> Iterator[Tensor]:
    """`steps` times `size` of `count` indices, each order used up before the next is drawn; a rest is left out."""
    done = 0
    while True:
        for chosen in torch.randperm(count).split(size):
            if len(chosen) == size:
                yield chosen
                done += 1
            if done == steps:
                return


def _scaled(source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors by the source's mean and deviation of each feature, images by those of all pixels."""
    axes = 0 if source.ndim == 2 else tuple(range(source.ndim))
    mean, deviation = source.mean(axes), source.std(axes)
    deviation = torch.where(deviation > 0, deviation, 1)
    return (source - mean) / deviation, (target - mean) / deviation
