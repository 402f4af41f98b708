import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from fewshot import Episodes, EpisodeSampler
from fewshot.episodes import SplitSampler
from fewshot.errors import InvalidInput, UnreadableFile

LABELS = torch.arange(8).repeat_interleave(10)


@pytest.fixture
def episodes():
    return EpisodeSampler(LABELS, ways=3, shots=2, queries=4, unlabelled=1, distractors=2).sample(6)


def build(**changes):
    """One task over items 0, 1 of class 5 and 2, 3 of class 7, with changes."""
    parts = {
        "support": [[0, 2]],
        "support_labels": [[0, 1]],
        "query": [[1, 3]],
        "query_labels": [[0, 1]],
        "classes": [[5, 7]],
    }
    return Episodes(**{name: torch.tensor(value) for name, value in (parts | changes).items()})


def test_length_ways_and_shapes(episodes):
    assert len(episodes) == 6
    assert episodes.ways == 3
    assert episodes.support.shape == episodes.support_labels.shape == (6, 6)
    assert episodes.query.shape == (6, 12)
    assert episodes.unlabelled.shape == episodes.unlabelled_labels.shape == (6, 5)


def test_an_integer_gives_one_task_and_a_slice_many(episodes):
    assert torch.equal(episodes[-1].support, episodes.support[5:])
    assert torch.equal(episodes[1:6:2].query, episodes.query[[1, 3, 5]])
    assert [one.fingerprint for one in episodes] == [episodes[i].fingerprint for i in range(6)]
    with pytest.raises(IndexError):
        episodes[6]


def test_a_stream_is_the_task_in_another_order(episodes):
    shuffled = episodes.as_stream()
    assert torch.equal(shuffled.query.sort(1).values, episodes.query.sort(1).values)
    assert not torch.equal(shuffled.query, episodes.query)
    assert torch.equal(shuffled.query, episodes.as_stream(seed=0).query)
    assert not torch.equal(shuffled.query, episodes.as_stream(seed=1).query)
    shuffled.check(LABELS)
    padded = build(query=[[1, 3, -1, -1]], query_labels=[[0, 1, -1, -1]]).as_stream(seed=3)
    assert padded.query[0, 2:].tolist() == padded.query_labels[0, 2:].tolist() == [-1, -1]
    tuned = SplitSampler(LABELS, torch.arange(80) % 2 == 0, torch.arange(80) % 2 == 1, shots=1, validation=3).sample(2)
    stream = tuned.as_stream()
    assert not torch.equal(stream.validation, tuned.validation)
    assert torch.equal(stream.validation.sort(1).values, tuned.validation.sort(1).values)
    stream.check(LABELS)


def test_slices_keep_unlabelled_items_and_settings(episodes):
    assert torch.equal(episodes[2].unlabelled, episodes.unlabelled[2:3])
    assert episodes[2:4].settings == episodes.settings


def test_trim_cuts_only_columns_that_pad_in_every_task():
    support = torch.tensor([[4, -1, -1], [1, 2, -1]])
    labels = torch.tensor([[0, -1, -1], [0, 1, -1]])
    unequal = Episodes(support, support, labels, labels, classes=torch.tensor([[3, -1], [1, 2]]))
    assert unequal.trim().support.tolist() == [[4, -1], [1, 2]]
    assert unequal[0].trim().support_labels.tolist() == [[0]]
    assert unequal[0].trim().ways == 2


def test_fingerprint_is_of_the_draw_alone(episodes):
    assert replace(episodes, settings={}).fingerprint == episodes.fingerprint
    assert replace(episodes, query=episodes.query.flip(1)).fingerprint != episodes.fingerprint


def test_to_moves_every_tensor(episodes):
    moved = episodes.to("meta")
    assert {moved.support.device.type, moved.classes.device.type, moved.unlabelled_labels.device.type} == {"meta"}


def test_save_and_load_give_the_same_back(episodes, tmp_path):
    for saved in (episodes, build()):
        saved.save(tmp_path / "tasks.safetensors")
        loaded = Episodes.load(tmp_path / "tasks.safetensors")
        assert loaded.fingerprint == saved.fingerprint
        assert loaded.settings == saved.settings
    assert json.loads(json.dumps(episodes.settings)) == episodes.settings


