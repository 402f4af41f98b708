"""`Index`: the face of an embedding index."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fewshot.errors import FingerprintMismatch, InvalidInput
from fewshot.retrieval import build as life
from fewshot.retrieval.store import Manifest, Snapshot, use_version

if TYPE_CHECKING:
    from fewshot.learners import Learner
    from fewshot.retrieval.build import Added, Plan
    from fewshot.retrieval.engine import Searcher
    from fewshot.retrieval.exports import Exported
    from fewshot.retrieval.recognition import Recognised, Rule, Threshold
    from fewshot.retrieval.search import Duplicates, Hits
    from fewshot.retrieval.verify import Report

Backing = Any  # a Backbone, a TextEncoder, or the name of one


class Index:
    """One version of an index, held open for reading while others are written; changes made by it are followed.

    `Index.build` makes one, `Index.open` opens one. `backbone` embeds queries and new items: it is made by the name in
    the manifest when it is first needed, and its fingerprint must be that of the index.
    """

    def __init__(self, folder: Path, snapshot: Snapshot, searcher: Searcher, backbone: Backing = None) -> None:
        self.folder, self.snapshot, self.searcher = folder, snapshot, searcher
        self._backbone = backbone

    @classmethod
    def build(
        cls,
        source: Any,
        folder: str | Path,
        backbone: Backing = None,
        recall: float = 0.95,
        k: int = 10,
        index: str = "auto",
        memory: int | None = None,
        metric: str = "cosine",
        columns: Sequence[str] | None = None,
        confirm: Callable[[Plan], bool] | None = None,
        **how: Any,
    ) -> Index:
        """Build an index of `source` in a new folder and open it; a build that was stopped goes on where it was.

        source: a folder or zip of pictures, tar shards, a table of paths or (`texts=` its column) of texts, the name of
        a data set, an `EmbeddingTable`, an array (N, D), a folder as clip-retrieval writes it. `backbone`: a backbone
        or text encoder, or its name; vectors need none. `index` is "auto" or a FAISS factory string. With `memory`
        (bytes) the index is chosen to fit. Search settings are tuned until `recall` at `k` is proved on queries held
        out.
        `columns` of the source to keep; all by default. `confirm(plan)` is asked before anything is written. `how`:
        texts, paths, skip_broken, batch_size, workers, shard_rows, restart, wait (seconds for the lock), progress.

        Raises `InvalidInput` for a recall that can't be reached and too little memory or disk, `BrokenImages` naming
        the pictures that cannot be read, `IndexLocked` where another process writes.
        """
        wish = life.Wish(recall, k, index, memory, metric)
        if life.build(source, Path(folder), backbone, wish, confirm, columns=columns, **how) is None:
            raise InvalidInput(f"{folder} was not built: the plan was refused")
        return cls.open(folder, backbone)

    @classmethod
    def open(cls, folder: str | Path, backbone: Backing = None, verify: str = "hashes") -> Index:
        """Open an index in milliseconds: files are memory-mapped, their lengths and (`verify="hashes"`) hashes checked.

        A hash that was right once is not made again while the file stays untouched; `verify="sizes"` checks lengths
        alone. Raises `MissingData` where there is no index, `UnreadableFile` naming a damaged file.
        """
        from fewshot.retrieval.engine import Searcher

        def opened(snapshot: Snapshot) -> tuple[Snapshot, Searcher]:
            told = snapshot.manifest
            search = told.settings.get("search", {})
            searcher = Searcher(snapshot.segments, told.dim, told.metric, snapshot.dead, snapshot.ids, settings=search)
            return snapshot, searcher

        return cls(Path(folder), *use_version(Path(folder), opened, verify), backbone=backbone)

    @property
    def manifest(self) -> Manifest:
        """What is told of this version."""
        return self.snapshot.manifest

    def __len__(self) -> int:
        """The items that are not deleted."""
        return len(self.snapshot)

    def __repr__(self) -> str:
        told = self.manifest
        return f"<Index {self.folder}: {len(self):,} items, {told.settings.get('factory')}, version {told.generation}>"

    @cached_property
    def backbone(self) -> Any:
        """What embeds queries; raises `InvalidInput` where that is not known, `FingerprintMismatch` for another."""
        from fewshot.retrieval.build.encoder import make_backbone

        told = self.manifest.backbone
        if self._backbone is None and not told["name"]:
            raise InvalidInput(
                f"{self.folder} was made from vectors of an unknown backbone; search it by vectors or ids, or open it "
                "with the backbone that made them"
            )
        given = told["name"] if self._backbone is None else self._backbone
        made = make_backbone(given) if isinstance(given, str) else given
        if told["fingerprint"] and made.fingerprint != told["fingerprint"]:
            raise FingerprintMismatch(
                f"{self.folder} was made by {told['name']} ({told['fingerprint']}), and {made.name} is "
                f"{made.fingerprint}: weights, preprocessing, precision or layers differ, so their vectors do not mix"
            )
        return made

    def search(
        self,
        query: Any,
        k: int = 10,
        where: str | None = None,
        exclude_self: bool = False,
        settings: Mapping[str, float] | None = None,
    ) -> Hits:
        """The `k` items nearest to a query or to each of a list: pictures, paths, texts, ids, or vectors (D,).

        `where` filters, as in `label = 'mug' and year > 2019`; `exclude_self` leaves out the item that asks. `settings`
        (nprobe, efSearch, k_factor) are the tuned ones unless given. Raises `InvalidInput` for k larger than the index,
        for texts where the backbone knows no words, and for a filter that cannot be understood.
        """
        from fewshot.retrieval.search import search

        return search(self, query, k, where, exclude_self, settings)

    def range_search(
        self, query: Any, threshold: float, where: str | None = None, exclude_self: bool = False
    ) -> Hits | list[Hits]:
        """All items at least as near to a query as `threshold` (l2: squared distance at most that), nearest first."""
        from fewshot.retrieval.search import range_search

        return range_search(self, query, threshold, where, exclude_self)

    def duplicates(self, threshold: float = 0.98, where: str | None = None, exact: bool | None = None) -> Duplicates:
        """Groups of items joined by pairs at least as near as `threshold`; `exact` None is exact up to 20,000 items."""
        from fewshot.retrieval.search import duplicates

        return duplicates(self, threshold, where, exact)

    def classify(
        self,
        images: Any,
        k: int | None = None,
        rule: Rule | Literal["knn", "mean"] = "knn",
        reject_at: float | Threshold | None = None,
        false_accepts: float | None = None,
    ) -> Recognised | list[Recognised]:
        """The class that each of `images` shows, by the labelled items it is nearest to; one picture a class will do.

        Pictures of none of the classes are rejected by a score, by a threshold that `recognition.calibrate` made, or at
        a rate of `false_accepts`; see `recognition.classify`.
        """
        from fewshot.retrieval.recognition import classify

        return classify(self, images, k, rule, reject_at, false_accepts)

    def as_learner(self, rule: Rule | Literal["knn", "mean"] = "knn", kind: str | None = None) -> Learner:
        """The few-shot learner that recognises as `classify` does; see `recognition.as_learner`."""
        from fewshot.retrieval.recognition import as_learner

        return as_learner(self, rule, kind)

    def near(self, query: Any, nearest: int | None = None, threshold: float | None = None) -> list[int]:
        """The ids of the `nearest` items to a query, or of all at least as near as `threshold`; one of the two."""
        if (nearest is None) == (threshold is None):
            raise InvalidInput("give nearest or threshold, one of the two")
        if threshold is None:
            return self.search(query, int(nearest or 1)).ids.reshape(-1).tolist()
        found = self.range_search(query, threshold)
        return [number for hits in (found if isinstance(found, list) else [found]) for number in hits.ids.tolist()]

    def add(self, source: Any, **how: Any) -> Added:
        """Add what is new or has changed in `source`; this object then sees it. `how` as in `build`."""
        from fewshot.retrieval.sources import VectorSource, open_source

        opened = open_source(source, how.pop("texts", None), how.pop("paths", None))
        added = life.add(self.folder, opened, None if isinstance(opened, VectorSource) else self.backbone, **how)
        self.reopen()
        return added

    def delete(
        self,
        ids: Sequence[int] | np.ndarray | None = None,
        keys: Sequence[str] | None = None,
        where: str | None = None,
        wait: float = 0.0,
    ) -> int:
        """Delete items by ids, by keys, or by a filter such as `label = 'mug'`; gives how many. They are gone at once.

        Raises `InvalidInput` naming ids or keys that are not there, and unless exactly one of the three is given.
        """
        from fewshot.retrieval.build.selecting import selection

        deleted = life.delete(self.folder, selection(ids, keys, where), wait)
        self.reopen()
        return len(deleted)

    def compact(self, wait: float = 0.0) -> bool:
        """Give back the room of deleted items and make one segment of all; False where there was nothing to do."""
        changed = life.compact(self.folder, wait)
        self.reopen()
        return changed

    def export(self, kind: str, target: str | Path, **how: Any) -> Exported:
        """Copy what holds now and is not deleted to LanceDB, pgvector, clip-retrieval's layout, or an embedding table.

        `kind`, `target` and `how` (name, replace, ann, progress) as in `fewshot.retrieval.exports.export`.
        """
        from fewshot.retrieval.exports import export

        return export(self.folder, kind, target, **how)

    def reopen(self) -> None:
        """Go over to the version that holds now."""
        now = Index.open(self.folder)
        self.snapshot, self.searcher = now.snapshot, now.searcher

    def verify(self, sample: int = 8, source: Any = None) -> Report:
        """Check every hash, row and id; re-embed `sample` items from where they came (or from `source`)."""
        from fewshot.retrieval.verify import verify

        return verify(self.folder, sample, source, self._backbone)

    def info(self) -> dict[str, Any]:
        """What the index is, ready for JSON."""
        from fewshot.retrieval.store.info import info

        return info(self.folder)

    def vectors(self, ids: Sequence[int] | np.ndarray) -> np.ndarray:
        """The vectors (n, D) float32 of items, of unit length with cosine."""
        return self.snapshot.vectors(self.snapshot.positions(ids))

    def vector(self, id: int) -> np.ndarray:
        """The vector (D,) float32 of an item."""
        return self.vectors([id])[0]
