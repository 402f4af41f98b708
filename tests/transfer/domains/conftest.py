"""Small problems of two domains with a known answer."""

import math

import pytest
import torch


@pytest.fixture
def shifted():
    """Three classes in four dimensions, moved and stretched in the target: (source, labels, target, its labels)."""
    generator = torch.Generator().manual_seed(3)
    centres = 3 * torch.eye(4, dtype=torch.float64)[:3]
    labels, truth = torch.arange(3).repeat_interleave(30), torch.arange(3).repeat_interleave(25)
    source = centres[labels] + torch.randn(90, 4, generator=generator, dtype=torch.float64) / 2
    angle = 0.5
    turn = torch.eye(4, dtype=torch.float64)
    turn[0, 0], turn[0, 1], turn[1, 0], turn[1, 1] = math.cos(angle), -math.sin(angle), math.sin(angle), math.cos(angle)
    target = (centres[truth] + torch.randn(75, 4, generator=generator, dtype=torch.float64) / 2) @ turn + 1.0
    return source, labels, target, truth
