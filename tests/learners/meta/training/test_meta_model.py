"""A trained model is scored the same each time, predicts, changes its settings, and hands its backbone on."""

import pytest
import torch

from fewshot.backbones import create_backbone
from fewshot.errors import InvalidInput, UnreadableFile
from fewshot.learners.meta import Tasks, create_meta_learner
from fewshot.learners.meta.training.checkpoint import Standing, save_checkpoint
from fewshot.learners.meta.training.image_bank import ByteScale, DecodedImages
from fewshot.learners.meta.training.meta_model import MetaModel, build_model, tasks_scored_at_once
from fewshot.learners.meta.training.task_sources import ImageTasks


@pytest.fixture
def model(train, tmp_path) -> MetaModel:
    return train(tmp_path / "run", "maml", {"evaluation_steps": 2}, steps=2)


def test_scores_are_the_mean_over_tasks(model, held_out) -> None:
    found = model.evaluate(held_out, ways=3, shots=2, queries=3, tasks=12, seed=5, progress=False)
    decoded = DecodedImages(held_out, model.network.preprocess, ByteScale.of(model.network.preprocess))
    source = ImageTasks(decoded, held_out, 3, 2, 3, seed=5)
    right = []
    for number in range(12):
        tasks = source.batch(number, 1)
        logits = model.predict(tasks)
        right.append(float((logits.argmax(2) == tasks.query_labels).double().mean()))
    assert found.mean == pytest.approx(sum(right) / 12, abs=1e-12)
    assert found.count == 12
    assert model.score(source, 12) == found


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((1, 28, 28), 25), ((3, 84, 84), 7), ((3, 224, 224), 1), ((3, 600, 600), 1), ((10,), 25)],
    ids=str,
)
def test_large_images_are_scored_few_at_a_time(shape, expected) -> None:
    support, query = torch.empty(1, 5, *shape, device="meta"), torch.empty(1, 75, *shape, device="meta")
    labels = torch.arange(5)[None]
    assert tasks_scored_at_once(Tasks(support, labels, query, labels.repeat(1, 15), 5)) == expected


def test_settings_of_the_learner_may_change(model, tmp_path) -> None:
    path = tmp_path / "run" / "best.safetensors"
    longer = MetaModel.load(path, "cpu", evaluation_steps=7)
    assert longer.learner == create_meta_learner("maml", evaluation_steps=7)
    assert all(map(torch.equal, longer.model.state_dict().values(), model.model.state_dict().values()))
    with pytest.raises(InvalidInput, match="maml has no setting 'speed'"):
        MetaModel.load(path, "cpu", speed=1)


@pytest.mark.parametrize(("learner", "settings"), [("protonet", {}), ("maml", {"batch_norm": "running"})])
def test_the_backbone_serves_elsewhere(train, base, tmp_path, learner, settings) -> None:
    model = train(tmp_path / "run", learner, settings, backbone="fewshot:conv4-omniglot", steps=2)
    model.export_backbone(tmp_path / "backbone.safetensors")
    backbone = create_backbone(
        "fewshot:conv4-omniglot", weights=tmp_path / "backbone.safetensors", device="cpu", precision="float32"
    )
    images = torch.stack([backbone.preprocess(base.images[item]) for item in range(4)])
    model.model.eval()
    with torch.no_grad():
        expected = model.model.backbone(images)
    torch.testing.assert_close(backbone(images), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", ["maml", "relation"])
def test_a_backbone_that_was_changed_is_not_exported(train, tmp_path, method) -> None:
    model = train(tmp_path / "run", method, backbone="fewshot:conv4-omniglot", steps=1)
    with pytest.raises(InvalidInput, match=rf"that {method} trained is no plain fewshot:conv4-omniglot"):
        model.export_backbone(tmp_path / "backbone.safetensors")
    assert not (tmp_path / "backbone.safetensors").exists()


def test_networks_without_a_row_of_features_are_refused(monkeypatch) -> None:
    from fewshot.backbones.network import Network
    from fewshot.backbones.networks.untrained import drawings
    from fewshot.learners.meta.training import meta_model

    maps = Network(torch.nn.Conv2d(1, 2, 3), drawings(8), "random")
    monkeypatch.setattr(meta_model, "build_network", lambda name, pretrained: maps)
    with pytest.raises(InvalidInput, match=r"maps gives \(1, 2, 6, 6\) for one image, where features \(1, dim\) are"):
        build_model(create_meta_learner("protonet"), "maps", 5, False)


def test_what_is_no_checkpoint(tmp_path) -> None:
    with pytest.raises(UnreadableFile, match="does not exist"):
        MetaModel.load(tmp_path / "best.safetensors")


WHOLE = {"learner": {"name": "protonet", "settings": {}}, "backbone": "fewshot:conv4-omniglot", "ways": 5}


@pytest.mark.parametrize(
    ("record", "lacking"),
    [
        ({}, "learner"),
        ({**WHOLE, "learner": "protonet"}, "learner"),
        ({**WHOLE, "learner": {"name": "protonet"}}, "settings of a learner"),
        ({name: value for name, value in WHOLE.items() if name != "backbone"}, "backbone"),
        ({name: value for name, value in WHOLE.items() if name != "ways"}, "ways"),
        ([WHOLE], "learner"),
    ],
    ids=["nothing", "a name", "no settings", "no backbone", "no ways", "a list"],
)
def test_a_checkpoint_that_does_not_say_of_what(tmp_path, record, lacking) -> None:
    module, path = torch.nn.Linear(2, 2), tmp_path / "best.safetensors"
    save_checkpoint(path, module, torch.optim.Adam(module.parameters()), Standing(), record)
    with pytest.raises(
        UnreadableFile, match=rf"best\.safetensors is no checkpoint of a training: .* names no {lacking}[,;]"
    ):
        MetaModel.load(path, "cpu")


@pytest.mark.parametrize("tasks", [1, 0, 2.5])
def test_one_task_has_no_interval(model, held_out, tasks) -> None:
    with pytest.raises(InvalidInput, match=f"tasks must be an integer of at least 2, found {tasks}"):
        model.evaluate(held_out, ways=3, queries=1, tasks=tasks, progress=False)
    decoded = DecodedImages(held_out, model.network.preprocess, ByteScale.of(model.network.preprocess))
    with pytest.raises(InvalidInput, match=f"tasks must be an integer of at least 2, found {tasks}"):
        model.score(ImageTasks(decoded, held_out, 3, 1, 1, seed=5), tasks)
