"""From protocols to kept results to reports: `run`, `ResultStore`, `compare`, and `fewshot.benchmark.report`."""

import fewshot.retrieval.recognition.learner  # noqa: F401  enters the learner "index", which lower rooms can't import
from fewshot.benchmark.compare import Comparison, compare
from fewshot.benchmark.protocol import Protocol, default_base, default_split
from fewshot.benchmark.result import Result
from fewshot.benchmark.runner import Outcome, run
from fewshot.benchmark.store import ResultStore

__all__ = [
    "Comparison",
    "Outcome",
    "Protocol",
    "Result",
    "ResultStore",
    "compare",
    "default_base",
    "default_split",
    "run",
]
