"""What every registered learner must do; a new one is tested here as soon as it is registered."""

import re
from dataclasses import replace
from functools import partial

import pytest
import torch
from bag_of_words import words_with_encoder

from fewshot.errors import InvalidInput
from fewshot.learners import Head, Learner, Words, create_learner, describe_learner, list_learners

VARIANTS = [
    ("simpleshot", {"transform": "UN"}),
    ("simpleshot", {"transform": "L2N"}),
    ("prototypical", {"metric": "cosine"}),
    ("nearest-neighbour", {"metric": "cosine"}),
    ("ridge", {"bias": False}),
    ("svm", {"normalize": True, "C": 1.0, "scale": 5.0}),
    ("lda", {"shrinkage": "ledoit-wolf"}),
    ("lda", {"shrinkage": 0.2}),
    ("ensemble", {"learners": "prototypical+pt-map", "mean": "logits"}),
    ("ensemble", {"learners": "zero-shot+clip-adapter", "mean": "logits"}),
    ("logistic", {"normalize": False, "C": 0.1}),
    ("distribution-calibration", {"neighbours": 1, "samples": 30, "base_power": 0.5}),
    ("cosine", {"scale": 10.0, "momentum": 0.0}),
    ("alpha-tim", {"alpha": 7.0}),
    ("tim-gd", {"features": "centre-base+l2", "marginal": 0.0, "steps": 100}),
    ("tim-adm", {"conditional": 1.0, "rate": 0.5}),
    ("transductive-finetune", {"rate": 1e-3, "temperature": 10.0}),
    ("bavardage", {"features": "centre-base+l2", "whiten": True}),
    ("em-dirichlet", {"hard": True}),
    ("paddle", {"lam": 0.5}),
    ("soft-kmeans", {"transform": "CL2N", "distractors": "cluster", "scale": 5.0, "steps": 3}),
    ("bpa", {"learner": "prototypical"}),
    ("bms", {"epochs": 0}),
    ("ease", {"dim": 4}),
    ("pt-map", {"features": "l2+svd-4"}),
    ("bd-cspn", {"classify": "unshifted"}),
    ("laplacianshot", {"classify": "unshifted", "neighbours": 6}),
    ("laplacianshot", {"rectify": False, "features": "l2"}),
    ("ilpc", {"features": "l2", "cleanest": 1, "steps": 50}),
    ("ici", {"taken": 2, "dims": 3}),
    ("em-dirichlet-clip", {"effective_classes": 3, "hard": True, "match": False}),
    ("tda", {"slots": 1, "upper": 0.6, "warm_start": False}),
    ("transclip", {"gamma": 0.2, "neighbours": 2, "steps": 3}),
    ("zlap", {"neighbours": 2, "gamma": 1.0, "alpha": 0.8}),
    ("linear-probe", {"C": 1.0, "normalize": False}),
    ("zs-lp", {"rate": 0.01, "epochs": 50}),
    ("clap", {"momentum": 0.0, "epochs": 50}),
    ("taskres", {"alpha": 1.0, "penalty": 0.0}),
    ("clip-adapter", {"ratio": 0.5, "reduction": 2, "epochs": 50}),
    ("cross-modal-lp", {"rate": 1e-3, "decay": 0.0}),
    ("lp++", {"steps": 50, "every": 1, "momentum": 0.0, "blend": 50.0}),
    ("prolip", {"rate": 1e-3, "penalty": 0.1}),
    ("coop", {"template": "a photo of a", "epochs": 5, "batch": 4}),
    ("cocoop", {"template": "photo of", "reduction": 2, "batch": 5}),
    ("ape", {"channels": 0.5, "distinct": 0.9, "gamma": 0.7}),
    ("ape-t", {"channels": 0.3, "epochs": 3}),
    ("gda", {"alpha": 0.01}),
    ("tip-adapter-f", {"alpha": 3.0, "beta": 1.0, "rate": 0.01}),
]
CASES = [(name, {}) for name in list_learners()] + VARIANTS


