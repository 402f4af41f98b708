"""Classical adaptation: each method against its formula, and all of them on one small problem."""

import re
import warnings
from importlib.util import find_spec

import numpy as np
import pytest
import scipy.linalg
import sklearn
import torch
from scipy.optimize import linear_sum_assignment

from fewshot.errors import FewshotWarning, InvalidInput, UnknownName
from fewshot.transfer.domains import create_adaptation, describe_adaptation, list_adaptations
from fewshot.transfer.domains.alignment import optimal_transport
from fewshot.transfer.domains.alignment.geodesic_flow import basis, flow_root
from fewshot.transfer.domains.alignment.joint import class_differences, components, mean_difference
from fewshot.transfer.domains.alignment.skada_adapters import solver_warned
from fewshot.transfer.domains.classifiers import nearest_label, predict
from fewshot.transfer.domains.domain_data import office_caltech10
from fewshot.transfer.domains.label_shift import out_of_fold

pytestmark = pytest.mark.skipif(find_spec("skada") is None, reason="needs the package skada (extra: transfer)")
CLASSICAL = {
    "bbse": {},
    "coral": {},
    "discriminator": {"strength": 1.0},
    "em": {},
    "gfk": {"components": 2},
    "jda": {"components": 3},
    "jdot": {},
    "kliep": {},
    "kmm": {},
    "ot": {},
    "rulsif": {},
    "source-only": {},
    "subspace-alignment": {"components": 3},
    "tca": {"components": 3},
}


def test_every_classical_method_is_tried() -> None:
    deep = {"dan", "jan", "deep-coral", "dann", "cdan", "mcd", "shot", "tent", "deep-source-only"}
    assert set(list_adaptations()) - deep == set(CLASSICAL)


@pytest.mark.parametrize("name", CLASSICAL)
def test_every_method(name, shifted) -> None:
    source, labels, target, truth = shifted
    method = create_adaptation(name, **CLASSICAL[name])
    found = method.adapt(source, labels, target)
    assert found.dtype == torch.int64
    assert found.shape == truth.shape
    assert (found == truth).double().mean() > 0.6
    order = torch.randperm(len(target))
    assert (method.adapt(source, labels, target[order]) == found[order]).double().mean() > 0.95
    # labels are names, not places
    assert torch.equal(method.adapt(source, 5 * labels + 2, target), 5 * found + 2)
    assert torch.equal(method.adapt(source.float(), labels.int(), target.float()), found)
    assert not sklearn.get_config()["enable_metadata_routing"]
    with pytest.raises(InvalidInput, match="one class only"):
        method.adapt(source, torch.zeros(90).long(), target)
    with pytest.raises(InvalidInput, match="same dimensions"):
        method.adapt(source, labels, target[:, :3])
    with pytest.raises(InvalidInput, match="NaN"):
        method.adapt(source, labels, target / 0)
    with pytest.raises(InvalidInput, match="constant features"):
        method.adapt(source, labels, torch.ones(75, 4))
    with pytest.raises(InvalidInput, match="90 integers"):
        method.adapt(source, labels[:80], target)
    facts = describe_adaptation(name)
    assert facts["sees"]["kind"] == ("source-only" if name == "source-only" else "transductive")
    assert facts["summary"]
    assert facts["paper"]


@pytest.mark.parametrize("name", ["tca", "jda", "gfk", "subspace-alignment"])
def test_too_many_components_are_told(name, shifted) -> None:
    source, labels, target, _ = shifted
    with pytest.raises(InvalidInput, match=f"{name}: components must lie in 1"):
        create_adaptation(name, components=50).adapt(source, labels, target)


def test_unknown_names_and_settings_are_told(shifted) -> None:
    source, labels, target, _ = shifted
    with pytest.raises(UnknownName, match="coral"):
        create_adaptation("corall")
    with pytest.raises(InvalidInput, match="no setting 'depth'"):
        create_adaptation("coral", depth=3)
    with pytest.raises(UnknownName, match="1-nn"):
        create_adaptation("tca", components=2, classifier="1nn").adapt(source, labels, target)
    with pytest.raises(InvalidInput, match="kind must be exact"):
        create_adaptation("ot", kind="cheap").adapt(source, labels, target)
    with pytest.raises(InvalidInput, match="balance"):
        create_adaptation("jdot", balance=2.0).adapt(source, labels, target)
    with pytest.raises(InvalidInput, match="no weights"):
        create_adaptation("kmm", classifier="1-nn").adapt(source, labels, target)
    with pytest.raises(InvalidInput, match="fewer than two classes"):
        predict("logistic", source, labels, target, (labels == 1).double())


