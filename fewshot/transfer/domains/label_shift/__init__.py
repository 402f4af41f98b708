"""Label shift: the classes look the same, but have other shares."""

from fewshot.transfer.domains.label_shift.adaptation import BBSE, EM, out_of_fold
from fewshot.transfer.domains.label_shift.bbse import bbse_weights
from fewshot.transfer.domains.label_shift.chi_square import LabelShiftTest, label_shift_test
from fewshot.transfer.domains.label_shift.em import adjust, em_shares

__all__ = ["BBSE", "EM", "LabelShiftTest", "adjust", "bbse_weights", "em_shares", "label_shift_test", "out_of_fold"]
