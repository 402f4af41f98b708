"""Schedules: presets, one's own, JSON, rates by step and depth, and what is refused."""

import json
import math

import pytest

from fewshot.errors import InvalidInput, UnknownName
from fewshot.transfer.finetuning import PRESETS, Schedule, Stage, parse_schedule


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_goes_through_json(name):
    schedule = parse_schedule(name)
    assert schedule.name == name
    assert Schedule.from_json(json.loads(json.dumps(schedule.to_json()))) == schedule
    assert schedule.pretrained == (name != "scratch")


def test_what_the_presets_train():
    trained = {name: [stage.train for stage in parse_schedule(name).stages] for name in PRESETS}
    assert trained == {
        "head": ["head"],
        "gradual": ["head", "top=0.34", "top=0.67", "all"],
        "lp-ft": ["head", "all"],
        "full": ["all"],
        "scratch": ["all"],
    }


def test_a_preset_with_changes():
    schedule = parse_schedule("gradual epochs=3 rate=0.5 norms=frozen")
    assert {(stage.epochs, stage.rate, stage.norms) for stage in schedule.stages} == {(3, 0.5, "frozen")}
    assert schedule.epochs == 12


def test_stages_of_ones_own():
    schedule = parse_schedule(
        "head epochs=10 rate=0.01; top=0.5 epochs=5 decay=0.4 cosine=false;layer3,layer4 warmup=0.5"
    )
    assert schedule.stages == (
        Stage("head", 10, 0.01),
        Stage("top=0.5", 5, decay=0.4, cosine=False),
        Stage("layer3,layer4", warmup=0.5),
    )
    assert parse_schedule("all").stages == (Stage("all"),)


@pytest.mark.parametrize(
    ("text", "error", "told"),
    [
        ("", InvalidInput, "the schedule is empty"),
        ("gradul", UnknownName, "no schedule is called 'gradul'; near: gradual"),
        ("head epoch=3", UnknownName, "no setting of a stage is called 'epoch'; near: epochs"),
        ("head epochs=3.5", InvalidInput, "epochs must be a whole number, found '3.5'"),
        ("head epochs=0", InvalidInput, "epochs must be an integer of at least 1"),
        ("head rate=fast", InvalidInput, "rate must be a number, found 'fast'"),
        ("head rate=", InvalidInput, "a stage takes NAME=VALUE, found 'rate='"),
        ("head cosine=1", InvalidInput, "cosine must be true or false"),
        ("head norms=none", InvalidInput, "norms must be one of batch, frozen"),
        ("head warmup=1", InvalidInput, r"warmup must be a share of the steps in \[0, 1\)"),
        ("top=1.5 epochs=1", InvalidInput, "top= takes a share of the depth above 0 and up to 1, found '1.5'"),
        ("top=x epochs=1", InvalidInput, "found 'x'"),
    ],
)
def test_what_is_refused(text, error, told):
    with pytest.raises(error, match=told):
        parse_schedule(text)


def test_json_of_something_else():
    with pytest.raises(InvalidInput, match="not a schedule of fine-tuning"):
        Schedule.from_json({"stages": [{"train": "head", "speed": 3}], "pretrained": True, "name": "x"})
    with pytest.raises(InvalidInput, match="needs a stage"):
        Schedule(())


@pytest.mark.parametrize("steps", [1, 7, 40])
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("cosine", [True, False])
def test_the_rate_rises_then_falls(steps, warmup, cosine):
    stage = Stage("all", warmup=warmup, cosine=cosine)
    rising = math.ceil(warmup * steps)
    for step in range(steps):
        if step < rising:
            expected = (step + 1) / (rising + 1)
        elif cosine:
            expected = 0.5 + 0.5 * math.cos(math.pi * (step - rising) / (steps - rising))
        else:
            expected = 1.0
        assert stage.factor(step, steps) == pytest.approx(expected, abs=1e-12)
        assert 0 < stage.factor(step, steps) <= 1


def test_each_unit_learns_at_a_share_of_the_one_above():
    stage = Stage("all", rate=0.01, trunk=0.5, decay=1 / 2.6)
    assert [stage.unit_rate(height) for height in (1, 2, 3)] == pytest.approx([0.005, 0.005 / 2.6, 0.005 / 2.6**2])
