import pytest
import torch

from fewshot.learners.adam import Adam


@pytest.mark.parametrize("settings", [{}, {"betas": (0.5, 0.9), "epsilon": 1e-3}], ids=["defaults", "others"])
def test_it_steps_as_torch_does(settings):
    draw = torch.Generator().manual_seed(0)
    start = torch.randn(3, 5, 7, generator=draw, dtype=torch.float64)
    expected = start.clone().requires_grad_()
    settings_of_torch = {"betas": settings.get("betas", (0.9, 0.999)), "eps": settings.get("epsilon", 1e-8)}
    optimiser, found = torch.optim.Adam([expected], lr=1e-2, **settings_of_torch), Adam(start, 1e-2, **settings)
    for _ in range(50):
        gradient = torch.randn(3, 5, 7, generator=draw, dtype=torch.float64)
        expected.grad = gradient.clone()
        optimiser.step()
        found.step(gradient)
    torch.testing.assert_close(start, expected.detach(), atol=1e-12, rtol=0)


def test_with_decay_and_a_changing_rate_it_is_adamw_of_torch():
    draw = torch.Generator().manual_seed(0)
    start = torch.randn(3, 5, 7, generator=draw, dtype=torch.float64)
    expected = start.clone().requires_grad_()
    optimiser = torch.optim.AdamW([expected], lr=1e-2, eps=1e-4, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 50)
    found = Adam(start, 1e-2, epsilon=1e-4, decay=0.1)
    for _ in range(50):
        gradient = torch.randn(3, 5, 7, generator=draw, dtype=torch.float64)
        expected.grad = gradient.clone()
        found.rate = optimiser.param_groups[0]["lr"]
        optimiser.step()
        schedule.step()
        found.step(gradient)
    torch.testing.assert_close(start, expected.detach(), atol=1e-12, rtol=0)


def test_a_zero_gradient_moves_nothing():
    weight = torch.ones(2, 3)
    adam = Adam(weight, 0.1)
    for _ in range(5):
        adam.step(torch.zeros(2, 3))
    assert torch.equal(weight, torch.ones(2, 3))
