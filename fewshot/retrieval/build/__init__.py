"""How an index comes to be and changes: build, add, delete, compact."""

from fewshot.retrieval.build.adding import Added, add
from fewshot.retrieval.build.building import build
from fewshot.retrieval.build.compacting import compact
from fewshot.retrieval.build.deleting import delete
from fewshot.retrieval.build.plan import Plan
from fewshot.retrieval.build.wish import Wish

__all__ = ["Added", "Plan", "Wish", "add", "build", "compact", "delete"]
