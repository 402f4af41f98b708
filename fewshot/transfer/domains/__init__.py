"""Domains: how far a source and a target lie apart, of what kind the shift is, and what adapts to it."""

from fewshot.transfer.domains import alignment as _alignment
from fewshot.transfer.domains import deep as _deep
from fewshot.transfer.domains import label_shift as _label_shift
from fewshot.transfer.domains import weighting as _weighting
from fewshot.transfer.domains.adaptation import (
    Adaptation,
    create_adaptation,
    describe_adaptation,
    list_adaptations,
    parse_adaptation,
    register_adaptation,
)
from fewshot.transfer.domains.diagnosis import ShiftReport, diagnose_shift

__all__ = [
    "Adaptation",
    "ShiftReport",
    "create_adaptation",
    "describe_adaptation",
    "diagnose_shift",
    "list_adaptations",
    "parse_adaptation",
    "register_adaptation",
]

del _alignment, _deep, _label_shift, _weighting
