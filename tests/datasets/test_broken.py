from fewshot.datasets import ImageFolder, find_broken
from fewshot.datasets.broken import picture_sizes


def test_sizes_and_progress(make_folder, picture_file):
    png = picture_file(2, size=(60, 40))
    dataset = ImageFolder(make_folder({"a/1.png": 1, "a/2.png": png, "b/3.png": png[:500]}))
    steps = []
    assert picture_sizes(dataset, workers=2, progress=steps.append) == [(12, 10), (60, 40), None]
    assert steps == [1, 1, 1]
    assert find_broken(dataset) == ["b/3.png"]
    assert find_broken(dataset.select(classes=["a"])) == []
