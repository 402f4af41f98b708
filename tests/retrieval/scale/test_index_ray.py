"""A local Ray: pictures are decoded by tasks and embedded by actors, one of which is killed."""

import os
import signal
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scale_helpers import same

from fewshot import Index, create_backbone
from fewshot.retrieval.scale import plan_shared, publish_shared
from fewshot.retrieval.sources import open_source

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="needs the package ray (extra: ray)"),
]
COUNT = 96


@pytest.fixture
def photos(tmp_path) -> Path:
    folder, draw = tmp_path / "photos", np.random.default_rng(0)
    folder.mkdir()
    for number in range(COUNT):
        Image.fromarray(draw.integers(0, 255, (40, 40, 3), np.uint8)).save(folder / f"{number}.png")
    (folder / "50.png").write_bytes(b"no picture")
    return folder


@pytest.fixture
def local_ray(monkeypatch):
    ray = pytest.importorskip("ray")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "300")  # a busy machine
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, object_store_memory=200 * 2**20)
    yield ray
    ray.shutdown()


def test_an_actor_is_killed_and_the_index_is_that_of_one_process(tmp_path, photos, local_ray) -> None:
    from fewshot.retrieval.scale.on_ray import embed_on_ray

    log, decoded, folder, source = tmp_path / "log", tmp_path / "decoded", tmp_path / "index", open_source(photos)

    def make():
        made = create_backbone("fewshot:raw-pixels", device="cpu")

        class Slow:
            name, dim, fingerprint, text = made.name, made.dim, made.fingerprint, None

            @staticmethod
            def preprocess(image):
                with decoded.open("a") as file:
                    file.write(f"{os.getpid()}\n")
                return made.preprocess(image)

            def __call__(self, images):
                with log.open("a") as file:
                    file.write(f"{os.getpid()}\n")
                time.sleep(0.2)
                return made(images)

        return Slow()

    lead = plan_shared(
        folder, source, create_backbone("fewshot:raw-pixels", device="cpu"), shard_rows=8, progress=False
    )
    killed = []

    def kill() -> None:
        while not log.exists() or len(log.read_text().split()) < 6:
            time.sleep(0.05)
        killed.append(int(log.read_text().split()[-1]))
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    assert embed_on_ray(folder, source, make, actors=2, batch_size=4, progress=False) == COUNT
    killer.join(5)
    assert killed
    assert killed[0] != int(log.read_text().split()[-1])
    assert not set(log.read_text().split()) & set(decoded.read_text().split())  # no process does both
    assert str(os.getpid()) not in decoded.read_text().split()
    assert not list(map(str, (folder / "work").glob("claims/*")))
    made = create_backbone("fewshot:raw-pixels", device="cpu")
    how = {"shard_rows": 8, "skip_broken": True, "batch_size": 4, "workers": 0, "progress": False}
    publish_shared(folder, lead, made, **how)
    alone = Index.build(photos, tmp_path / "alone", made, **how)
    assert len(alone) == COUNT - 1
    same(Index.open(folder), alone)
