import pytest
import torch
from safetensors.torch import save_file

from fewshot.backbones.vector_cache import cached
from fewshot.errors import UnwritableFile
from fewshot.zeroshot import build_words

NAMES = ["red", "blue"]


def test_the_second_time_is_a_read(clip, tmp_path, monkeypatch):
    first = build_words(clip, NAMES, cache=tmp_path, progress=False)
    monkeypatch.setattr(type(clip.text), "__call__", lambda *_: pytest.fail("embedded again"))
    again = build_words(clip, NAMES, cache=tmp_path, progress=False)
    assert torch.equal(first.vectors, again.vectors)
    assert torch.equal(first.raw, again.raw)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"class_names": ["blue", "red"]},
        {"templates": "name"},
        {"descriptions": {"red": "warm"}},
        {"synonyms": {"red": "crimson"}},
        {"background": "grey"},
        {"how": [2.0]},
        {"how": "weighted", "images": torch.ones(2, 24)},
        {"how": "weighted", "images": torch.eye(2, 24)},
        {"keep_prompts": True},
    ],
    ids=str,
)
def test_what_differs_is_kept_apart(clip, tmp_path, change):
    names, given = ["red", "blue"], dict(change)
    build_words(clip, names, cache=tmp_path, progress=False)
    build_words(clip, given.pop("class_names", names), cache=tmp_path, progress=False, **given)
    assert len(list(tmp_path.iterdir())) == 2


def test_another_encoder_is_kept_apart(clip, tmp_path, monkeypatch):
    build_words(clip, NAMES, cache=tmp_path, progress=False)
    monkeypatch.setattr(clip.text, "fingerprint", "another")
    build_words(clip, NAMES, cache=tmp_path, progress=False)
    assert len(list(tmp_path.iterdir())) == 2


def _cut(file):
    file.write_bytes(file.read_bytes()[:-7])


def _flip(file):
    content = bytearray(file.read_bytes())
    content[-3] ^= 64
    file.write_bytes(content)


def _foreign(file):
    save_file({"raw": torch.zeros(2, 24)}, file)


@pytest.mark.parametrize("damage", [_cut, _flip, _foreign, lambda file: file.write_text("no")])
def test_a_damaged_entry_is_made_anew(clip, tmp_path, damage):
    whole = build_words(clip, NAMES, cache=tmp_path, progress=False)
    [file] = tmp_path.iterdir()
    content = file.read_bytes()
    damage(file)
    again = build_words(clip, NAMES, cache=tmp_path, progress=False)
    assert torch.equal(whole.vectors, again.vectors)
    assert file.read_bytes() == content


def test_nothing_is_kept_without_cache_or_after_a_failure(clip, tmp_path, monkeypatch):
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path))
    build_words(clip, NAMES, cache=False, progress=False)
    with pytest.raises(ZeroDivisionError):
        cached("key", lambda: {"raw": torch.zeros(1 // 0)})
    assert list(tmp_path.rglob("*.safetensors")) == []
    build_words(clip, NAMES, progress=False)
    assert len(list((tmp_path / "words").iterdir())) == 1
    (tmp_path / "file").write_text("")
    with pytest.raises(UnwritableFile):
        build_words(clip, NAMES, cache=tmp_path / "file", progress=False)
