"""What the bar tells between two looks: a mean over what was not told yet, not more often than once a second."""

import torch

from fewshot.learners.meta.training.running import RunningNote


def test_a_mean_about_once_a_second() -> None:
    now = [100.0]
    note = RunningNote(tasks=4, validation=None, clock=lambda: now[0])
    found = []
    for loss, hits in ((4.0, 0.0), (2.0, 0.5), (1.0, 0.25), (0.5, 1.0), (0.25, 1.0)):
        now[0] += 0.4
        found.append(note(torch.tensor(loss), torch.tensor(hits)))
    assert found == ["", "", "loss 2.333, accuracy 25.0 %, 10 tasks/s", "", ""]
    now[0] += 1.6
    assert note(torch.tensor(0.75), torch.tensor(1.0)) == "loss 0.500, accuracy 100.0 %, 5 tasks/s"


def test_the_last_validation_stays_beside_it() -> None:
    now = [0.0]
    note = RunningNote(tasks=2000, validation=0.625, clock=lambda: now[0])
    now[0] = 1.0
    assert note(torch.tensor(1.0), torch.tensor(0.5)) == "loss 1.000, accuracy 50.0 %, validation 62.5 %, 2,000 tasks/s"
