"""Several processes share the work of a ledger; one is killed in the middle; the index is that of one alone."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
from scale_helpers import Texts, same, source_of

from fewshot import Index
from fewshot.errors import FingerprintMismatch, InvalidInput, MissingData
from fewshot.retrieval.build.encoder import encoder_for
from fewshot.retrieval.build.ledger import Ledger
from fewshot.retrieval.scale import embed_claimed, plan_shared, publish_shared
from fewshot.retrieval.scale.claims import MOST, Claims
from fewshot.retrieval.scale.working import wait_for_work

COUNT, ROWS = 96, 6


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "index"


def work(folder: Path, count: int, pause: float, log: Path, lease: float = 60.0) -> None:
    source = source_of(count)
    embed_claimed(folder, source, encoder_for(source, Texts(pause, log)), lease)


def start(*arguments) -> multiprocessing.Process:
    process = multiprocessing.get_context("fork").Process(target=work, args=arguments)
    process.start()
    return process


def alone(folder: Path, count: int = COUNT) -> Index:
    return Index.build(source_of(count), folder, Texts(), shard_rows=ROWS, progress=False)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_three_processes_and_one_is_killed(tmp_path, folder) -> None:
    log = tmp_path / "log"
    lead = plan_shared(folder, source_of(COUNT), Texts(), shard_rows=ROWS, progress=False)
    assert (lead.shards, lead.items) == (COUNT // ROWS, COUNT)
    first, second, third = (start(folder, COUNT, 0.02, log) for _ in range(3))
    while not log.exists() or str(second.pid) not in log.read_text():
        time.sleep(0.005)
    os.kill(second.pid, signal.SIGKILL)
    first.join(60)
    third.join(60)
    assert (first.exitcode, second.exitcode, third.exitcode) == (0, -signal.SIGKILL, 0)
    had = [line.split(" ", 1) for line in log.read_text().splitlines()]
    assert {int(pid) for pid, _ in had} == {first.pid, second.pid, third.pid}
    texts = [text for _, text in had]
    assert len(set(texts)) == COUNT
    assert len(texts) - len(set(texts)) <= ROWS  # at most the shard of the dead one was embedded twice
    publish_shared(folder, lead, Texts(), shard_rows=ROWS, progress=False)
    same(Index.open(folder), alone(tmp_path / "alone"))


def test_adding_is_shared_too(tmp_path, folder) -> None:
    alone(folder)
    other = alone(tmp_path / "alone")
    other._backbone = Texts()
    other.add(source_of(COUNT + 30), progress=False, shard_rows=ROWS)
    lead = plan_shared(folder, source_of(COUNT + 30), Texts(), shard_rows=ROWS, progress=False)
    assert (lead.shards, lead.items, lead.generation) == (5, 30, 1)
    source = source_of(COUNT + 30)
    assert embed_claimed(folder, source, encoder_for(source, Texts())) == (5, 30)
    publish_shared(folder, lead, Texts(), shard_rows=ROWS, progress=False)
    same(Index.open(folder), other)


def test_hashes_are_made_once_and_nothing_is_embedded_by_the_leader(tmp_path, folder) -> None:
    log, source, made = tmp_path / "log", source_of(COUNT), []
    hashes = source.hashes
    source.hashes = lambda rows: made.extend(rows) or hashes(rows)
    lead = plan_shared(folder, source, Texts(), shard_rows=ROWS, progress=False)
    embed_claimed(folder, source, encoder_for(source, Texts()))
    publish_shared(folder, lead, Texts(0, log), shard_rows=ROWS, progress=False)
    assert made == list(range(COUNT))
    assert not log.exists()


def test_a_claim_is_held_by_one_and_freed_by_its_end(folder) -> None:
    lead = plan_shared(folder, source_of(COUNT), Texts(), shard_rows=ROWS, progress=False)
    names = Ledger.open(folder).shards
    claims, others = Claims(folder / "work"), Claims(folder / "work")
    first, second = claims.take(names), others.take(names)
    assert [first.name, second.name] == [f"{names[0]}.0", f"{names[1]}.0"]
    assert [claims.take(names) for _ in names[2:]] + [claims.take(names)]
    assert others.take(names) is None
    assert lead.shards == len(names)
    with pytest.raises(KeyError), claims.held(first):  # it fails, and lets go
        raise KeyError
    assert others.take(names).name == f"{names[0]}.1"
    _of_a_dead_process(second)
    assert others.take(names).name == f"{names[1]}.1"
    _of_another_machine(second.with_name(f"{names[1]}.1"))
    assert others.take(names) is None  # it may live still
    os.utime(second.with_name(f"{names[1]}.1"), (0, 0))
    assert others.take(names).name == f"{names[1]}.2"  # its lease is over


def test_a_lease_is_renewed_while_work_goes_on(folder) -> None:
    plan_shared(folder, source_of(COUNT), Texts(), shard_rows=ROWS, progress=False)
    names = Ledger.open(folder).shards[:1]
    claims = Claims(folder / "work", lease=0.4)
    claim = claims.take(names)
    _of_another_machine(claim)
    with claims.held(claim):
        for _ in range(8):
            time.sleep(0.1)
            assert claims.take(names) is None
    time.sleep(0.6)
    assert claims.take(names).name == f"{names[0]}.1"


def _of_a_dead_process(claim: Path) -> None:
    claim.write_text(claim.read_text().replace(f'"pid": {os.getpid()}', '"pid": 4194303'))


def _of_another_machine(claim: Path) -> None:
    claim.write_text('{"host": "elsewhere", "pid": 1, "started": "1"}')


def test_a_shard_that_ends_all_its_processes_is_told(folder) -> None:
    plan_shared(folder, source_of(COUNT), Texts(), shard_rows=ROWS, progress=False)
    name = Ledger.open(folder).shards[0]
    claims = Claims(folder / "work")
    for _ in range(MOST):
        _of_a_dead_process(claims.take([name]))
    with pytest.raises(InvalidInput, match="never finished"):
        claims.take([name])
    plan_shared(folder, source_of(COUNT), Texts(), shard_rows=ROWS, progress=False)  # the command given again
    assert claims.take([name]).name == f"{name}.0"


def test_a_worker_whose_work_was_published_meanwhile_goes_home(folder) -> None:
    source = source_of(COUNT)
    plan_shared(folder, source, Texts(), shard_rows=ROWS, progress=False)

    class Overtaken(Texts):
        def __call__(self, texts, batch_size=1):
            if not (folder / "manifest.json").exists():
                Index.build(source, folder, Texts(), shard_rows=ROWS, progress=False)
            return super().__call__(texts)

    shards, _ = embed_claimed(folder, source, encoder_for(source, Overtaken()))
    assert shards == 0
    assert len(Index.open(folder)) == COUNT


def test_bad_input(tmp_path, folder) -> None:
    import numpy as np

    from fewshot.retrieval.sources.vectors import vectors_of_array

    with pytest.raises(InvalidInput, match="nothing to embed"):
        plan_shared(folder, vectors_of_array(np.eye(4)), None)
    assert not folder.exists()
    with pytest.raises(MissingData, match="no work under way"):
        wait_for_work(folder, 0)
    alone(folder)
    other = Texts()
    other.fingerprint = "other"
    with pytest.raises(FingerprintMismatch, match=r"made by made-up \(feedface\)"):
        plan_shared(folder, source_of(COUNT + 1), other, progress=False)
    source = source_of(3)
    assert embed_claimed(tmp_path / "none", source, encoder_for(source, Texts())) == (0, 0)
