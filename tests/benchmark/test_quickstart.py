"""The main job, whole: it is what a newcomer runs first."""

import pytest
from PIL import Image

from fewshot.benchmark import ResultStore
from fewshot.benchmark.quickstart import quickstart


@pytest.mark.usefixtures("offline_weights")
def test_quickstart(tmp_path) -> None:
    done = quickstart(tmp_path, progress=False)
    assert len(done.results) >= 12
    assert len(list(ResultStore(done.store))) == len(done.results)
    with Image.open(done.picture) as picture:
        assert picture.width > 1000
    assert "<svg" in done.page.read_text()
    by_shots = [r for r in done.results if r.protocol.dataset == "glyphs-small" and r.learner["name"] == "ridge"]
    accuracies = [result.accuracy for result in by_shots]
    assert accuracies == sorted(accuracies)
    assert 0.6 < accuracies[0] < accuracies[-1] < 1