@pytest.fixture(params=CASES, ids=lambda case: "-".join([case[0], *map(str, case[1].values())]))
def learner(request, monkeypatch, with_weights) -> Learner:
    name, settings = request.param
    untrained = create_learner(name, **settings)
    if untrained.trained:  # weights are for one dimension, and these tests fit several
        fit = type(untrained).fit
        monkeypatch.setattr(
            type(untrained),
            "fit",
            lambda self, support, *more, **named: fit(
                with_weights(untrained, support.shape[-1] or 16), support, *more, **named
            ),
        )
    return with_weights(untrained, 16)


def words_for(learner, words):
    """The words with what the learner asks of them beyond vectors."""
    if learner.needs_projection:
        words = replace(words, projection=torch.eye(words.vectors.shape[-1]))
    if learner.needs_encoder and words is not None:
        words = words_with_encoder(words)
    return words


def fit(learner, tasks, **changes):
    """The head of `tasks`, some parts of them changed."""
    part = {name: changes.get(name, getattr(tasks, name)) for name in ("support", "labels", "ways", "words")}
    words = words_for(learner, part["words"])
    more = {name: changes[name] for name in ("unlabelled", "unlabelled_mask") if name in changes}
    return learner.fit(part["support"], part["labels"], part["ways"], tasks.base, words=words, **more)


def logits_of(learner, tasks, query=None, **changes):
    return fit(learner, tasks, **changes)(tasks.query if query is None else query)


def words_of(tasks, part: slice, order: slice | torch.Tensor = slice(None)) -> Words:
    """The words of some tasks, their classes in another order."""
    words = tasks.words
    parts = {name: getattr(words, name)[part][:, order] for name in ("vectors", "prompts", "raw")}
    return replace(words, **parts)


def pad_classes(vectors: torch.Tensor, ways: int) -> torch.Tensor:
    """Vectors (T, W, ...) of `ways` classes; those that were not there are class 0 again, as `Words.of` gives them."""
    return torch.cat([vectors, vectors[:, :1].expand(-1, ways - vectors.shape[1], *vectors.shape[2:])], 1)


def assert_same(found, expected, tolerance=1e-4):
    torch.testing.assert_close(found.softmax(-1), expected.softmax(-1), atol=tolerance, rtol=0)


def test_classifies_what_is_easy(learner, make_tasks):
    tasks = make_tasks(tasks=20, dim=64, spread=0.1)
    predicted = logits_of(learner, tasks).argmax(-1)
    assert (predicted == tasks.query_labels).float().mean() > 0.98


def test_logits_have_the_promised_form(learner, make_tasks):
    tasks = make_tasks()
    logits = logits_of(learner, tasks)
    assert logits.shape == (4, 20, 5)
    assert logits.dtype == torch.float32
    assert not logits.requires_grad


def test_double_precision_stays_double(learner, make_tasks):
    tasks = make_tasks()
    logits = logits_of(learner, tasks, support=tasks.support.double(), query=tasks.query.double())
    assert logits.dtype == torch.float64
    assert_same(logits.float(), logits_of(learner, tasks))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_raised_to_float32(learner, make_tasks, dtype):
    tasks = make_tasks()
    support, query = tasks.support.to(dtype), tasks.query.to(dtype)
    logits = logits_of(learner, tasks, support=support, query=query)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, logits_of(learner, tasks, support=support.float(), query=query.float()))


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_constant_features_give_no_nan(learner, make_tasks, value):
    tasks = make_tasks()
    logits = logits_of(learner, tasks, support=torch.full((4, 15, 16), value), query=torch.full((4, 20, 16), value))
    assert logits.isfinite().all()
    if not (learner.needs_words and value):  # words are nearer to or further from any vector but zero
        assert_same(logits, torch.zeros_like(logits), 0.05)


def test_zero_vectors_among_others_give_no_nan(learner, make_tasks):
    tasks = make_tasks()
    support, query = tasks.support.clone(), tasks.query.clone()
    support[:, 0], query[:, 0] = 0, 0
    assert logits_of(learner, tasks, support=support, query=query).isfinite().all()


@pytest.mark.parametrize(
    "shape",
    [
        {"dim": 1},
        {"dim": 3},
        {"shots": 1},
        {"ways": 1},
        {"queries": 1, "ways": 1, "shots": 1},
        {"ways": 100, "shots": 1, "queries": 1, "tasks": 2},
    ],
    ids=str,
)
def test_unusual_shapes(learner, make_tasks, shape):
    tasks = make_tasks(**shape)
    logits = logits_of(learner, tasks)
    assert logits.isfinite().all()
    assert logits.shape == (*tasks.query_labels.shape, tasks.ways)


