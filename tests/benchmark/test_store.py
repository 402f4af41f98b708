"""Results and the store: nothing lost, nothing mixed, old files readable."""

import json
from pathlib import Path

import pytest
import torch
from results import make_result

from fewshot.benchmark import Protocol, Result, ResultStore
from fewshot.errors import InvalidInput, UnreadableFile


def test_a_result_survives_the_disk(tmp_path) -> None:
    result = make_result(query_imbalance=2.0, support_domain="photo", query_domain="sketch")
    result.save(tmp_path / "one.json")
    again = Result.load(tmp_path / "one.json")
    assert again == result
    assert torch.equal(again.per_episode, result.per_episode)
    assert again.per_episode.mean().item() == pytest.approx(result.accuracy, abs=1e-12)


def test_paths_tell_everything_apart(tmp_path) -> None:
    store = ResultStore(tmp_path)
    results = [
        make_result(),
        make_result(learner="logistic"),
        make_result(settings={"penalty": 2.0}),
        make_result(backbone="timm:other"),
        make_result(shots=5),
        make_result(ways="all"),
        make_result(query_imbalance=2.0),
        make_result(support_domain="photo", query_domain="sketch"),
        make_result(groups="alphabet"),
        make_result(unlabelled=5),
        make_result(unlabelled=5, distractors=2),
        make_result(base="train"),
        make_result(split="val"),
    ]
    paths = {store.save(result) for result in results}
    assert len(paths) == len(results)
    assert len(list(store)) == len(results)


def test_words_of_ones_own_are_told_apart(tmp_path) -> None:
    own = ["a photo of a {}!", "a photo of, a {}", "a photo of a ({})", "a photo+descriptions of a {}", "{}, {}"]
    names = {Protocol("zoo", words=words).name for words in own}
    assert len(names) == len(own)
    assert all(name.partition("words-own-")[2].isalnum() for name in names)
    assert Protocol("zoo", words="a {}+descriptions").name == Protocol("zoo", words="a {}").name + "+descriptions"


@pytest.mark.parametrize(
    ("words", "prompts"),
    [
        ("simple", ("simple", False)),
        ("name+descriptions", ("name", True)),
        ("none+descriptions", (None, True)),
        ("a + {}", ("a + {}", False)),
        ("simple+more", ("simple+more", False)),  # which is no template set, and refused as such
    ],
)
def test_what_words_say(words, prompts) -> None:
    assert Protocol("zoo", words=words).prompts == prompts


def test_path_form(tmp_path) -> None:
    path = ResultStore(tmp_path).save(make_result(settings={"penalty": 2.0}))
    assert path.relative_to(tmp_path) == Path("timm-net/f-timm-net/zoo_test_5w1s15q_50e_seed0/ridge-penalty=2.0.json")


def test_find_by_pattern(tmp_path) -> None:
    store = ResultStore(tmp_path)
    for learner in ("ridge", "logistic"):
        for shots in (1, 5):
            store.save(make_result(learner=learner, shots=shots))
    assert len(store.find()) == 4
    assert [result.protocol.shots for result in store.find(learner="ri*", task="5-way 5-shot")] == [5]
    assert store.find(dataset="other*") == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not readable JSON"),
        ("[]", "is not a benchmark result"),
        ('{"version": 99}', "is of version 99, this fewshot reads up to 1"),
        ('{"version": 1, "protocol": {}}', "lacks"),
    ],
)
def test_damaged_results_are_named(tmp_path, content, message) -> None:
    path = tmp_path / "net" / "f" / "p" / "ridge.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(UnreadableFile, match=message):
        list(ResultStore(tmp_path))


def test_settings_of_a_later_protocol_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"\['weather'\] are not known"):
        Protocol.from_json({"dataset": "zoo", "weather": "rain"})


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parent / "old_results").glob("*.json")), ids=lambda path: path.stem
)
def test_old_result_files_still_load(path) -> None:
    """One file of every version ever written; they are never edited."""
    result = Result.load(path)
    assert result.accuracy == pytest.approx(result.per_episode.mean().item())
    assert result.learner_label
    assert json.loads(path.read_text())["version"] == int(path.stem.removeprefix("version_"))
