import torch

from fewshot.learners.transductive.alternation import alternate, log_assignment
from fewshot.learners.transductive.tasks import Tasks


def tasks_of(count=3):
    draw = torch.Generator().manual_seed(0)
    support, query = torch.randn(count, 4, 2, generator=draw), torch.randn(count, 6, 2, generator=draw)
    members = torch.eye(2).repeat(2, 1).expand(count, -1, -1)
    mask, present = torch.ones(count, 6, dtype=torch.bool), torch.ones(count, 2, dtype=torch.bool)
    return Tasks(support, members, query, mask, present)


def assign(tasks, prototypes):
    return (tasks.query @ prototypes.mT).softmax(2)


def update(tasks, assignment, prototypes):
    return (tasks.weighted_means(assignment),)


def test_it_assigns_before_between_and_after():
    tasks = tasks_of()
    prototypes = tasks.support_means()
    for steps in (0, 1, 4):
        expected = (prototypes,)
        for _ in range(steps):
            expected = update(tasks, assign(tasks, *expected), *expected)
        assignment, model = alternate(tasks, (prototypes,), assign, update, steps)
        torch.testing.assert_close(model[0], expected[0])
        torch.testing.assert_close(assignment, assign(tasks, *expected))


def test_a_task_ends_when_its_assignments_rest():
    tasks = tasks_of()
    together, _ = alternate(tasks, (tasks.support_means(),), assign, update, 100, tolerance=1e-2)
    for task in range(3):
        own = tasks[torch.tensor([task])]
        model = (own.support_means(),)
        before = assign(own, *model)
        for _ in range(100):
            model = update(own, before, *model)
            before, last = assign(own, *model), before
            if (before - last).abs().max() <= 1e-2:
                break
        torch.testing.assert_close(together[task], before[0])


def test_log_assignment_is_finite_and_its_softmax_is_the_assignment():
    assignment = torch.tensor([[[1.0, 0.0], [0.25, 0.75]]])
    assert log_assignment(assignment).isfinite().all()
    torch.testing.assert_close(log_assignment(assignment).softmax(2), assignment)