def test_load_refuses_what_is_missing_cut_or_foreign(episodes, tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "tasks.safetensors"
    with pytest.raises(UnreadableFile, match="tasks.safetensors does not exist"):
        Episodes.load(path)
    episodes.save(path)
    whole = path.read_bytes()
    for damaged in (b"", whole[:-8], whole[:40], b"PK" + whole):
        path.write_bytes(damaged)
        with pytest.raises(UnreadableFile, match="tasks.safetensors is damaged or no file of episodes"):
            Episodes.load(path)
    save_file({"support": torch.zeros(1)}, path)
    with pytest.raises(UnreadableFile, match="holds no episodes of version 1; draw them again"):
        Episodes.load(path)
    header = {"format": "fewshot.Episodes", "version": "1", "settings": "{}"}
    save_file({"support": torch.zeros(1, 1, dtype=torch.int64)}, path, metadata=header)
    with pytest.raises(UnreadableFile, match="damaged"):
        Episodes.load(path)
    save_file({name: tensor * 0 for name, tensor in build()._tensors().items()}, path, metadata=header)
    with pytest.raises(UnreadableFile, match="a class is drawn twice"):
        Episodes.load(path)


def asked_of_others():
    """The task of `build`, asked for items 4 and 5 of classes 1 and 0."""
    return build(query=[[4, 5]], query_labels=[[0, 1]], query_classes=[[1, 0]])


def test_queries_of_other_classes_are_numbered_by_these(tmp_path):
    task = asked_of_others()
    labels = torch.tensor([5, 5, 7, 7, 1, 0])
    task.check(labels)
    assert torch.equal(task.asked, torch.tensor([[1, 0]]))
    assert torch.equal(build().asked, torch.tensor([[5, 7]]))
    task.save(tmp_path / "task.safetensors")
    assert Episodes.load(tmp_path / "task.safetensors").fingerprint == task.trim().fingerprint == task.fingerprint
    assert replace(task, query_classes=None).fingerprint != task.fingerprint
    with pytest.raises(InvalidInput, match="query holds an item of another class than its label says"):
        replace(task, query_classes=torch.tensor([[0, 1]])).check(labels)
    with pytest.raises(InvalidInput, match="query holds an item or label out of range"):
        replace(task, query_classes=torch.tensor([[1]])).check(labels)
    with pytest.raises(InvalidInput, match="a class is drawn twice"):
        replace(task, query_classes=torch.tensor([[1, 1]])).check(labels)


def test_describe_tells_learned_and_asked_classes_apart():
    table = SimpleNamespace(
        ids=[f"{number}.png" for number in range(6)], class_names=[f"c{label}" for label in range(8)]
    )
    told = asked_of_others().describe(0, table)
    assert told["classes"] == [
        {"label": 5, "name": "c5", "support": [(0, "0.png")]},
        {"label": 7, "name": "c7", "support": [(2, "2.png")]},
    ]
    assert told["asked"] == [
        {"label": 1, "name": "c1", "query": [(4, "4.png")]},
        {"label": 0, "name": "c0", "query": [(5, "5.png")]},
    ]


def test_describe_tells_classes_items_and_files():
    ids = [f"cat/{i}.png" for i in range(2)] + [f"dog/{i}.png" for i in range(3)]
    table = SimpleNamespace(ids=ids, class_names=["", "", "", "", "", "cat", "", "dog"])
    told = build(unlabelled=[[4, -1]], unlabelled_labels=[[-2, -1]], classes=[[5, 7]]).describe(0, table)
    assert told["distractors"] == [(4, "dog/2.png")]
    assert told["classes"] == [
        {"label": 5, "name": "cat", "support": [(0, ids[0])], "query": [(1, ids[1])], "unlabelled": []},
        {"label": 7, "name": "dog", "support": [(2, ids[2])], "query": [(3, ids[3])], "unlabelled": []},
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"support": [[0.0, 2.0]]},
            r"support must be int64 of shape \(1 tasks, items\), found float32 of shape \(1, 2",
        ),
        ({"query": [1, 3]}, r"query must be int64 .* found int64 of shape \(2,\)"),
        ({"classes": [[5, 7], [5, 7]]}, r"classes must be int64 .* found int64 of shape \(2, 2\)"),
        ({"query_labels": [[0]]}, r"query and query_labels must have one shape, found \(1, 2\) and \(1, 1\)"),
        ({"unlabelled": [[4]]}, "unlabelled and unlabelled_labels must be given together; found only one"),
        ({"unlabelled_labels": [[1]]}, "unlabelled and unlabelled_labels must be given together; found only one"),
    ],
)
def test_construction_refuses(changes, message):
    with pytest.raises(InvalidInput, match=message):
        build(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": [[5, 5]]}, "task 0: a class is drawn twice; 1 of 1 tasks"),
        ({"query": [[1, 0]]}, "task 0: an item is in two places; 1 of 1 tasks"),
        ({"support_labels": [[0, 2]]}, "support holds an item or label out of range"),
        ({"support_labels": [[0, -2]]}, "support holds an item or label out of range"),
        ({"query": [[1, -1]]}, "query holds an item or label out of range"),
        ({"query": [[1, 4]]}, "query holds an item beyond the 4 of the table"),
        ({"query": [[3, 1]]}, "query holds an item of another class than its label says"),
        (
            {"unlabelled": [[1]], "unlabelled_labels": [[-2]], "query": [[-1, 3]], "query_labels": [[-1, 1]]},
            "unlabelled",
        ),
    ],
)
def test_check_names_the_fault(changes, message):
    labels = torch.tensor([5, 5, 7, 7])
    build().check(labels)
    with pytest.raises(InvalidInput, match=message):
        build(**changes).check(labels)
