"""learn2learn's tasksets as our episodes, our samplers as its tasksets, its algorithms as our learners."""

from fewshot.learners.meta.interop.learn2learn.algorithms import Learn2Learn
from fewshot.learners.meta.interop.learn2learn.tasksets import SampledTaskset, episodes_from_taskset

__all__ = ["Learn2Learn", "SampledTaskset", "episodes_from_taskset"]
