"""Small cuts of the embedded data sets, for a quick look."""

from dataclasses import replace

from fewshot.datasets.catalogue import DatasetInfo, register_dataset
from fewshot.datasets.collection import glyphs, openmoji
from fewshot.datasets.dataset import Dataset

GLYPHS_STEP, EMOJI_STEP = 12, 5

GLYPHS_INFO = DatasetInfo(
    summary=f"every {GLYPHS_STEP}th character of glyphs",
    classes=99,
    items=1352,
    source=glyphs.INFO.source,
    licence=glyphs.INFO.licence,
)
EMOJI_INFO = DatasetInfo(
    summary=f"every {EMOJI_STEP}th emoji of openmoji, in colour and as a line drawing",
    classes=307,
    items=614,
    source=openmoji.INFO.source,
    licence=openmoji.INFO.licence,
    located=openmoji.INFO.located,
)


@register_dataset("glyphs-small", GLYPHS_INFO)
def glyphs_small() -> Dataset:
    """Every 12th character of `glyphs`, across all alphabets."""
    return _every("glyphs-small", glyphs.glyphs(), GLYPHS_STEP)


@register_dataset("openmoji-small", EMOJI_INFO)
def openmoji_small() -> Dataset:
    """Every fifth emoji of `openmoji`."""
    return _every("openmoji-small", openmoji.openmoji(), EMOJI_STEP)


def _every(name: str, dataset: Dataset, step: int) -> Dataset:
    return replace(dataset.select(classes=range(step // 2, len(dataset.class_names), step)), name=name)