def test_nearest_label_is_the_loop(shifted) -> None:
    source, labels, target, _ = shifted
    expected = [int(labels[int(((source - item) ** 2).sum(1).argmin())]) for item in target]
    assert nearest_label(source, labels, target, block=7).tolist() == expected


@pytest.mark.parametrize("ridge", [1.0, 0.01])
def test_joint_projection_solves_the_papers_eigenproblem(ridge, shifted) -> None:
    source, labels, target, truth = shifted
    items = torch.cat([source, target])
    n, m = len(source), len(target)
    # M_0 (eq. 3) and M_c (eq. 6) of Long et al. 2013, entry by entry
    whole = np.zeros((n + m, n + m))
    for i in range(n + m):
        for j in range(n + m):
            whole[i, j] = (1 / n if i < n else -1 / m) * (1 / n if j < n else -1 / m)
    for c in range(3):
        rows = [i for i in range(n) if labels[i] == c]
        columns = [n + j for j in range(m) if truth[j] == c]
        for i in rows + columns:
            for j in rows + columns:
                whole[i, j] += (1 / len(rows) if i < n else -1 / len(columns)) * (
                    1 / len(rows) if j < n else -1 / len(columns)
                )
    whole /= np.linalg.norm(whole)
    centring = np.eye(n + m) - 1 / (n + m)
    x = items.numpy().T
    values, vectors = scipy.linalg.eig(x @ whole @ x.T + ridge * np.eye(4), x @ centring @ x.T)
    order = np.argsort(values.real)[:2]
    expected = vectors.real[:, order] / np.linalg.norm(vectors.real[:, order], axis=0)
    found = components(items, [mean_difference(n, m), *class_differences(labels, truth)], 2, ridge).numpy()
    assert np.allclose(np.abs((expected * found).sum(0)), 1, atol=1e-9)


def test_a_class_that_the_guess_lacks_has_no_difference() -> None:
    labels, guess = torch.tensor([0, 0, 1, 2]), torch.tensor([0, 2, 2])
    found = class_differences(labels, guess)
    assert [vector.tolist() for vector in found] == [
        [0.5, 0.5, 0, 0, -1, 0, 0],
        [0, 0, 0, 1, 0, -0.5, -0.5],
    ]


@pytest.mark.parametrize(("dim", "count"), [(4, 2), (9, 3), (6, 1)])
def test_flow_kernel_is_the_integral_over_the_geodesic(dim, count) -> None:
    first, _ = torch.linalg.qr(torch.randn(dim, count, dtype=torch.float64))
    second, _ = torch.linalg.qr(torch.randn(dim, count, dtype=torch.float64))
    whole, _ = torch.linalg.qr(torch.cat([first, torch.randn(dim, dim - count, dtype=torch.float64)], 1))
    rest = whole[:, count:]
    rest = rest - first @ (first.T @ rest)
    # Gong et al. 2012, eq. 3 and 4: P' Q = U cos V', R' Q = -W sin V', Phi(t) = P U cos(t) - R W sin(t)
    u, cosines, vt = torch.linalg.svd(first.T @ second)
    angles = cosines.clamp(-1, 1).acos()
    w = -(rest.T @ second @ vt.T) / angles.sin()
    nodes, weights = np.polynomial.legendre.leggauss(40)
    expected = torch.zeros(dim, dim, dtype=torch.float64)
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        flow = first @ u * (node * angles).cos() - rest @ w * (node * angles).sin()
        expected += weight * flow @ flow.T
    root = flow_root(first, second)
    assert torch.allclose(root @ root.T, expected, atol=1e-10)


def test_flow_between_equal_subspaces_is_the_projection() -> None:
    first, _ = torch.linalg.qr(torch.randn(5, 2, dtype=torch.float64))
    root = flow_root(first, first)
    assert torch.allclose(root @ root.T, first @ first.T, atol=1e-7)


def test_subspace_alignment_is_the_formula(shifted) -> None:
    source, labels, target, _ = shifted
    moved_source, moved_target = create_adaptation("subspace-alignment", components=2).align(source, labels, target)
    of_source, of_target = basis(source, 2), basis(target, 2)
    expected_source = (source - source.mean(0)) @ of_source @ of_source.T @ of_target
    expected_target = (target - target.mean(0)) @ of_target
    for found, expected in ((moved_source, expected_source), (moved_target, expected_target)):
        assert torch.allclose(found.abs(), expected.abs(), atol=1e-9)  # an axis may point either way


