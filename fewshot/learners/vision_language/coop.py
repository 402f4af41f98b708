"""CoOp: the words before a class name are learned vectors, the same for all classes (Zhou et al. 2022, eq. 2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fewshot.learners.checks import check_not_negative, check_positive
from fewshot.learners.features import l2_normalize
from fewshot.learners.learner import Learner
from fewshot.learners.precision import Precision
from fewshot.learners.registry import register_learner
from fewshot.learners.support import Support
from fewshot.learners.vision_language import prompts
from fewshot.learners.vision_language.learner import word_logits, word_state
from fewshot.learners.words import Words


@register_learner(
    "coop", paper="Zhou et al. 2022, Learning to Prompt for Vision-Language Models, IJCV, arXiv:2109.01134"
)
@dataclass(frozen=True)
class CoOp(Learner):
    """Descends the log loss of the support by the vectors of a prompt, through the text tower of the words.

    context: how many words are learned, drawn with deviation 0.02; template: words to start from instead, as "a photo
    of a"; rate, batch: of the training by SGD; epochs: 0 for the paper's 50 at one shot, 100 up to four, and 200 above;
    seed: of draws; precision: of the products in training, whatever that of the encoder; the authors train in float16.
    """

    context: int = 16
    template: str = ""
    rate: float = 2e-3
    batch: int = 32
    epochs: int = 0
    seed: int = 0
    precision: Precision = "float32"

    needs_words: ClassVar[bool] = True
    needs_encoder: ClassVar[bool] = True
    transfers: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "context", "rate", "batch")
        check_not_negative(self, "epochs")

    def learn(self, support: Support) -> dict[str, Tensor]:
        """The learned contexts (T, M, width), and the words with the vectors (T, ways, D) of the prompts they make."""
        words = support.words
        assert words is not None
        assert words.encoder is not None
        with torch.inference_mode(False), torch.enable_grad():
            names = prompts.names_of_tasks(support, self.name)
            contexts = torch.stack([self._context(support, task, each, words) for task, each in enumerate(names)])
        return self._state(contexts, support)

    def carry_over(self, state: Mapping[str, Tensor], classes: Support) -> dict[str, Tensor]:
        """The learned contexts before the names of these classes."""
        prompts.check_encoder(state["encoder"], classes, self.name)
        return self._state(state["context"], classes)

    def score(self, state: Mapping[str, Tensor], query: Tensor, mask: Tensor) -> Tensor:
        """Zero-shot logits of the learned prompts."""
        return word_logits(state, l2_normalize(query))

    def _state(self, contexts: Tensor, classes: Support) -> dict[str, Tensor]:
        """What a head keeps: the contexts (T, M, width), and the vectors of the prompts that they make."""
        words = classes.words
        assert words is not None
        assert words.encoder is not None
        with torch.inference_mode(False), torch.no_grad():
            text = words.vectors.clone()
            for task, names in enumerate(prompts.names_of_tasks(classes, self.name)):
                prompt = prompts.write_prompts(words.encoder, names, contexts.shape[1], self.name)
                text[task, : len(names)] = prompt.encode(contexts[task].to(prompt.vectors)).to(text)
        mark = prompts.mark(words.encoder).to(text.device)
        return {**word_state(words), "text": text, "context": contexts, "encoder": mark}

    def _context(self, support: Support, task: int, names: list[str], words: Words) -> Tensor:
        """The context (M, width) of one task's prompts after training."""
        assert words.encoder is not None
        context = prompts.first_context(words.encoder, self.template, self.context, self.seed, self.name)
        prompt = prompts.write_prompts(words.encoder, names, len(context), self.name)
        features, labels = prompts.items_of(support, task, context)
        epochs = self.epochs or epochs_for(len(labels) / len(names))

        def loss(items: Tensor) -> Tensor:
            return prompts.prompt_loss(prompt.encode(context, self.precision), features[items], labels[items], words)

        steps = prompts.minibatches(features, self.batch, epochs, self.seed)
        return prompts.descend(loss, [context], steps, self.rate, epochs)[0].to(support.features.device)


def epochs_for(shots: float) -> int:
    """How often the paper goes through the support, by the shots of a class."""
    return 50 if shots <= 1 else 100 if shots <= 4 else 200
