import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from fewshot.datasets import ImageFolder, load_dataset
from fewshot.datasets.collection.omniglot_runs import one_shot_runs
from fewshot.errors import MissingData


@pytest.fixture(scope="module")
def evaluation(shared_data):
    return load_dataset("omniglot", "evaluation")


def test_the_runs_are_those_of_the_official_archive(evaluation, shared_data):
    """Every image pixel for pixel, and every answer, of all 20 runs."""
    runs = one_shot_runs(evaluation)
    with zipfile.ZipFile(shared_data / "omniglot" / "all_runs.zip") as archive:

        def pixels(name):
            return np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("L"))

        for number in range(20):
            folder = f"run{number + 1:02d}"
            answers = dict(line.split() for line in archive.read(f"{folder}/class_labels.txt").decode().splitlines())
            for place in range(20):
                support, query = f"{folder}/training/class{place + 1:02d}.png", f"{folder}/test/item{place + 1:02d}.png"
                for name, items in ((support, runs.support), (query, runs.query)):
                    found = evaluation[int(items[number, place])][0].convert("L")
                    assert np.array_equal(np.asarray(found), pixels(name))
                right = f"{folder}/training/class{runs.query_labels[number, place] + 1:02d}.png"
                assert answers[query] == right


def test_the_runs_are_sound_episodes_within_an_alphabet(evaluation):
    runs = one_shot_runs(evaluation)
    runs.check(evaluation.labels)
    assert (len(runs), runs.ways, runs.support.shape, runs.query.shape) == (20, 20, (20, 20), (20, 20))
    alphabets = evaluation.groups["alphabet"].codes[runs.support]
    assert (alphabets == alphabets[:, :1]).all()
    assert len(alphabets.unique()) == 10
    drawer = evaluation.groups["drawer"].codes
    assert (drawer[runs.support] != drawer[runs.query]).all(), "a query is of another hand than its support"


def test_the_whole_of_omniglot_gives_the_same_images(evaluation):
    whole = load_dataset("omniglot")
    for place in ("support", "query"):
        ids = [
            [dataset.ids[item] for item in getattr(one_shot_runs(dataset), place).flatten()]
            for dataset in (evaluation, whole)
        ]
        assert ids[0] == ids[1]


@pytest.mark.parametrize(("number", "classes"), [(1, 136), (2, 156)])
def test_the_minimal_sets_are_whole_alphabets_of_the_background_set(shared_data, number, classes):
    official = ImageFolder(shared_data / "omniglot" / f"images_background_small{number}.zip")
    names = {name.partition("/")[2] for name in official.ids}
    background = load_dataset("omniglot", "background")
    alphabets = sorted({name.partition("/")[0] for name in names})
    part = background.select(where={"alphabet": alphabets})
    assert set(part.ids) == names
    assert (len(alphabets), len(names)) == (5, 20 * classes)
    at = {name: index for index, name in enumerate(part.ids)}
    for index in range(0, len(official), 11):
        found = np.asarray(part[at[official.ids[index].partition("/")[2]]][0])
        assert np.array_equal(np.asarray(official[index][0]), found)


def test_a_data_set_without_the_images_is_refused():
    with pytest.raises(MissingData, match=r'digits \(all\) lacks 800 of the 800 .* load it with split="evaluation"'):
        one_shot_runs(load_dataset("digits"))
