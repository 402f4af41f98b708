"""A training starts from the backbone of another one, by NAME@FILE."""

import pytest
import torch
from safetensors.torch import load_file

from fewshot import create_backbone
from fewshot.errors import FingerprintMismatch, InvalidInput, MissingWeights
from fewshot.learners.meta import MetaModel, MetaTraining, create_meta_learner, meta_train

NAME = "fewshot:conv4-omniglot"
SHORT = {"ways": 2, "queries": 2, "tasks": 2, "batch": 8, "validation_tasks": 2, "validate_every": 2}


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory, base):
    """The checkpoint of a baseline."""
    out = tmp_path_factory.mktemp("baseline")
    meta_train(create_meta_learner("baseline"), NAME, base, out, MetaTraining(steps=2, **SHORT), progress=False)
    return out / "last.safetensors"


def start(method, backbone, base, out, steps=1):
    training = MetaTraining(steps=steps, learning_rate=1e-12, **SHORT)
    return meta_train(create_meta_learner(method), backbone, base, out, training, progress=False)


@pytest.mark.parametrize("method", ["feat", "meta-baseline", "protonet"])
def test_it_starts_where_the_other_ended(method, pretrained, base, tmp_path):
    model = start(method, f"{NAME}@{pretrained}", base, tmp_path)
    weights = {name: tensor for name, tensor in load_file(pretrained).items() if "running" not in name}
    for name, tensor in model.model.backbone.named_parameters():
        torch.testing.assert_close(tensor, weights[f"model.backbone.{name}"], atol=1e-6, rtol=0)
    assert model.record["backbone"] == NAME, "which is there wherever the checkpoint is read"
    again = MetaModel.load(tmp_path / "best.safetensors")
    assert torch.equal(again.model.backbone[0][0].weight, model.model.backbone[0][0].weight)


def test_an_exported_backbone_is_the_same_start(pretrained, base, tmp_path):
    MetaModel.load(pretrained).export_backbone(tmp_path / "backbone.safetensors")
    first = start("protonet", f"{NAME}@{pretrained}", base, tmp_path / "a")
    other = start("protonet", f"file:{NAME}@{tmp_path / 'backbone.safetensors'}", base, tmp_path / "b")
    assert first.record["initial_weights"] == other.record["initial_weights"]
    plain = create_backbone(NAME, device="cpu", weights=pretrained)
    assert (
        plain.fingerprint == create_backbone(NAME, device="cpu", weights=tmp_path / "backbone.safetensors").fingerprint
    )


def test_another_start_is_another_training(pretrained, base, tmp_path):
    start("protonet", f"{NAME}@{pretrained}", base, tmp_path)
    with pytest.raises(FingerprintMismatch, match="initial_weights"):
        start("protonet", NAME, base, tmp_path)


def test_what_cannot_be_a_start(pretrained, base, tmp_path):
    with pytest.raises(MissingWeights, match=r"there is no weights file .*none.safetensors"):
        start("protonet", f"{NAME}@{tmp_path / 'none.safetensors'}", base, tmp_path)
    with pytest.raises(InvalidInput, match="are not those of fewshot:resnet12"):
        start("protonet", f"fewshot:resnet12@{pretrained}", base, tmp_path)
    assert not list(tmp_path.iterdir())
