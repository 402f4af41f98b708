"""Learners that classify the queries of a task together, and learn from unlabelled items beside them."""

from fewshot.learners.transductive.pt_map import PTMAP

__all__ = ["PTMAP"]
