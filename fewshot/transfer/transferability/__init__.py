"""Transferability: how promising a source is for a target, told from features and labels without any training.

One file a score; [`SCORES`][fewshot.transfer.transferability.score.SCORES] has them by name, and `rank_sources` puts
backbones, layers or source heads in order.
"""

from fewshot.transfer.transferability.agreement import spearman, weighted_tau
from fewshot.transfer.transferability.gbc import gbc
from fewshot.transfer.transferability.h_score import h_score, shrunk_h_score
from fewshot.transfer.transferability.leep import leep
from fewshot.transfer.transferability.logme import logme
from fewshot.transfer.transferability.nce import nce
from fewshot.transfer.transferability.nleep import nleep
from fewshot.transfer.transferability.ranking import Ranking, Source, rank_sources
from fewshot.transfer.transferability.score import SCORES, TRUSTED, Score
from fewshot.transfer.transferability.transrate import transrate

__all__ = [
    "SCORES",
    "TRUSTED",
    "Ranking",
    "Score",
    "Source",
    "gbc",
    "h_score",
    "leep",
    "logme",
    "nce",
    "nleep",
    "rank_sources",
    "shrunk_h_score",
    "spearman",
    "transrate",
    "weighted_tau",
]
