"""`fine_tune` on digits: what is frozen stays, kept maps change no number, and a stopped training goes on."""

from dataclasses import replace

import pytest
import torch

from fewshot.backbones import create_backbone
from fewshot.errors import Diverged, FingerprintMismatch, InvalidInput, UnknownName, UnreadableFile
from fewshot.transfer.finetuning import (
    FineTuning,
    LabelledImages,
    build_model,
    create_regulariser,
    fine_tune,
    parse_schedule,
)
from fewshot.transfer.finetuning.trainer import _Run
from fewshot.transfer.sees import INDUCTIVE, TARGET_ONLY

NET = "fewshot:conv4-28"
OWN = "head epochs=2 rate=0.01; top=0.5 epochs=2; all epochs=2 rate=0.002 decay=0.5 warmup=0.2"


def settings(schedule: str = OWN, **more) -> FineTuning:
    return FineTuning(replace(parse_schedule(schedule), pretrained=False), batch=8, **more)


def tune(images, training, held_out=None, **more):
    return fine_tune(NET, images, training, held_out, device="cpu", progress=False, **more)


def weights_of(tuned) -> dict[str, torch.Tensor]:
    return tuned.model.state_dict()


def test_it_learns_and_tells(digits):
    training = settings("head epochs=10 rate=0.05; all epochs=6 rate=0.01")
    tuned = tune(digits(8), training, digits(40, 8))
    assert tuned.accuracy is not None
    assert tuned.accuracy > 0.85
    assert tuned.accuracy == pytest.approx(tuned.score(digits(40, 8)))
    assert tuned.accuracy == max(row["held_out_accuracy"] for row in tuned.history)
    assert [row["epoch"] for row in tuned.history] == list(range(1, 17))
    assert tuned.history[tuned.best_epoch - 1]["held_out_accuracy"] == tuned.accuracy
    assert [row["kept_from"] for row in tuned.history] == [""] * 10 + [None] * 6
    assert tuned.record["items"] == 32
    assert training.sees == TARGET_ONLY
    assert FineTuning().sees == INDUCTIVE


