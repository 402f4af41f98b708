"""Episodes: few-shot tasks as integers, and the samplers that draw them."""

from fewshot.episodes.episode_sampler import EpisodeSampler
from fewshot.episodes.episodes import Episodes
from fewshot.episodes.meta_dataset import MetaDatasetSampler
from fewshot.episodes.split_sampler import SplitSampler

__all__ = ["EpisodeSampler", "Episodes", "MetaDatasetSampler", "SplitSampler"]