def test_a_task_alone_is_the_task_in_a_batch(learner, make_tasks):
    tasks = make_tasks()
    together = logits_of(learner, tasks)
    for task in range(len(together)):
        part = slice(task, task + 1)
        alone = logits_of(
            learner,
            tasks,
            support=tasks.support[part],
            labels=tasks.labels[part],
            query=tasks.query[part],
            words=words_of(tasks, part),
        )
        assert_same(alone[0], together[task])


def test_a_padded_task_is_the_task_alone(learner, make_tasks):
    big, small = make_tasks(tasks=1), make_tasks(tasks=1, ways=3, shots=2, queries=3, seed=1)
    support, query = torch.full((2, 15, 16), torch.nan), torch.full((2, 20, 16), torch.nan)
    labels, mask = torch.full((2, 15), -1), torch.zeros(2, 20, dtype=torch.bool)
    for row, task in enumerate((big, small)):
        support[row, : task.support.shape[1]] = task.support[0]
        labels[row, : task.support.shape[1]] = task.labels[0]
        query[row, : task.query.shape[1]] = task.query[0]
        mask[row, : task.query.shape[1]] = True
    words = {
        name: torch.cat([getattr(big.words, name), pad_classes(getattr(small.words, name), 5)])
        for name in ("vectors", "prompts", "raw")
    }
    ways, words = torch.tensor([5, 3]), replace(big.words, **words)
    padded = fit(learner, big, support=support, labels=labels, ways=ways, words=words)(query, mask)
    assert_same(padded[0], logits_of(learner, big)[0])
    assert (padded[1, :, 3:] == -torch.inf).all()
    assert_same(padded[1, :9, :3], logits_of(learner, replace(small, base=big.base))[0])


def test_order_of_support_does_not_matter(learner, make_tasks):
    tasks = make_tasks()
    order = torch.randperm(15)
    assert_same(
        logits_of(learner, tasks, support=tasks.support[:, order], labels=tasks.labels[:, order]),
        logits_of(learner, tasks),
    )


def test_order_of_queries_does_not_matter_except_in_a_stream(learner, make_tasks):
    tasks = make_tasks()
    if learner.streaming:  # what comes later is not known yet
        assert_same(logits_of(learner, tasks, query=tasks.query[:, :9]), logits_of(learner, tasks)[:, :9])
        return
    order = torch.randperm(20)
    assert_same(logits_of(learner, tasks, query=tasks.query[:, order]), logits_of(learner, tasks)[:, order])


def test_order_of_classes_does_not_matter(learner, make_tasks):
    tasks = make_tasks()
    order = torch.tensor([3, 0, 4, 1, 2])
    words = words_of(tasks, slice(None), order.argsort())
    assert_same(
        logits_of(learner, tasks, labels=order[tasks.labels], words=words)[..., order], logits_of(learner, tasks)
    )


def test_fitting_and_scoring_change_neither_input_nor_head(learner, make_tasks):
    tasks = make_tasks()
    support, query = tasks.support.clone(), tasks.query.clone()
    head = fit(learner, tasks, support=support)
    first = head(query)
    assert torch.equal(head(query), first)
    assert torch.equal(support, tasks.support)
    assert torch.equal(query, tasks.query)


def test_head_is_made_again_from_its_state_dict(learner, make_tasks):
    tasks = make_tasks()
    head = fit(learner, tasks)
    again = Head(learner, head.state_dict())
    assert torch.equal(again(tasks.query), head(tasks.query))


def test_head_moves_whole(learner, make_tasks):
    tasks = make_tasks()
    head = fit(learner, tasks)
    expected = head(tasks.query)
    moved = head.to(torch.float64)
    assert moved(tasks.query).dtype == torch.float64
    assert_same(moved(tasks.query).float(), expected)
    assert all(tensor.device.type == "meta" for tensor in head.to("meta").state_dict().values())


