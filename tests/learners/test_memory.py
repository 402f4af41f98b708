"""Free memory: what Linux says is available, page cache and all, or what the system tells otherwise."""

import os

import pytest
import torch

from fewshot.learners import memory

CPU = torch.device("cpu")
TOLD = """MemTotal:       24684084 kB
MemFree:         1507619 kB
MemAvailable:   22065640 kB
Buffers:          310672 kB
"""


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (TOLD, 22065640 * 1024),
        (TOLD.replace("MemAvailable", "Other"), 5 * 4096),  # Linux before 3.14
        (TOLD.replace("22065640", "many"), 5 * 4096),
        (None, 5 * 4096),
    ],
    ids=["available", "lacking", "no number", "no file"],
)
def test_what_is_free(told, expected, tmp_path, monkeypatch) -> None:
    if told:
        (tmp_path / "meminfo").write_text(told)
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(os, "sysconf", {"SC_AVPHYS_PAGES": 5, "SC_PAGE_SIZE": 4096}.get)
    assert memory.free_memory(CPU) == expected


def test_where_nothing_is_told(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(os, "sysconf_names", {})
    assert memory.free_memory(CPU) is None
