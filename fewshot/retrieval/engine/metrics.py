"""The three ways of telling how near two vectors are, and which end of the score is the nearer."""

import numpy as np

from fewshot.errors import InvalidInput

METRICS = ("cosine", "inner-product", "l2")
UNIT_TOLERANCE = 1e-3


def faiss_metric(metric: str) -> int:
    """FAISS's number for `metric`; raises `InvalidInput` for a name that is none of the three."""
    import faiss

    check_metric(metric)
    return int(faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT)


def check_metric(metric: str) -> None:
    """Raise `InvalidInput` unless `metric` is one of the three."""
    if metric not in METRICS:
        raise InvalidInput(f"metric must be one of {', '.join(METRICS)}, found {metric!r}")


def larger_is_nearer(metric: str) -> bool:
    """True for cosine and inner product; false for l2, whose score is the squared distance."""
    return metric != "l2"


def worst_score(metric: str) -> float:
    """The score that every real one beats."""
    return -np.inf if larger_is_nearer(metric) else np.inf
