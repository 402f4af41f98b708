"""A contact sheet: the hits of each query as one picture, with keys and scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fewshot.errors import FewshotError, InvalidInput, MissingData
from fewshot.files import whole_file
from fewshot.retrieval.sources import PictureSource, reopen_source

if TYPE_CHECKING:
    from PIL.Image import Image

    from fewshot.retrieval.index import Index
    from fewshot.retrieval.search.hits import Hits

CELL, MARGIN, TITLE, SCORE = 168, 10, 34, 44
PAPER, INK, FAINT = (255, 255, 255), (25, 25, 25), (120, 120, 120)
FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}


def draw_sheet(index: Index, answers: Sequence[Hits], path: Path, columns: int = 5) -> None:
    """Write the pictures of `answers` to `path`, `columns` a row, each block headed by its query.

    Raises `InvalidInput` for an ending that is none of .png and .jpg, and for an index of texts or vectors;
    `MissingData` where the source can't be found.
    """
    from PIL import Image, ImageDraw, ImageFont

    if path.suffix.lower() not in FORMATS:
        raise InvalidInput(f"a contact sheet is a .png or .jpg, not {path.name}")
    pictures = _pictures(index)
    fonts = ImageFont.load_default(13), ImageFont.load_default(11)
    blocks = [-(-len(hits) // columns) for hits in answers]
    wide = MARGIN + columns * (CELL + MARGIN)
    high = MARGIN + sum(26 + rows * (CELL + TITLE + MARGIN) for rows in blocks)
    paper = Image.new("RGB", (wide, high), PAPER)
    pen = ImageDraw.Draw(paper)
    top = MARGIN
    for hits, rows in zip(answers, blocks, strict=True):
        pen.text((MARGIN, top), _fitting(str(hits.query), wide - 2 * MARGIN, pen, fonts[0]), INK, font=fonts[0])
        top += 26
        for place, row in enumerate(hits.rows):
            left = MARGIN + place % columns * (CELL + MARGIN)
            down = top + place // columns * (CELL + TITLE + MARGIN)
            _paste(paper, pen, pictures, row["key"], left, down, fonts[1])
            pen.text((left, down + CELL + 3), _fitting(row["key"], CELL, pen, fonts[1]), INK, font=fonts[1])
            pen.text((left, down + CELL + 17), f"{row['score']:.3f}", FAINT, font=fonts[1])
            label = _fitting(row["label"] or "", CELL - SCORE, pen, fonts[1])
            pen.text((left + SCORE, down + CELL + 17), label, FAINT, font=fonts[1])
        top += rows * (CELL + TITLE + MARGIN)
    with whole_file(path) as beside:
        paper.save(beside, format=FORMATS[path.suffix.lower()])


def _pictures(index: Index) -> dict[str, Any]:
    """For every key the pictures of the source and its place among them."""
    told = index.manifest.source
    source = reopen_source(told)
    if source is None:
        raise MissingData(f"the pictures of {index.folder} are not where they were indexed: {told.get('path', told)}")
    if not isinstance(source, PictureSource):
        raise InvalidInput(f"{index.folder} was made from {source.kind}, of which there is no contact sheet")
    return {key: (source.images, place) for place, key in enumerate(source.keys)}


def _paste(paper: Image, pen: Any, pictures: dict[str, Any], key: str, left: int, top: int, font: Any) -> None:
    from PIL import ImageOps

    pen.rectangle((left, top, left + CELL - 1, top + CELL - 1), fill=(243, 243, 243))
    try:
        images, place = pictures[key]
        small = ImageOps.contain(images[place], (CELL, CELL))
    except (KeyError, FewshotError):
        pen.text((left + 8, top + CELL // 2 - 8), "not there any more", FAINT, font=font)
        return
    paper.paste(small, (left + (CELL - small.width) // 2, top + (CELL - small.height) // 2))


def _fitting(text: str, width: int, pen: Any, font: Any) -> str:
    """`text`, or its end after an ellipsis where it is wider than `width` pixels."""
    if pen.textlength(text, font=font) <= width:
        return text
    while text and pen.textlength("…" + text, font=font) > width:
        text = text[1:]
    return "…" + text
