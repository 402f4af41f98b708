"""Past one process and past one memory: work that many share, and an index that is never whole in memory."""

from fewshot.retrieval.scale.leading import Lead, plan_shared, publish_shared
from fewshot.retrieval.scale.merging import merge
from fewshot.retrieval.scale.working import embed_claimed

__all__ = ["Lead", "embed_claimed", "merge", "plan_shared", "publish_shared"]
