import pytest
import torch

from fewshot.learners.transductive.items import Items, ItemTasks
from fewshot.learners.transductive.preprocessing import preprocess
from fewshot.learners.transductive.tasks import Tasks

DRAW = torch.Generator().manual_seed(0)


def normal(*shape, dtype=torch.float64):
    return torch.randn(*shape, generator=DRAW, dtype=dtype)


def unwritten(kind, dtype=torch.float64):
    """Items of three tasks, of which the last has padding, and the same written out."""
    given, centre = normal(3, 7, 5, dtype=dtype), normal(5, dtype=dtype)
    real = torch.ones(3, 7, 1, dtype=dtype)
    if kind == "as they are":
        return Items.of(given), given
    real[2, 5:] = 0
    given = given * real
    centre = centre if kind == "centred" else None
    left = given if centre is None else given - centre
    return Items.of_length_one(given, real, centre), left / left.norm(dim=2, keepdim=True).clamp(min=1e-12) * real


KINDS = ["as they are", "of length one", "centred"]


@pytest.mark.parametrize("kind", KINDS)
def test_products_and_sums_are_those_of_the_items_written_out(kind):
    items, written = unwritten(kind)
    others, weights = normal(3, 4, 5), normal(3, 7, 4)
    torch.testing.assert_close(items.squares, written.square().sum(2, keepdim=True))
    torch.testing.assert_close(items.products(others), written @ others.mT)
    torch.testing.assert_close(items.sums(weights), weights.mT @ written)
    torch.testing.assert_close(items.gram(), written @ written.mT)
    torch.testing.assert_close(items.squared_distances(others), torch.cdist(written, others).square())
    cosines = torch.cosine_similarity(written[:, :, None], others[:, None], dim=3)
    torch.testing.assert_close(items.cosines(others), cosines)


@pytest.mark.parametrize("kind", KINDS)
def test_moved_items_are_those_written_out_and_moved(kind):
    items, written = unwritten(kind)
    others, shift = normal(3, 4, 5), normal(3, 1, 5)
    moved = written + shift
    products, squares = items.moved_products(shift, others)
    torch.testing.assert_close(products, moved @ others.mT)
    torch.testing.assert_close(squares, moved.square().sum(2, keepdim=True))
    cosines = torch.cosine_similarity(moved[:, :, None], others[:, None], dim=3)
    torch.testing.assert_close(items.moved_cosines(shift, others), cosines)


def test_items_are_written_where_their_difference_from_the_centre_would_be_rounding():
    centre = 1000 + normal(64, dtype=torch.float32)
    given = centre + normal(2, 9, 64, dtype=torch.float32)
    items = Items.of_length_one(given, torch.ones(2, 9, 1), centre)
    assert items.centre is None
    exact = (given.double() - centre.double()).div((given.double() - centre.double()).norm(dim=2, keepdim=True))
    torch.testing.assert_close(items.gram().double(), exact @ exact.mT, atol=1e-5, rtol=0)


def test_items_are_written_where_a_move_leaves_little_of_them():
    shift = normal(1, 1, 64, dtype=torch.float32)
    items = Items.of(-shift + 1e-3 * normal(1, 9, 64, dtype=torch.float32))
    others = normal(1, 3, 64, dtype=torch.float32)
    products, squares = items.moved_products(shift, others)
    exact = items.written.double() + shift.double()
    torch.testing.assert_close(products.double(), exact @ others.double().mT, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(squares.double(), exact.square().sum(2, keepdim=True), rtol=1e-3, atol=0)


@pytest.mark.parametrize("constant", [0.0, 1.0])
def test_items_that_are_their_centre_stay_zeros(constant):
    given = torch.full((1, 4, 3), constant)
    items = Items.of_length_one(given, torch.ones(1, 4, 1), torch.full((3,), constant))
    assert items.gram().eq(0).all()
    assert items.cosines(torch.ones(1, 2, 3)).eq(0).all()


@pytest.mark.parametrize("recipe", ["centre-base+l2", "l2", "", "power+centre-each"])
def test_tasks_of_items_are_the_tasks_preprocessed(recipe):
    members = torch.eye(3, dtype=torch.float64).repeat(2, 1)[None].repeat(2, 1, 1)
    mask = torch.tensor([[True] * 8, [True] * 5 + [False] * 3])
    tasks = Tasks(
        normal(2, 6, 16), members, normal(2, 8, 16) * mask[..., None], mask, torch.ones(2, 3, dtype=torch.bool)
    )
    mean = normal(16)
    found, expected = ItemTasks.of(tasks, recipe, mean), preprocess(tasks, recipe, mean)
    torch.testing.assert_close(found.support_means, expected.support_means())
    torch.testing.assert_close(found.shift, expected.support_centre - expected.query_centre)
    torch.testing.assert_close(found.query.gram(), expected.query @ expected.query.mT)
