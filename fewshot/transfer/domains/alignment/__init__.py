"""Classical adaptation: both domains brought into one space, or one transported onto the other."""

from fewshot.transfer.domains.alignment.coral import Coral
from fewshot.transfer.domains.alignment.geodesic_flow import GeodesicFlow
from fewshot.transfer.domains.alignment.joint import JDA, TCA
from fewshot.transfer.domains.alignment.joint_transport import JointTransport
from fewshot.transfer.domains.alignment.optimal_transport import OptimalTransport
from fewshot.transfer.domains.alignment.source_only import SourceOnly
from fewshot.transfer.domains.alignment.subspace_alignment import SubspaceAlignment

__all__ = [
    "JDA",
    "TCA",
    "Coral",
    "GeodesicFlow",
    "JointTransport",
    "OptimalTransport",
    "SourceOnly",
    "SubspaceAlignment",
]
