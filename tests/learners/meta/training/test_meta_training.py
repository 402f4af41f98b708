"""The settings of a training: each bad value is refused by name, rates follow their schedule."""

import pytest
import torch

from fewshot.errors import InvalidInput
from fewshot.learners.meta.training.meta_training import MetaTraining


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("ways", 1, "ways must be an integer of at least 2, found 1"),
        *((name, 0, f"{name} must be an integer of at least 1, found 0") for name in (
            "shots", "queries", "tasks", "batch", "steps", "halve_every", "validate_every"
        )),
        ("steps", 2.5, "steps must be an integer of at least 1, found 2.5"),
        ("validation_tasks", 1, "validation_tasks must be an integer of at least 2, found 1"),
        ("patience", -1, "patience must be an integer of at least 0, found -1"),
        ("seed", -1, "seed must be an integer of at least 0, found -1"),
        ("learning_rate", 0.0, "learning_rate must be a finite number above 0, found 0.0"),
        ("learning_rate", float("nan"), "learning_rate must be a finite number above 0, found nan"),
        ("momentum", -0.1, "momentum must be zero or more, found -0.1"),
        ("weight_decay", float("inf"), "weight_decay must be zero or more, found inf"),
        ("clip", -1, "clip must be zero or more, found -1"),
        ("optimizer", "rmsprop", "optimizer must be one of adam, adamw, sgd; found 'rmsprop'"),
        ("schedule", "linear", "schedule must be one of constant, cosine, halve; found 'linear'"),
        ("precision", "float16", "precision must be one of float32, bfloat16; found 'float16'"),
        ("augmentation", ("crop", "blur"), "there is no augmentation 'blur'; choose among crop, flip, jitter"),
        ("augmentation", "crop", "augmentation must be a tuple of names, found 'crop'"),
        ("validation_ways", 1, "validation_ways must be an integer of at least 2, found 1"),
        ("validation_shots", 0, "validation_shots must be an integer of at least 1, found 0"),
        ("validation_queries", 0, "validation_queries must be an integer of at least 1, found 0"),
        ("rotations", "yes", "rotations must be true or false, found 'yes'"),
    ],
)  # fmt: skip
def test_bad_values(name, value, message) -> None:
    with pytest.raises(InvalidInput) as raised:
        MetaTraining(**{name: value})
    assert str(raised.value) == message


def test_validation_is_as_training_where_nothing_is_said() -> None:
    assert MetaTraining(ways=60, shots=1, queries=5).validation_shape == (60, 1, 5)
    assert MetaTraining(ways=60, validation_ways=20, validation_shots=5).validation_shape == (20, 5, 15)


def test_rates() -> None:
    constant = MetaTraining(steps=4, learning_rate=0.8)
    halved = MetaTraining(steps=6, learning_rate=0.8, schedule="halve", halve_every=2)
    cosine = MetaTraining(steps=4, learning_rate=0.8, schedule="cosine")
    assert [constant.rate(step) for step in range(4)] == [0.8] * 4
    assert [halved.rate(step) for step in range(6)] == [0.8, 0.8, 0.4, 0.4, 0.2, 0.2]
    assert [cosine.rate(step) for step in range(5)] == pytest.approx([0.8, 0.6828427, 0.4, 0.1171573, 0.0])


@pytest.mark.parametrize(
    ("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW), ("sgd", torch.optim.SGD)]
)
def test_optimisers_get_their_settings(name, kind) -> None:
    training = MetaTraining(optimizer=name, learning_rate=0.3, momentum=0.7, weight_decay=0.01)
    optimiser = training.optimiser([torch.nn.Parameter(torch.ones(2))])
    assert type(optimiser) is kind
    settings = optimiser.param_groups[0]
    assert (settings["lr"], settings["weight_decay"], settings.get("momentum", 0.7)) == (0.3, 0.01, 0.7)
