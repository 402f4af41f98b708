"""What an index is built from: pictures, texts and vectors, wherever they lie."""

from fewshot.retrieval.sources.opening import open_source, reopen_source
from fewshot.retrieval.sources.source import PictureSource, Source, TextSource, VectorSource

__all__ = ["PictureSource", "Source", "TextSource", "VectorSource", "open_source", "reopen_source"]
