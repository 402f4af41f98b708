"""Negative transfer: whether the source helps at all, and what to do where it does not.

`transfer_check` compares pretrained features with random and target-only ones on the same draws. Against a source that
hurts there are selection (`agreeing_items`), weighting (`tradaboost`), a pull that can be weak (`fit_head(towards=)`),
and the choice of depth (`choose_depth`) or of no transfer at all (`held_out_choice`) by held-out target data.
"""

from fewshot.transfer.negative.check import transfer_check
from fewshot.transfer.negative.cross_validation import (
    Choice,
    choose_by_cross_validation,
    choose_depth,
    head_candidate,
    held_out_choice,
    stratified_folds,
)
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
    "choose_depth",
    "fit_head",
    "head_candidate",
    "held_out_choice",
    "stratified_folds",
    "tradaboost",
    "transfer_check",
]
