"""An index leaves: for LanceDB, PostgreSQL with pgvector, npy and parquet as clip-retrieval has them, or a table."""

from fewshot.retrieval.exports.exporting import KINDS, export
from fewshot.retrieval.exports.leaving import Exported

__all__ = ["KINDS", "Exported", "export"]
