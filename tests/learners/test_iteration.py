import torch

from fewshot.learners.iteration import until_settled


def halve(rate, value):
    """Each task decays at its own rate; the change is its distance from zero."""
    following = rate * value
    return [following], following.abs()


RATES = torch.tensor([0.1, 0.5, 0.9, 0.0, 0.5])


def steps_taken(rate, steps, tolerance, look):
    value, done = 1.0, 0
    for done in range(1, steps + 1):
        value *= rate
        if (done % look == 0 or done == steps) and value <= tolerance:
            break
    return done


def test_every_task_stops_by_itself():
    for look in (1, 3):
        (value,), settled = until_settled(halve, [RATES], [torch.ones(5)], 20, 0.01, look)
        expected = [rate ** steps_taken(rate, 20, 0.01, look) for rate in RATES.tolist()]
        torch.testing.assert_close(value, torch.tensor(expected))
        assert settled.tolist() == [True, True, False, True, True]


def test_alone_is_as_among_others():
    (together,), _ = until_settled(halve, [RATES], [torch.ones(5)], 50, 1e-3, 2)
    for task in range(5):
        (alone,), _ = until_settled(halve, [RATES[task : task + 1]], [torch.ones(1)], 50, 1e-3, 2)
        assert torch.equal(alone[0], together[task])


def test_settled_tasks_are_left_out_of_the_computation():
    sizes = []

    def step(rate, value):
        sizes.append(len(value))
        return halve(rate, value)

    until_settled(step, [RATES], [torch.ones(5)], 50, 0.01)
    assert sizes[0] == 5
    assert sizes[-1] == 1
    assert sizes == sorted(sizes, reverse=True)


def test_below_zero_no_task_settles_and_the_start_is_not_changed():
    start = torch.ones(5)
    (value,), settled = until_settled(halve, [RATES], [start], 7, -1.0)
    torch.testing.assert_close(value, RATES**7)
    assert not settled.any()
    assert torch.equal(start, torch.ones(5))


def test_no_steps_at_all():
    (value,), settled = until_settled(halve, [RATES], [torch.ones(5)], 0, 0.1)
    assert torch.equal(value, torch.ones(5))
    assert not settled.any()
