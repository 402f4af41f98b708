"""Recall of a search against exact search, query by query, with its confidence interval."""

import numpy as np

from fewshot.errors import InvalidInput
from fewshot.retrieval.engine.blocks import Blocks
from fewshot.retrieval.engine.exact import exact_search

TIES = 16
EQUAL = 1e-6
AT_ONCE = 10_000_000  # comparisons


class Truth:
    """The k nearest of each query by exact search; rows that tie with the k-th count as found too.

    queries (Q, D), `accepted` (Q, k + 16) ids, with -1 beyond the ties.
    """

    def __init__(self, blocks: Blocks, queries: np.ndarray, k: int, metric: str, dead: np.ndarray) -> None:
        self.queries, self.k = queries, k
        ids, scores = exact_search(blocks, queries, k + TIES, metric, dead)
        if (ids[:, k - 1] < 0).any():
            raise InvalidInput(f"recall at {k} needs as many living rows, found {int((ids[0] >= 0).sum())}")
        last = scores[:, k - 1 : k]
        self.accepted = np.where(abs(scores - last) <= EQUAL * np.maximum(abs(last), 1), ids, -1)
        self.accepted[:, :k] = ids[:, :k]

    def part(self, rows: slice) -> "Truth":
        """The truth of some of the queries."""
        some = object.__new__(Truth)
        some.queries, some.k, some.accepted = self.queries[rows], self.k, self.accepted[rows]
        return some

    def recalls(self, ids: np.ndarray) -> np.ndarray:
        """For each query (Q,) the share of its k nearest among `ids` (Q, k)."""
        step = max(1, AT_ONCE // (self.k * self.accepted.shape[1]))
        found = [_found(ids[at : at + step], self.accepted[at : at + step]) for at in range(0, len(ids), step)]
        return np.minimum(np.concatenate(found), self.k) / self.k


def _found(ids: np.ndarray, accepted: np.ndarray) -> np.ndarray:
    same = (ids[:, :, None] == accepted[:, None, :]) & (ids >= 0)[:, :, None]
    return np.asarray(same.any(axis=2).sum(axis=1))


def interval(recalls: np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    """The confidence interval of the mean recall: Student's t over queries, Wilson's where all queries are alike."""
    from scipy import stats

    count, mean = len(recalls), float(recalls.mean())
    if count > 1 and recalls.std() > 0:
        half = stats.t.ppf(0.5 + confidence / 2, count - 1) * recalls.std(ddof=1) / count**0.5
        return max(0.0, mean - half), min(1.0, mean + half)
    found = stats.binomtest(round(mean * count), count).proportion_ci(confidence, method="wilson")
    return float(found.low), float(found.high)


def surely(recalls: np.ndarray, target: float, caution: float) -> bool:
    """Whether the mean recall is at least `target` by `caution` standard errors; 1.0 everywhere is sure of anything."""
    error = recalls.std(ddof=1) / len(recalls) ** 0.5 if len(recalls) > 1 else 0.0
    return bool(recalls.mean() - caution * error >= target)