def test_coral_gives_the_source_the_moments_of_the_target(shifted) -> None:
    source, labels, target, _ = shifted
    moved, kept = create_adaptation("coral", shrinkage=0.0).align(source, labels, target)
    assert torch.allclose(kept, target - target.mean(0))
    assert torch.allclose(moved.T.cov(correction=0), target.T.cov(correction=0), atol=1e-8)
    assert torch.allclose(moved.mean(0), torch.zeros(4).double(), atol=1e-9)


def test_exact_transport_is_the_best_assignment(shifted) -> None:
    source, labels, target, _ = shifted
    source, labels = source[:75], labels[:75]
    moved, _ = create_adaptation("ot").align(source, labels, target)
    rows, columns = linear_sum_assignment(torch.cdist(source, target).square().numpy())
    assert torch.allclose(moved[rows], target[columns], atol=1e-8)


@pytest.mark.parametrize("kind", ["entropic", "classes"])
def test_other_transports_bring_the_source_to_the_target(kind, shifted) -> None:
    source, labels, target, _ = shifted
    moved, _ = create_adaptation("ot", kind=kind, entropy=0.05 if kind == "entropic" else 3.0).align(
        source, labels, target
    )
    assert torch.dist(moved.mean(0), target.mean(0)) < torch.dist(source.mean(0), target.mean(0)) / 10


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"kind": "entropic", "entropy": 1e-4}, "did not converge at entropy=0.0001, .* raise entropy$"),
        ({"kind": "classes", "entropy": 1e-3}, "raise entropy, which is in squared distances here"),
        ({"kind": "exact"}, "3 steps did not find the cheapest plan; take fewer items"),
    ],
)
def test_a_transport_that_gives_up_is_told_once(settings, told, shifted, monkeypatch) -> None:
    monkeypatch.setattr(optimal_transport, "STEPS", 3)
    source, labels, target, _ = shifted
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        create_adaptation("ot", **settings).align(source, labels, target)
    assert [each.category for each in heard] == [FewshotWarning]
    assert re.search(told, str(heard[0].message))
    assert heard[0].filename == __file__


def test_other_warnings_pass() -> None:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with solver_warned("the solver gave up"):
            warnings.warn("something else", DeprecationWarning, stacklevel=1)
    assert [(each.category, str(each.message)) for each in heard] == [(DeprecationWarning, "something else")]


def test_label_shift_is_found_and_helps() -> None:
    # overlapping classes, 50/50 in the source and 90/10 in the target
    labels, truth = torch.arange(2).repeat(200), (torch.arange(400) >= 360).long()
    source, target = torch.randn(400, 2) + 1.2 * labels[:, None], torch.randn(400, 2) + 1.2 * truth[:, None]
    plain = (create_adaptation("source-only", classifier="logistic").adapt(source, labels, target) == truth).sum()
    for name in ("bbse", "em"):
        assert (create_adaptation(name).adapt(source, labels, target) == truth).sum() > plain


def test_out_of_fold_never_scores_what_it_learned() -> None:
    # labels without meaning: a classifier that saw them would do better than a guess
    chances = out_of_fold(torch.randn(200, 150), torch.arange(200) % 2, 5)
    assert abs(float((chances.argmax(1) == torch.arange(200) % 2).double().mean()) - 0.5) < 0.15
    assert torch.allclose(chances.sum(1), torch.ones(200).double())
    with pytest.raises(InvalidInput, match="found a class with 1"):
        out_of_fold(torch.randn(5, 2), torch.tensor([0, 0, 0, 0, 1]), 3)


@pytest.mark.parametrize(
    ("source", "target", "published"),
    [
        ("caltech", "amazon", 23.70),
        ("caltech", "webcam", 25.76),
        ("amazon", "caltech", 26.00),
        ("dslr", "webcam", 63.39),
    ],
)
def test_published_nearest_neighbour(shared_data, source, target, published) -> None:
    table = office_caltech10()
    left, right = (table.select(where={"domain": name}) for name in (source, target))
    found = create_adaptation("source-only").adapt(left.features, left.labels, right.features)
    assert 100 * (found == right.labels).double().mean() == pytest.approx(published, abs=0.01)


@pytest.mark.slow
def test_published_joint_adaptation(shared_data) -> None:
    table = office_caltech10()
    left, right = (table.select(where={"domain": name}) for name in ("caltech", "amazon"))
    found = create_adaptation("jda").adapt(left.features, left.labels, right.features)
    assert 100 * (found == right.labels).double().mean() == pytest.approx(44.78, abs=0.3)


def test_published_flow_kernel(shared_data) -> None:
    table = office_caltech10()
    left, right = (table.select(where={"domain": name}) for name in ("caltech", "amazon"))
    found = create_adaptation("gfk").adapt(left.features, left.labels, right.features)
    assert 100 * (found == right.labels).double().mean() == pytest.approx(41.02, abs=0.3)
