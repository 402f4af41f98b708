import torch
from scipy import stats

from fewshot.episodes.near_classes import near_classes
from fewshot.episodes.randomness import Randomness

LINE = torch.arange(6).double()
DISTANCE = (LINE.unsqueeze(0) - LINE.unsqueeze(1)).abs()
ELIGIBLE = torch.tensor([0, 2, 3, 5])


def draw(tasks, count, nearness):
    return near_classes(Randomness(0, torch.arange(tasks)), DISTANCE, ELIGIBLE, count, nearness)


def test_classes_are_different_and_eligible():
    found = draw(200, 4, 3.0)
    assert bool((found.sort(1).values == ELIGIBLE).all())


def test_first_class_is_uniform_and_second_follows_the_rule():
    tasks, nearness = 20000, 2.0
    found = draw(tasks, 3, nearness)
    firsts = torch.stack([(found[:, 0] == c).sum() for c in ELIGIBLE])
    assert stats.chisquare(firsts).pvalue > 1e-3
    among = DISTANCE[ELIGIBLE][:, ELIGIBLE]
    mean = among.sum() / 12
    given_two = found[found[:, 0] == 2]
    others = torch.tensor([0, 3, 5])
    weights = torch.exp(-nearness * DISTANCE[2, others] / mean)
    seconds = torch.stack([(given_two[:, 1] == c).sum() for c in others])
    assert stats.chisquare(seconds, weights / weights.sum() * len(given_two)).pvalue > 1e-3
    after = given_two[given_two[:, 1] == 3]
    thirds = torch.stack([(after[:, 2] == c).sum() for c in (0, 5)])
    assert stats.chisquare(thirds, weights[[0, 2]] / weights[[0, 2]].sum() * len(after)).pvalue > 1e-3


def test_great_nearness_takes_the_nearest():
    found = draw(300, 2, 1000.0)
    nearest = {0: {2}, 2: {3}, 3: {2}, 5: {3}}
    assert all(second in nearest[first] for first, second in found.tolist())


def test_equal_distances_are_uniform():
    found = near_classes(Randomness(0, torch.arange(3000)), torch.zeros(4, 4).double(), torch.arange(4), 4, 5.0)
    assert stats.chisquare(found[:, 3].bincount(minlength=4)).pvalue > 1e-3
