import torch

from fewshot.learners.momentum import Momentum


def test_it_steps_as_torch_does_with_a_changing_rate():
    draw = torch.Generator().manual_seed(0)
    start = torch.randn(3, 5, generator=draw, dtype=torch.float64)
    expected = start.clone().requires_grad_()
    optimiser = torch.optim.SGD([expected], lr=0.1, momentum=0.8)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 50)
    found = Momentum(start, 0.1, 0.8)
    for _ in range(50):
        gradient = torch.randn(3, 5, generator=draw, dtype=torch.float64)
        expected.grad = gradient.clone()
        found.rate = optimiser.param_groups[0]["lr"]
        optimiser.step()
        schedule.step()
        found.step(gradient)
    torch.testing.assert_close(start, expected.detach(), atol=1e-12, rtol=0)
