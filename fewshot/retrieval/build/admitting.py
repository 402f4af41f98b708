"""Whether a source may be added to an index: the same backbone, keys that do not clash, columns that fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fewshot.errors import FingerprintMismatch, InvalidInput
from fewshot.retrieval.build.encoder import Encoder
from fewshot.retrieval.build.gathering import chosen_columns
from fewshot.retrieval.sources import Source
from fewshot.retrieval.store import Manifest, Snapshot


def check_backbone(manifest: Manifest, encoder: Encoder) -> None:
    """Raise `FingerprintMismatch` for another backbone than the index has, `InvalidInput` for another length."""
    mine = str(manifest.backbone["fingerprint"])
    if encoder.fingerprint != mine:
        names = [f"{told.get('name') or 'an unknown backbone'} ({told['fingerprint'] or 'no fingerprint'})"
                 for told in (manifest.backbone, encoder.told)]  # fmt: skip
        raise FingerprintMismatch(
            f"the index was made by {names[0]}, and this would add vectors of {names[1]}; vectors of different "
            "backbones, weights or preprocessing do not mix: give the backbone of the index"
        )
    if encoder.dim != manifest.dim:
        raise InvalidInput(f"the index has vectors of {manifest.dim} values, and these have {encoder.dim}")


def check_keys(there: Snapshot, source: Source, replaced: Sequence[int]) -> None:
    """Keys that are there with other content are changed items of a source known by its path or name, else clashes."""
    told = there.manifest.source
    if ("path" in source.described or "name" in source.described) and source.described in _known_sources(told):
        return
    keys = there.keys(there.positions(replaced[:3]))
    raise InvalidInput(
        f"{len(replaced)} keys of {source.name} are in the index for other items ({', '.join(keys)}"
        f"{', ...' if len(replaced) > 3 else ''}), and it was not made from there: rename them, or pass replace=True "
        "(--replace) to put the new items in their place"
    )


def _known_sources(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    first = {name: value for name, value in told.items() if name != "added"}
    return [first, *told.get("added", [])]


def with_source(manifest: Manifest, source: Source) -> dict[str, Any]:
    """What the manifest says of the sources: the first, and in `added` the others."""
    first, *others = _known_sources(manifest.source)
    if source.described not in (first, *others):
        others.append(source.described)
    return {**first, "added": others} if others else first


def column_types(there: Snapshot, source: Source, columns: Sequence[str] | None) -> Mapping[str, Any]:
    """The types of the index's columns; raises `InvalidInput` for a column of the source that the index has not."""
    given = chosen_columns(source, columns)
    if not there.manifest.shards:
        return given
    if lost := [name for name in given if name not in there.manifest.columns]:
        raise InvalidInput(
            f"{source.name} has the column {lost[0]!r}, which the index has not; it has "
            f"{', '.join(there.manifest.columns) or 'none'}: name the columns to keep by columns=[...] (--columns)"
        )
    return {name: there.column(name).type for name in there.manifest.columns}
