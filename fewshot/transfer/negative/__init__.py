"""Negative transfer: whether the source helps at all, and what to do where it does not.

`transfer_check` compares pretrained features with random and target-only ones on the same draws. Against a source that
hurts there are selection (`agreeing_items`), weighting (`tradaboost`), a pull that can be weak (`fit_head(towards=)`),
and the choice of depth or of no transfer at all by held-out target data (`choose_by_cross_validation`).
"""

from fewshot.transfer.negative.check import transfer_check
from fewshot.transfer.negative.cross_validation import Choice, choose_by_cross_validation, stratified_folds
from fewshot.transfer.negative.linear_head import LinearHead, fit_head
from fewshot.transfer.negative.selection import agreeing_items, agreement_by_class
from fewshot.transfer.negative.tradaboost import BoostedHeads, tradaboost
from fewshot.transfer.negative.verdict import TransferCheck

__all__ = [
    "BoostedHeads",
    "Choice",
    "LinearHead",
    "TransferCheck",
    "agreeing_items",
    "agreement_by_class",
    "choose_by_cross_validation",
    "fit_head",
    "stratified_folds",
    "tradaboost",
    "transfer_check",
]