def test_unlabelled_items_are_used_or_refused(learner, make_tasks):
    tasks, more = make_tasks(), make_tasks(queries=6, seed=0)
    if not learner.uses_unlabelled:
        with pytest.raises(InvalidInput, match="does not learn from unlabelled items"):
            fit(learner, tasks, unlabelled=more.query)
        return
    fitted = partial(fit, learner, tasks)
    without, given = fitted()(tasks.query), fitted(unlabelled=more.query)(tasks.query)
    assert given.shape == without.shape
    assert not torch.allclose(given.softmax(-1), without.softmax(-1))
    order = torch.randperm(30)
    assert_same(fitted(unlabelled=more.query[:, order])(tasks.query), given)
    padded, mask = torch.nn.functional.pad(more.query, (0, 0, 0, 5), value=torch.nan), torch.arange(35) < 30
    assert_same(fitted(unlabelled=padded, unlabelled_mask=mask.expand(4, -1))(tasks.query), given)
    first = {"support": tasks.support[:1], "labels": tasks.labels[:1], "words": words_of(tasks, slice(1))}
    alone = fitted(**first, unlabelled=more.query[:1])(tasks.query[:1])
    assert_same(alone, given[:1])


def test_a_query_alone_counts_for_inductive_learners(learner, make_tasks):
    tasks = make_tasks()
    head = fit(learner, tasks)
    alone = torch.cat([head(tasks.query[:, item : item + 1]) for item in range(20)], 1)
    if learner.transductive:
        assert not torch.allclose(alone.softmax(-1), head(tasks.query).softmax(-1), atol=1e-3)
    else:
        assert_same(alone, head(tasks.query))


def test_what_is_learned_goes_over_to_other_words_or_is_refused(learner, make_tasks):
    tasks = make_tasks()
    words = words_for(learner, tasks.words)
    head = learner.fit(tasks.support, tasks.labels, tasks.ways, tasks.base, words=words)
    if not learner.transfers:
        with pytest.raises(InvalidInput, match="learns of its classes says nothing of others"):
            head.for_words(words)
        return
    before = head(tasks.query)
    assert_same(head.for_words(words)(tasks.query), before)
    chosen = torch.tensor([3, 0, 4])
    parts = ("vectors", "prompts", "raw", "classes")
    fewer = {name: part[:, chosen] for name in parts if (part := getattr(words, name)) is not None}
    others = head.for_words(replace(words, **fewer))
    assert_same(others(tasks.query), before[..., chosen])
    assert_same(Head(learner, others.state_dict()).for_words(words)(tasks.query), before)
    narrow = head.for_words(replace(words, **fewer), torch.tensor([3, 2, 3, 1]))(tasks.query)
    assert torch.equal((narrow == -torch.inf).sum(2)[:, 0], torch.tensor([0, 1, 0, 2]))
    with pytest.raises(InvalidInput, match="words of shape .* do not go with 4 tasks"):
        head.for_words(replace(words, **{name: part[:2] for name, part in fewer.items()}))
    for ways in (0, 2.5, torch.tensor([1, 2, 3])):
        with pytest.raises(InvalidInput, match="ways must be a whole number above zero, or one for each of 4 tasks"):
            head.for_words(words, ways)
    with pytest.raises(InvalidInput, match="words of shape .* do not go with 4 tasks of 9 classes"):
        head.for_words(words, 9)


@pytest.mark.gpu
def test_gpu_gives_the_same(learner, make_tasks):
    tasks = make_tasks()
    head = fit(learner, tasks, support=tasks.support.cuda(), labels=tasks.labels.cuda())
    assert_same(head(tasks.query.cuda()).cpu(), logits_of(learner, tasks))
    assert_same(head.cpu()(tasks.query), logits_of(learner, tasks))


@pytest.mark.parametrize(
    ("support", "message"),
    [
        (torch.rand(15, 16), r"support must be \(tasks, samples, dim\).*shape \(15, 16\).*features\[None\]"),
        (torch.rand(4, 15, 0), "none of them zero"),
        (torch.ones(4, 15, 16, dtype=torch.int64), "floating-point features, found int64"),
        (torch.full((4, 15, 16), torch.nan), "support of task 0 holds NaN"),
        (torch.rand(4, 14, 16), r"labels must be integers of shape \(4, 14\), found int64 of shape \(4, 15\)"),
    ],
)
def test_a_bad_support_is_refused(learner, make_tasks, support, message):
    with pytest.raises(InvalidInput, match=message):
        logits_of(learner, make_tasks(), support=support)


