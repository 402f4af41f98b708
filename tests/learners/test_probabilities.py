import pytest
import torch

from fewshot.learners.probabilities import class_softmax


@pytest.mark.parametrize("shape", [(3, 7, 5), (7, 1), (2, 4, 40)])
def test_it_is_torchs_softmax(shape):
    logits = 10 * torch.randn(shape, generator=torch.Generator().manual_seed(0))
    logits[..., :-1].masked_fill_(logits[..., :-1] > 15, -torch.inf)
    torch.testing.assert_close(class_softmax(logits), logits.softmax(-1))
