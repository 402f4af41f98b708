from dataclasses import replace
from fractions import Fraction

import pytest
import torch

from fewshot.benchmark import Protocol
from fewshot.benchmark.pools import pooled_table, share_of_each_class
from fewshot.embeddings import EmbeddingTable
from fewshot.errors import InvalidInput


def table(name, names=("a", "b"), items=9):
    labels = torch.arange(len(names)).repeat_interleave(items)
    ids = tuple(f"{name}/{row}" for row in range(len(labels)))
    return EmbeddingTable(torch.randn(len(labels), 3), labels, tuple(names), ids)


def test_a_share_divides_every_class_alike():
    labels = torch.tensor([0] * 10 + [1] * 5 + [2] * 2)
    pool = share_of_each_class(labels, Fraction(2, 3))
    assert [int(pool[labels == label].sum()) for label in range(3)] == [6, 3, 1]
    assert torch.equal(pool, share_of_each_class(labels, Fraction(2, 3)))
    assert not torch.equal(pool, share_of_each_class(labels, Fraction(2, 3), seed=1))
    assert pool[:6].sum() not in (0, 6)  # a draw, not the first ones


def test_a_pool_of_another_split_is_put_before_the_test():
    tables = {"train": table("train", ("b", "a")), "test": table("test", items=4)}
    whole, pool = pooled_table("test", "train", tables.__getitem__)
    assert pool.sum() == 18
    assert whole.ids[:18] == tables["train"].ids
    assert [whole.class_names[label] for label in whole.labels[18:].tolist()] == ["a"] * 4 + ["b"] * 4


def test_pools_that_do_not_fit_are_refused():
    tables = {"train": table("train", ("a", "c")), "test": table("test")}
    with pytest.raises(InvalidInput, match="the pool train has other classes than test"):
        pooled_table("test", "train", tables.__getitem__)
    with pytest.raises(InvalidInput, match="between 0 and 1, such as 2/3; found 3/2"):
        pooled_table("test", "3/2", tables.__getitem__)
    with pytest.raises(InvalidInput, match="a task has all classes; set ways='all', found 5"):
        Protocol("digits", pool="2/3")
    with pytest.raises(InvalidInput, match="tuning 'few' takes validation items from a pool"):
        Protocol("digits", tuning="few")


def test_a_protocol_with_a_pool_draws_what_it_says():
    protocol = Protocol("digits", ways="all", shots=2, pool="2/3", tuning="few", words="simple", episodes=10)
    whole, pool = pooled_table("all", "2/3", lambda split: table(split))
    episodes = protocol.split_sampler(whole, pool).sample(10)
    episodes.check(whole.labels)
    assert pool[episodes.support].all()
    assert episodes.validation.shape == (10, 4)
    assert not pool[episodes.query].any()
    assert protocol.name == "digits_all_allw2s_10e_seed0_pool-2/3_words-simple_tuning-few"
    assert protocol.task == "all-way 2-shot, pool 2/3, words simple, tuning few"
    assert Protocol.from_json(protocol.to_json()) == protocol


def test_halves_share_their_supports_and_not_their_classes():
    base = Protocol("digits", ways="all", shots=2, pool="2/3", words="simple", episodes=5, half="base")
    whole, pool = pooled_table("all", "2/3", lambda split: table(split, names=tuple("abcde")))
    known, new = (each.split_sampler(whole, pool).sample(5) for each in (base, replace(base, half="new")))
    known.check(whole.labels)
    new.check(whole.labels)
    assert torch.equal(known.support, new.support)
    assert (known.classes[0].tolist(), new.asked[0].tolist()) == ([0, 1, 2], [3, 4]), "the first half is the larger"
    assert set(whole.labels[known.query[0]].tolist()) == {0, 1, 2}
    assert base.task == "all-way 2-shot, pool 2/3, words simple, base half"
    assert base.name == "digits_all_allw2s_5e_seed0_pool-2/3_words-simple_half-base"
    assert Protocol.from_json(base.to_json()) == base
    with pytest.raises(InvalidInput, match="digits has 3 classes; two halves of two classes need 4 or more"):
        base.split_sampler(*pooled_table("all", "2/3", lambda split: table(split, names=tuple("abc"))))
    with pytest.raises(InvalidInput, match="half must be base or new, found 'old'"):
        replace(base, half="old")
    with pytest.raises(InvalidInput, match="halves of the classes need a pool"):
        Protocol("digits", half="base")


@pytest.mark.gpu
def test_halves_of_a_table_on_the_gpu_are_those_on_the_cpu():
    base = Protocol("digits", ways="all", shots=2, pool="2/3", episodes=3, half="base")
    drawn = []
    for device in ("cpu", "cuda"):
        whole, pool = pooled_table("all", "2/3", lambda split: table(split, names=tuple("abcde")).to(device))  # noqa: B023
        drawn.append(base.split_sampler(whole, pool).sample(3))
    assert drawn[0].fingerprint == drawn[1].fingerprint
