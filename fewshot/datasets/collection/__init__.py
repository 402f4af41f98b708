"""The data sets themselves, one file each; importing this registers them."""

from fewshot.datasets.collection import digits, glyphs

__all__ = ["digits", "glyphs"]