@pytest.mark.parametrize("what", ["head", "top=0.5", "block2", "block4.0"])
@pytest.mark.parametrize("cached", [True, False])
def test_frozen_parameters_get_no_gradient_and_no_state(digits, what, cached):
    training = settings(f"{what} epochs=1 rate=0.01", cache_prefix=cached)
    model = build_model(NET, 4, pretrained=False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    run = _Run(model, digits(4), None, training, None, torch.device("cpu"), 10.0)
    kept = []
    original = training.optimiser
    object.__setattr__(training, "optimiser", lambda *given: kept.append(original(*given)) or kept[0])
    losses = []
    step = run.passes._step
    run.passes._step = lambda *given: losses.append(step(*given)) or losses[-1]
    chosen = model.choose(what)
    gradients = {}
    run._save = lambda _: gradients.update({name: value.grad for name, value in model.named_parameters()})
    run.train(False, lambda row: None)

    assert {name for name, value in gradients.items() if value is not None} == chosen
    named = dict(model.named_parameters())
    assert {id(value) for group in kept[0].param_groups for value in group["params"]} == {
        id(named[name]) for name in chosen
    }
    assert {id(value) for value in kept[0].state} == {id(named[name]) for name in chosen}
    for name, value in model.state_dict().items():
        moved = name in chosen or (name.rpartition(".")[0] + ".weight" in chosen and "head" not in name)
        if not moved:
            assert torch.equal(value, before[name]), f"{name} is frozen, its statistics too"
    assert all(not torch.equal(named[name], before[name]) for name in chosen)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_kept_maps_change_no_number(digits, optimizer):
    found = [
        tune(digits(5), settings(cache_prefix=cached, optimizer=optimizer), digits(5, 5)) for cached in (True, False)
    ]
    for (name, one), other in zip(weights_of(found[0]).items(), weights_of(found[1]).values(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5, msg=name)
    kept = [{row["kept_from"] for row in tuned.history} for tuned in found]
    assert kept == [{"", "block2", None}, {None}]


def test_equal_seeds_equal_weights_and_other_seeds_others(digits):
    one, same, other = (tune(digits(3), settings(augment="light", seed=seed)) for seed in (3, 3, 4))
    assert all(torch.equal(a, b) for a, b in zip(weights_of(one).values(), weights_of(same).values(), strict=True))
    assert not torch.equal(weights_of(one)["head.weight"], weights_of(other)["head.weight"])


@pytest.mark.parametrize("stop", [1, 2, 3, 5, 6])
@pytest.mark.parametrize("augment", ["none", "flip+mixup"])
def test_a_stopped_training_goes_on_to_the_same_numbers(digits, tmp_path, stop, augment):
    training, held_out = settings(augment=augment), digits(5, 10)
    whole = tune(digits(4), training, held_out)

    def interrupt(row) -> None:
        if row["epoch"] == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(digits(4), training, held_out, out=tmp_path, told=interrupt, save_every=0)
    rows = []
    resumed = tune(digits(4), training, held_out, out=tmp_path, told=rows.append, save_every=0)
    assert [row["epoch"] for row in rows] == list(range(stop + 1, 7))
    for (name, one), other in zip(weights_of(whole).items(), weights_of(resumed).values(), strict=True):
        assert torch.equal(one, other), name
    assert [row["loss"] for row in whole.history] == [row["loss"] for row in resumed.history]
    again = tune(digits(4), training, held_out, out=tmp_path, told=rows.append)
    assert len(rows) == 6 - stop, "a training that has ended is only loaded"
    assert torch.equal(weights_of(again)["head.weight"], weights_of(whole)["head.weight"])


@pytest.mark.parametrize("name", ["stoch-norm", "lora", "delta"])
def test_a_regularised_training_goes_on_to_the_same_numbers(digits, tmp_path, name):
    if name == "lora":
        pytest.importorskip("peft")
    training = settings("head epochs=2 rate=0.01; all epochs=3", regulariser=create_regulariser(name))
    whole = tune(digits(4), training)

    def interrupt(row) -> None:
        if row["epoch"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(digits(4), training, out=tmp_path, told=interrupt, save_every=0)
    resumed = tune(digits(4), training, out=tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(weights_of(whole).values(), weights_of(resumed).values(), strict=True))


def test_a_stage_that_was_stopped_when_it_was_to_end_ends(digits, tmp_path):
    training = settings("head epochs=9 rate=1e-9; all epochs=9 rate=1e-9", patience=2)
    whole = tune(digits(2), training, digits(5, 5))

    def interrupt(row) -> None:
        if row["epoch"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(digits(2), training, digits(5, 5), out=tmp_path, told=interrupt, save_every=0)
    resumed = tune(digits(2), training, digits(5, 5), out=tmp_path)
    assert [row["stage"] for row in resumed.history] == [row["stage"] for row in whole.history]


def test_a_folder_of_another_training_is_refused(digits, tmp_path):
    tune(digits(3), settings(), out=tmp_path)
    with pytest.raises(FingerprintMismatch, match="belongs to another training: .*training.augment is 'none' there"):
        tune(digits(3), settings(augment="flip"), out=tmp_path)
    (tmp_path / "last.safetensors").write_bytes(b"no checkpoint")
    with pytest.raises(UnreadableFile, match=r"last.safetensors is damaged or no fine-tuning"):
        tune(digits(3), settings(), out=tmp_path)


def test_a_stage_ends_early_without_a_better_accuracy(digits):
    tuned = tune(digits(2), settings("head epochs=30 rate=1e-9; all epochs=30 rate=1e-9", patience=3), digits(5, 5))
    assert len(tuned.history) <= 2 * 5
    assert {row["stage"] for row in tuned.history} == {"head", "all"}


def test_mixed_precision_computes_about_the_same(digits):
    found = [tune(digits(5), settings(precision=precision)) for precision in ("float32", "bfloat16")]
    losses = [[row["loss"] for row in tuned.history] for tuned in found]
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.2)
    assert all(value.dtype != torch.bfloat16 for value in weights_of(found[1]).values())


def test_generated_items_are_counted(digits):
    def turned(pixels, labels):
        return pixels.flip(-1), labels

    tuned = tune(digits(3), settings("head epochs=1"), generate=turned)
    assert (tuned.record["items"], tuned.record["generated"]) == (24, 12)
    with pytest.raises(InvalidInput, match=r"a generator must give bytes \(M, 3, 28, 28\)"):
        tune(digits(3), settings("head epochs=1"), generate=lambda pixels, labels: (pixels.float(), labels))
    with pytest.raises(InvalidInput, match=r"generated labels must lie in 0..3, found 9..9"):
        tune(digits(3), settings("head epochs=1"), generate=lambda pixels, labels: (pixels, labels * 0 + 9))


def test_the_exported_trunk_is_a_backbone(digits, tmp_path):
    tuned = tune(digits(3), settings())
    tuned.model.export_backbone(tmp_path / "mine.safetensors")
    backbone = create_backbone(f"file:{NET}@{tmp_path / 'mine.safetensors'}", device="cpu", precision="float32")
    images = digits(2, 9)
    floats = images.floats(images.pixels)
    torch.testing.assert_close(backbone(floats), tuned.model.trunk(floats), rtol=1e-3, atol=1e-4)


def test_what_is_refused(digits):
    images = digits(3)
    with pytest.raises(InvalidInput, match="two classes or more are needed"):
        tune(images.select((images.labels == 2).nonzero().flatten()), settings())
    with pytest.raises(UnknownName, match="no layer is called 'blok3'; near: block3"):
        tune(images, settings("blok3 epochs=1"))
    others = LabelledImages(images.pixels, images.labels, ("0", "1", "2", "nine"), images.scale)
    with pytest.raises(InvalidInput, match="held-out images must have the classes trained on.*3, nine"):
        tune(images, settings(), others)
    with pytest.raises(Diverged, match="the loss of fewshot:conv4-28 is NaN or infinite"):
        tune(images, settings("all epochs=9 rate=1e30", optimizer="sgd"))
    with pytest.raises(InvalidInput, match="images are prepared at 28 pixels, and image_size is 32"):
        tune(images, settings(image_size=32))
    with pytest.raises(InvalidInput, match="one label an image"):
        LabelledImages(images.pixels, images.labels[:-1], images.class_names, images.scale)
    with pytest.raises(InvalidInput, match="images must be bytes"):
        LabelledImages(images.pixels.float(), images.labels, images.class_names, images.scale)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"batch": 1}, "batch must be an integer of at least 2"),
        ({"optimizer": "adam"}, "optimizer must be one of adamw, sgd"),
        ({"precision": "half"}, "precision must be one of"),
        ({"clip": -1}, "clip must be zero or more"),
        ({"image_size": -1}, "image_size must be a finite number above 0"),
        ({"patience": -1}, "patience must be an integer of at least 0"),
    ],
)
def test_settings_that_are_refused(changes, told):
    with pytest.raises(InvalidInput, match=told):
        FineTuning(**changes)


def test_the_real_network_is_tuned(offline_weights, digits):
    training = FineTuning(parse_schedule("head epochs=15 rate=0.02; top=0.3 epochs=2 rate=0.001 norms=frozen"))
    train, test = (replace(part, pixels=part.pixels.repeat_interleave(2, 2).repeat_interleave(2, 3))
                   for part in (digits(5), digits(20, 5)))  # fmt: skip
    tuned = fine_tune("timm:tf_efficientnet_lite0", train, training, device="cpu", progress=False)
    assert tuned.score(test) > 0.5
    assert {row["kept_from"] for row in tuned.history} == {"", "blocks.4"}
    assert tuned.record["sees"]["kind"] == "inductive"
