"""Every file of an index cut, flipped bit by bit, lengthened, lost or swapped: counts of what was noticed.

`python index_damage.py` prints them as JSON: `lost` counts damage with which an index opened and `verify` was content.
"""

import json
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from index_scenarios import FIRST, MORE, add_texts, build_texts, delete_keys

from fewshot import Index
from fewshot.errors import FewshotError
from fewshot.retrieval.store import read_manifest
from fewshot.retrieval.verify import verify

FLIPS = 200


def damages(content: bytes, draw: random.Random) -> Iterator[tuple[str, bytes | None]]:
    yield "lost", None
    for share in (0, 0.01, 0.25, 0.5, 0.75, 0.99):
        yield "cut short", content[: int(len(content) * share)]
    yield "cut short", content[:-1]
    for more in (b"\0", b"x" * 100, content):
        yield "bytes at the end", content + more
    for _ in range(FLIPS):
        flipped = bytearray(content)
        flipped[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        yield "one bit", bytes(flipped)
    yield "zeros", bytes(len(content))


def noticed(folder: Path) -> bool:
    """Whether the index refuses to open, and `verify` says that it is damaged."""
    try:
        Index.open(folder)
    except FewshotError:
        try:
            return not verify(folder, sample=0).ok
        except FewshotError:
            return True
    return False


def same(one: bytes | None, other: bytes) -> bool:
    """Whether two manifests say the same, laid out otherwise."""
    try:
        return one is not None and json.loads(one) == json.loads(other)
    except ValueError:
        return False


def main() -> None:
    counts: Counter[str] = Counter()
    lost = []
    draw = random.Random(0)
    with tempfile.TemporaryDirectory() as place:
        folder, other = Path(place, "index"), Path(place, "other")
        build_texts(folder, FIRST)
        add_texts(folder, MORE)
        delete_keys(folder, "t0", "u1")
        build_texts(other, {key: f"{text}, otherwise" for key, text in FIRST.items()})
        names = [*read_manifest(folder).files, "manifest.json"]
        for name in names:
            whole = (folder / name).read_bytes()
            tried = list(damages(whole, draw))
            tried += [("swapped", (folder / twin).read_bytes()) for twin in names
                      if twin != name and Path(twin).suffix == Path(name).suffix]  # fmt: skip
            if (other / name).is_file():
                tried.append(("of another version", (other / name).read_bytes()))
            for what, content in tried:
                if content == whole:
                    continue
                (folder / name).unlink(missing_ok=True)
                if content is not None:
                    (folder / name).write_bytes(content)
                if name == "manifest.json" and same(content, whole):
                    counts["a manifest that says the same"] += 1
                elif noticed(folder):
                    counts[what] += 1
                else:
                    lost.append(f"{name}: {what}")
            (folder / name).write_bytes(whole)
        if not verify(folder).ok:
            lost.append("the whole index is refused")
        shutil.rmtree(other)
    print(json.dumps({"files": len(names), "noticed": counts, "lost": len(lost), "told": lost}))


if __name__ == "__main__":
    main()
