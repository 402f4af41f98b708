"""Bridges to other libraries of meta-learning, one folder a library."""

from fewshot.learners.meta.interop import learn2learn

__all__ = ["learn2learn"]
