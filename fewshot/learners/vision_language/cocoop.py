"""CoCoOp: learned words of a prompt that each image shifts, by a small network (Zhou et al. 2022, eq. 3)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from fewshot.learners.checks import check_positive
from fewshot.learners.features import l2_normalize
from fewshot.learners.learner import Learner
from fewshot.learners.precision import Precision
from fewshot.learners.registry import register_learner
from fewshot.learners.support import Support
from fewshot.learners.vision_language import prompts
from fewshot.learners.vision_language.learner import word_state
from fewshot.learners.words import Words

_TEXTS_AT_ONCE = 512
_LAYERS = ("inside", "inside_bias", "outside", "outside_bias")


@register_learner(
    "cocoop",
    paper="Zhou et al. 2022, Conditional Prompt Learning for Vision-Language Models, CVPR, arXiv:2203.05557",
)
@dataclass(frozen=True)
class CoCoOp(Learner):
    """Learns the words of a prompt, and a network of two layers that shifts them for each image.

    template: the words to start from; rate, batch, epochs: of the training by SGD; reduction: how much narrower than
    the features the network is inside; seed: of draws; precision: of the text tower's products, in training and after;
    the authors train in float16. Each image has prompts of its own, so a query costs a pass of all classes through the
    text tower, which must be in memory.
    """

    template: str = "a photo of a"
    rate: float = 2e-3
    batch: int = 1
    epochs: int = 10
    reduction: int = 16
    seed: int = 0
    precision: Precision = "float32"

    needs_words: ClassVar[bool] = True
    needs_encoder: ClassVar[bool] = True
    transfers: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "rate", "batch", "epochs", "reduction")

    def learn(self, support: Support) -> dict[str, Tensor]:
        """The prompts of each task as vectors of tokens, their context, and the network's weights."""
        words = support.words
        assert words is not None
        assert words.encoder is not None
        with torch.inference_mode(False), torch.enable_grad():
            names = prompts.names_of_tasks(support, self.name)
            tasks = [self._learn_task(support, task, each, words) for task, each in enumerate(names)]
        state = {name: _stack([task[name] for task in tasks]).to(support.features.device) for name in tasks[0]}
        scalars = {name: value for name, value in word_state(words).items() if name != "text"}
        return {**scalars, **state, "encoder": prompts.remember(words.encoder).to(support.features.device)}

    def score(self, state: Mapping[str, Tensor], query: Tensor, mask: Tensor) -> Tensor:
        """For each query, the cosine to prompts of its own."""
        encoder = prompts.recall(state["encoder"], self.name)
        features = l2_normalize(query)
        logits = [self._score_task(task, state, each, encoder.module) for task, each in enumerate(features)]
        return (state["scale"] * torch.stack(logits) + state["bias"]).to(query.dtype)

    def carry_over(self, state: Mapping[str, Tensor], classes: Support) -> dict[str, Tensor]:
        """The learned words and network, with prompts of these classes."""
        prompts.check_encoder(state["encoder"], classes, self.name)
        assert classes.words is not None
        assert classes.words.encoder is not None
        names, count = prompts.names_of_tasks(classes, self.name), state["context"].shape[1]
        made = [prompts.write_prompts(classes.words.encoder, each, count, self.name) for each in names]
        vectors, ends = _stack([each.vectors for each in made]), _stack([each.ends for each in made])
        device, scalars = classes.features.device, word_state(classes.words)
        return {
            **state,
            **{name: scalars[name] for name in ("scale", "bias")},
            "prompts": vectors.to(device),
            "ends": ends.to(device),
            "encoder": prompts.remember(classes.words.encoder).to(device),
        }

    def _learn_task(self, support: Support, task: int, names: list[str], words: Words) -> dict[str, Tensor]:
        assert words.encoder is not None
        context = prompts.first_context(words.encoder, self.template, 0, self.seed, self.name)
        prompt = prompts.write_prompts(words.encoder, names, len(context), self.name)
        features, labels = prompts.items_of(support, task, context)
        network = _network(features.shape[1], context.shape[1], self.reduction, self.seed)
        network = [part.to(context).requires_grad_() for part in network]

        def loss(items: Tensor) -> Tensor:
            seen = features[items]
            texts = prompt.encode(shifted(context, seen, network), self.precision)
            return prompts.prompt_loss(texts, seen, labels[items], words)

        steps = prompts.minibatches(features, self.batch, self.epochs, self.seed)
        context, *network = prompts.descend(loss, [context, *network], steps, self.rate, self.epochs)
        parts = dict(zip(_LAYERS, network, strict=True))
        first = torch.tensor(prompt.first, device=context.device)
        return {"prompts": prompt.vectors, "ends": prompt.ends, "first": first, "context": context, **parts}

    def _score_task(self, task: int, state: Mapping[str, Tensor], features: Tensor, tower: Any) -> Tensor:
        """The cosines (Q, W) of features (Q, D) of length 1."""
        like = next(tower.parameters())
        own = {name: state[name][task].to(like) for name in ("prompts", "context", *_LAYERS)}
        prompt = prompts.Prompts(tower, own["prompts"], state["ends"][task].to(like.device), int(state["first"][task]))
        network = [own[name] for name in _LAYERS]
        rows = []
        for part in features.to(like).split(max(1, _TEXTS_AT_ONCE // len(prompt.ends))):
            texts = prompt.encode(shifted(own["context"], part, network), self.precision)
            rows.append((texts @ part[..., None])[..., 0])
        return torch.cat(rows).to(features)


def shifted(context: Tensor, features: Tensor, network: list[Tensor]) -> Tensor:
    """The context (B, M, width) of each image: context (M, width) plus what the network makes of features (B, D)."""
    inside, inside_bias, outside, outside_bias = network
    shift = torch.relu(features @ inside.mT + inside_bias) @ outside.mT + outside_bias
    return context + shift[:, None]


def _network(dim: int, width: int, reduction: int, seed: int) -> list[Tensor]:
    """Weights and biases of two layers, drawn as torch's own layers are."""
    inside = max(1, dim // reduction)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = nn.Linear(dim, inside), nn.Linear(inside, width)
    return [part.detach() for layer in layers for part in (layer.weight, layer.bias)]


def _stack(parts: list[Tensor]) -> Tensor:
    """Tensors of several tasks as one, with zeros where a task has fewer classes or tokens."""
    shape = torch.tensor([part.shape for part in parts]).amax(0).tolist()
    whole = parts[0].new_zeros(len(parts), *shape)
    for row, part in zip(whole, parts, strict=True):
        row[tuple(slice(size) for size in part.shape)] = part
    return whole
