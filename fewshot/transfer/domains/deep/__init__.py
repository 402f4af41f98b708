"""Deep adaptation: a small network learns from the source and from the target that it is to predict."""

from fewshot.transfer.domains.deep.adversarial import CDAN, DANN
from fewshot.transfer.domains.deep.classifier_discrepancy import MCD
from fewshot.transfer.domains.deep.deep_coral import DeepCoral
from fewshot.transfer.domains.deep.mean_matching import DAN, JAN
from fewshot.transfer.domains.deep.network import AdaptableNetwork, build_network
from fewshot.transfer.domains.deep.shot import SHOT
from fewshot.transfer.domains.deep.source_only import DeepSourceOnly
from fewshot.transfer.domains.deep.tent import Tent, tent

__all__ = [
    "CDAN",
    "DAN",
    "DANN",
    "JAN",
    "MCD",
    "SHOT",
    "AdaptableNetwork",
    "DeepCoral",
    "DeepSourceOnly",
    "Tent",
    "build_network",
    "tent",
]