def test_bad_labels_are_refused(learner, make_tasks):
    tasks = make_tasks()
    with pytest.raises(InvalidInput, match="labels must be integers"):
        logits_of(learner, tasks, labels=tasks.labels.float())
    wrong = tasks.labels.clone()
    wrong[2, 7] = 5
    with pytest.raises(InvalidInput, match="label 5 in the support of task 2 is outside 0 to 4"):
        logits_of(learner, tasks, labels=wrong)
    wrong[2, 7] = -2
    with pytest.raises(InvalidInput, match="label -2 in the support of task 2"):
        logits_of(learner, tasks, labels=wrong)
    if learner.needs_support:
        with pytest.raises(InvalidInput, match="class 3 of task 0 has no support sample; each of its 5 classes"):
            logits_of(learner, tasks, labels=torch.where(tasks.labels == 3, 2, tasks.labels))
        with pytest.raises(InvalidInput, match="class 5 of task 1 has no support sample"):
            logits_of(learner, tasks, ways=torch.tensor([5, 6, 5, 5]))


def test_a_class_without_support_is_known_by_its_words(learner, make_tasks):
    if learner.needs_support:
        pytest.skip("this learner needs an item of every class")
    tasks = make_tasks(tasks=20, dim=64, spread=0.1)
    none = {"support": tasks.support[:, :0], "labels": tasks.labels[:, :0]}
    predicted = logits_of(learner, tasks, **none).argmax(-1)
    assert (predicted == tasks.query_labels).float().mean() > 0.9


def test_missing_or_foreign_words_are_told(learner, make_tasks):
    tasks = make_tasks()
    if not learner.needs_words:
        learner.fit(tasks.support, tasks.labels, 5, tasks.base)
        return
    with pytest.raises(InvalidInput, match=f"{re.escape(learner.name)} classifies by words: pass words="):
        logits_of(learner, tasks, words=None) if not learner.needs_projection else learner.fit(
            tasks.support, tasks.labels, 5, tasks.base
        )
    with pytest.raises(InvalidInput, match="do not go with 4 tasks of 5 classes"):
        logits_of(learner, tasks, words=words_of(tasks, slice(None), slice(3)))
    with pytest.raises(InvalidInput, match="the words go with features of 16 dimensions and these have 8"):
        logits_of(learner, replace(tasks, base=None), support=tasks.support[..., :8])


@pytest.mark.parametrize("ways", [0, 2.5, torch.tensor([5, 5])])
def test_bad_ways_are_refused(learner, make_tasks, ways):
    with pytest.raises(InvalidInput, match="ways must be a whole number above zero, or one for each of 4 tasks"):
        logits_of(learner, make_tasks(), ways=ways)


def test_bad_queries_are_refused(learner, make_tasks):
    tasks = make_tasks()
    head = fit(learner, tasks)
    with pytest.raises(InvalidInput, match="query must be"):
        head(tasks.query[0])
    with pytest.raises(InvalidInput, match=r"4 tasks of 16 dimensions; query of shape \(3, 20, 16\)"):
        head(tasks.query[:3])
    with pytest.raises(InvalidInput, match="4 tasks of 16 dimensions"):
        head(tasks.query[..., :8])
    with pytest.raises(InvalidInput, match=r"mask must be bool of shape \(4, 20\)"):
        head(tasks.query, torch.ones(4, 20))
    for value in (torch.nan, torch.inf):
        broken = tasks.query.clone()
        broken[1, 2, 3] = value
        with pytest.raises(InvalidInput, match="queries of task 1 hold NaN or infinite"):
            head(broken)


def test_a_missing_base_mean_is_told(learner, make_tasks):
    tasks = make_tasks()
    if not (learner.needs_base_mean or learner.needs_base_classes):
        fit(learner, replace(tasks, base=None))
        return
    with pytest.raises(InvalidInput, match="pass base=BaseStatistics"):
        learner.fit(tasks.support, tasks.labels, 5)


def test_it_describes_itself(learner):
    facts = describe_learner(learner)
    assert facts["paper"]
    assert facts["summary"]
    assert facts["settings"].keys() == facts["defaults"].keys()
    assert create_learner(facts["name"], **facts["settings"]) == learner
