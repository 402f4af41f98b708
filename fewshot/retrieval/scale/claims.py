"""Claims: who embeds which shard of a ledger, told by files that a dead process does not hold for long.

`work/claims/SHARD.N` is the N-th claim of a shard; the last one counts. It is made by whoever is first (O_EXCL), on any
file system that has that, so two never hold the same. Its holder touches it while it works. A claim is free again when
its holder let go of it, has ended (told at once on the same machine), or has not touched it for the length of a lease.
A claim only spares double work: were a shard embedded twice, the ledger would keep one whole version of it.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from fewshot.errors import InvalidInput

LEASE, MOST = 60.0, 8


class Claims:
    """The claims on the shards of the ledger in `work`; `lease` in seconds."""

    def __init__(self, work: Path, lease: float = LEASE) -> None:
        self.folder, self.lease = work / "claims", lease

    def take(self, shards: Sequence[str]) -> Path | None:
        """Claim the first of `shards` that nobody holds; None where all are held, or the work is gone.

        Raises `InvalidInput` for a shard that was claimed again and again and never finished.
        """
        with suppress(FileNotFoundError):
            if not self.folder.is_dir():
                os.mkdir(self.folder)
            last = self._last()
            clock = None
            for shard in shards:
                number = last.get(shard, -1)
                if number >= 0:
                    clock = self._clock() if clock is None else clock
                    if self._is_held(self.folder / f"{shard}.{number}", clock):
                        continue
                if number + 1 >= MOST:
                    raise InvalidInput(
                        f"shard {shard} was begun {MOST} times and never finished: it ends the processes that embed "
                        "it (too little memory?); look into their logs, then give the command again"
                    )
                claim = self.folder / f"{shard}.{number + 1}"
                with suppress(FileExistsError):  # another was quicker
                    _sign(claim)
                    return claim
        return None

    @contextmanager
    def held(self, claim: Path) -> Iterator[None]:
        """Keep a claim alive during the block, and let go of it when the block fails."""
        over = threading.Event()

        def touch() -> None:
            while not over.wait(self.lease / 4):
                with suppress(OSError):
                    os.utime(claim)

        keeper = threading.Thread(target=touch, daemon=True)
        keeper.start()
        try:
            yield
        except BaseException:
            with suppress(OSError):
                claim.write_text("{}", encoding="utf-8")
                os.utime(claim, (0, 0))
            raise
        finally:
            over.set()
            keeper.join()

    def forget_the_dead(self) -> None:
        """Remove the claims that nobody holds any more."""
        if self.folder.is_dir():
            clock = self._clock()
            for shard, number in self._last().items():
                if not self._is_held(self.folder / f"{shard}.{number}", clock):
                    for claim in self.folder.glob(f"{shard}.*"):
                        claim.unlink(missing_ok=True)

    def _last(self) -> dict[str, int]:
        last: dict[str, int] = {}
        for name in os.listdir(self.folder):
            shard, _, number = name.rpartition(".")
            if shard and number.isdecimal():
                last[shard] = max(last.get(shard, -1), int(number))
        return last

    def _clock(self) -> float:
        """The time as the file system has it, which machines share."""
        probe = self.folder / f"clock-{uuid.uuid4().hex[:8]}"
        probe.touch()
        try:
            return probe.stat().st_mtime
        finally:
            probe.unlink(missing_ok=True)

    def _is_held(self, claim: Path, clock: float) -> bool:
        if clock - claim.stat().st_mtime > self.lease:
            return False
        try:
            told = json.loads(claim.read_text(encoding="utf-8"))
        except ValueError:
            return True  # just being written
        if told.get("host") != socket.gethostname():
            return True
        return bool(_started(int(told["pid"])) == told.get("started"))


def _sign(claim: Path) -> None:
    told = {"host": socket.gethostname(), "pid": os.getpid(), "started": _started(os.getpid()), "at": time.time()}
    handle = os.open(claim, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        os.write(handle, json.dumps(told).encode())
    finally:
        os.close(handle)


def _started(pid: int) -> str:
    """When a process of this machine began, so that its number alone does not stand for it; empty where it ended."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return "" if Path("/proc/self/stat").exists() or not _runs(pid) else "unknown"
    return "" if told[0] in "ZX" else told[19]


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
