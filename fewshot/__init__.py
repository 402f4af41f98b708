"""Few-shot and zero-shot learning: from a few images to an honest number.

Names are looked up when first used, so that `import fewshot` costs next to nothing and torch comes with the first name
that needs it.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "create_backbone": "fewshot.backbones",
    "create_text_encoder": "fewshot.backbones",
    "list_backbones": "fewshot.backbones",
    "register_backbone": "fewshot.backbones",
    "Backbone": "fewshot.backbones",
    "TextEncoder": "fewshot.backbones",
    "load_dataset": "fewshot.datasets",
    "list_datasets": "fewshot.datasets",
    "register_dataset": "fewshot.datasets",
    "Dataset": "fewshot.datasets",
    "ImageFolder": "fewshot.datasets",
    "embed": "fewshot.embeddings",
    "EmbeddingTable": "fewshot.embeddings",
    "Episodes": "fewshot.episodes",
    "EpisodeSampler": "fewshot.episodes",
    "MetaDatasetSampler": "fewshot.episodes",
    "create_learner": "fewshot.learners",
    "choose_learner": "fewshot.learners",
    "list_learners": "fewshot.learners",
    "register_learner": "fewshot.learners",
    "Learner": "fewshot.learners",
    "evaluate": "fewshot.learners",
    "train_learner": "fewshot.learners",
    "Training": "fewshot.learners",
    "FewShotClassifier": "fewshot.classify",
    "create_meta_learner": "fewshot.learners.meta",
    "list_meta_learners": "fewshot.learners.meta",
    "register_meta_learner": "fewshot.learners.meta",
    "MetaLearner": "fewshot.learners.meta",
    "meta_train": "fewshot.learners.meta",
    "MetaTraining": "fewshot.learners.meta",
    "MetaModel": "fewshot.learners.meta",
    "ZeroShotClassifier": "fewshot.zeroshot",
    "Index": "fewshot.retrieval.index",
    "FewshotError": "fewshot.errors",
}

__all__ = [*_HOME, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'fewshot' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
