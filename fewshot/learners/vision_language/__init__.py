"""Learners that classify by words, or by words and images, in a space that both share."""

from fewshot.learners.vision_language.ape import APE, APET
from fewshot.learners.vision_language.clap import CLAP, ZSLP
from fewshot.learners.vision_language.clip_adapter import CLIPAdapter
from fewshot.learners.vision_language.cocoop import CoCoOp
from fewshot.learners.vision_language.coop import CoOp
from fewshot.learners.vision_language.cross_modal import CrossModalLP
from fewshot.learners.vision_language.em_dirichlet import EMDirichletCLIP
from fewshot.learners.vision_language.gda import GDA
from fewshot.learners.vision_language.linear_probe import LinearProbe
from fewshot.learners.vision_language.lp_plus_plus import LPPlusPlus
from fewshot.learners.vision_language.prolip import ProLIP
from fewshot.learners.vision_language.taskres import TaskRes
from fewshot.learners.vision_language.tda import TDA
from fewshot.learners.vision_language.tip_adapter import TipAdapter, TipAdapterF
from fewshot.learners.vision_language.transclip import TransCLIP
from fewshot.learners.vision_language.zero_shot import ZeroShot
from fewshot.learners.vision_language.zlap import ZLaP

__all__ = [
    "APE",
    "APET",
    "CLAP",
    "GDA",
    "TDA",
    "ZSLP",
    "CLIPAdapter",
    "CoCoOp",
    "CoOp",
    "CrossModalLP",
    "EMDirichletCLIP",
    "LPPlusPlus",
    "LinearProbe",
    "ProLIP",
    "TaskRes",
    "TipAdapter",
    "TipAdapterF",
    "TransCLIP",
    "ZLaP",
    "ZeroShot",
]
