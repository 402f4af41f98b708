"""Bridges to other libraries of meta-learning, one folder a library."""

from fewshot.learners.meta.interop.learn2learn import Learn2Learn

__all__ = ["Learn2Learn"]
