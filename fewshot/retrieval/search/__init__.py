"""Search of an index: by picture, text, vector or id, with filters, and what it finds as rows, JSON or a picture."""

from fewshot.retrieval.search.duplicates import Duplicates, duplicates
from fewshot.retrieval.search.hits import Hits
from fewshot.retrieval.search.searching import range_search, search
from fewshot.retrieval.search.where import matching

__all__ = ["Duplicates", "Hits", "duplicates", "matching", "range_search", "search"]
