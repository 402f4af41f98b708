"""What an index is, in a few figures."""

from pathlib import Path
from typing import Any

from fewshot.retrieval.store.manifest_reading import read_manifest


def info(folder: Path) -> dict[str, Any]:
    """Items, bytes, backbone, settings and what was measured; nothing but the manifest is read."""
    told = read_manifest(folder)
    return {
        "index": str(folder),
        "items": told.live,
        "deleted": told.rows - told.live,
        "dim": told.dim,
        "metric": told.metric,
        "backbone": told.backbone["name"] or None,
        "fingerprint": told.backbone["fingerprint"] or None,
        "factory": told.settings.get("factory"),
        "why": told.settings.get("why"),
        "search": told.settings.get("search", {}),
        "recall_target": told.settings.get("recall_target"),
        "measured": dict(told.measured),
        "columns": dict(told.columns),
        "segments": len(told.segments),
        "shards": len(told.shards),
        "bytes": sum(note.bytes for note in told.files.values()),
        "version": told.generation,
        "source": dict(told.source),
        "created": told.created,
        "written": told.written,
        "work_under_way": (folder / "work" / "ledger.json").is_file(),
    }
