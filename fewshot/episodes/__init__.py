"""Episodes: few-shot tasks as integers, and the samplers that draw them."""

from fewshot.episodes.episode_sampler import EpisodeSampler
from fewshot.episodes.episodes import Episodes
from fewshot.episodes.meta_dataset import MetaDatasetSampler

__all__ = ["EpisodeSampler", "Episodes", "MetaDatasetSampler"]
