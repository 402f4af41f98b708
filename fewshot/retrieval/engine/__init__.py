"""The engine under an index: FAISS, with what it lets through refused, and everything it can be asked in one place."""

from fewshot.retrieval.engine.blocks import Blocks
from fewshot.retrieval.engine.building import build_segment
from fewshot.retrieval.engine.choice import Choice, choose, explain
from fewshot.retrieval.engine.exact import exact_search
from fewshot.retrieval.engine.metrics import larger_is_nearer
from fewshot.retrieval.engine.searcher import Searcher
from fewshot.retrieval.engine.segment import segment_ids
from fewshot.retrieval.engine.tuning import Tuned, tune

__all__ = [
    "Blocks",
    "Choice",
    "Searcher",
    "Tuned",
    "build_segment",
    "choose",
    "exact_search",
    "explain",
    "larger_is_nearer",
    "segment_ids",
    "tune",
]
