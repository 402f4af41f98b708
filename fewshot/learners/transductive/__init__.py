"""Learners that classify the queries of a task together, and learn from unlabelled items beside them."""

from fewshot.learners.transductive.alpha_tim import AlphaTIM
from fewshot.learners.transductive.bavardage import BAVARDAGE
from fewshot.learners.transductive.bd_cspn import BDCSPN
from fewshot.learners.transductive.bms import BMS
from fewshot.learners.transductive.bpa import BPA
from fewshot.learners.transductive.ease import EASE
from fewshot.learners.transductive.em_dirichlet import EMDirichlet
from fewshot.learners.transductive.ici import ICI
from fewshot.learners.transductive.ilpc import ILPC
from fewshot.learners.transductive.laplacian_shot import LaplacianShot
from fewshot.learners.transductive.paddle import PADDLE
from fewshot.learners.transductive.protolp import ProtoLP
from fewshot.learners.transductive.pt_map import PTMAP
from fewshot.learners.transductive.tim_adm import TIMADM
from fewshot.learners.transductive.tim_gd import TIMGD
from fewshot.learners.transductive.transductive_finetune import TransductiveFinetune

__all__ = [
    "BAVARDAGE",
    "BDCSPN",
    "BMS",
    "BPA",
    "EASE",
    "ICI",
    "ILPC",
    "PADDLE",
    "PTMAP",
    "TIMADM",
    "TIMGD",
    "AlphaTIM",
    "EMDirichlet",
    "LaplacianShot",
    "ProtoLP",
    "TransductiveFinetune",
]
