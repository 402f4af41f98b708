"""Is an index what it says? Every file, every id, and a sample of the items themselves."""

from fewshot.retrieval.verify.report import Check, Report
from fewshot.retrieval.verify.verifying import verify

__all__ = ["Check", "Report", "verify"]
