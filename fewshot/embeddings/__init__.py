"""Images to vectors, once: `embed` runs a backbone over a data set, and the `EmbeddingTable` it gives is kept."""

from fewshot.embeddings.extract import embed, embed_images
from fewshot.embeddings.table import EmbeddingTable, concatenate

__all__ = ["EmbeddingTable", "concatenate", "embed", "embed_images"]
