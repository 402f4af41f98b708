import pytest
import torch
from torch.utils.data import TensorDataset

from fewshot.episodes import EpisodeSampler
from fewshot.errors import FewshotWarning, InvalidInput, SamplingError
from fewshot.learners.meta.interop.learn2learn import SampledTaskset, episodes_from_taskset

l2l = pytest.importorskip("learn2learn", reason="the extra learn2learn is not installed")

CLASSES, PER_CLASS, WAYS, SHOTS, QUERIES = 6, 9, 3, 2, 4
LABELS = 10 + torch.arange(CLASSES).repeat_interleave(PER_CLASS)
IMAGES = torch.arange(len(LABELS)).float().view(-1, 1, 1, 1).expand(-1, 1, 2, 2)  # an image tells its number


def taskset(num_tasks, *more, choose=None, dataset=None):
    dataset = dataset or l2l.data.MetaDataset(TensorDataset(IMAGES, LABELS))
    transforms = l2l.data.transforms
    choose = choose or [transforms.NWays(dataset, WAYS), transforms.KShots(dataset, SHOTS + QUERIES)]
    rest = [transforms.LoadData(dataset), transforms.RemapLabels(dataset), transforms.ConsecutiveLabels(dataset)]
    return l2l.data.Taskset(dataset, [*choose, *rest, *more], num_tasks=num_tasks)


def fused(dataset):
    return [l2l.data.transforms.FusedNWaysKShots(dataset, n=WAYS, k=SHOTS + QUERIES)]


def test_the_episodes_of_a_finite_taskset_are_its_tasks():
    theirs = taskset(7)
    loaded = [theirs[index] for index in range(3)]  # these keep their description, the others are drawn now
    episodes = episodes_from_taskset(theirs, SHOTS)
    assert episodes.support.shape == (7, WAYS * SHOTS)
    assert episodes.query.shape == (7, WAYS * QUERIES)
    episodes.check(LABELS)
    for index, (images, labels) in enumerate(loaded + [theirs[index] for index in range(3, 7)]):
        task = episodes[index]
        items = torch.cat([task.support, task.query], 1)[0]
        assert set(items.tolist()) == set(images[:, 0, 0, 0].long().tolist())
        (support, _), (query, _) = l2l.data.partition_task(images, labels, shots=SHOTS)
        assert set(task.support[0].tolist()) == set(support[:, 0, 0, 0].long().tolist())
        assert set(task.query[0].tolist()) == set(query[:, 0, 0, 0].long().tolist())


def test_a_taskset_without_end_gives_as_many_as_are_asked_for():
    dataset = l2l.data.MetaDataset(TensorDataset(IMAGES, LABELS))
    endless = taskset(-1, choose=fused(dataset), dataset=dataset)
    episodes = episodes_from_taskset(endless, SHOTS, tasks=40)
    episodes.check(LABELS)
    assert len(episodes) == 40
    assert episodes.ways == WAYS
    assert len(episodes.classes.unique()) == CLASSES
    assert episodes.settings == {"sampler": "learn2learn"}
    assert len(episodes_from_taskset(taskset(9), SHOTS, tasks=4)) == 4


def test_a_taskset_over_part_of_the_labels_keeps_to_it():
    whole = l2l.data.MetaDataset(TensorDataset(IMAGES, LABELS))
    part = l2l.data.FilteredMetaDataset(whole, labels=[11, 13, 14, 15])
    episodes = episodes_from_taskset(taskset(-1, dataset=part), SHOTS, tasks=30)
    episodes.check(torch.tensor([part[item][1] for item in range(len(part))]))
    assert episodes.classes.unique().tolist() == [11, 13, 14, 15]


def test_transforms_of_the_images_are_warned_of():
    dataset = l2l.data.MetaDataset(TensorDataset(IMAGES, LABELS))
    turned = l2l.vision.transforms.RandomClassRotation(dataset, [0.0, 90.0])
    with pytest.warns(FewshotWarning, match="do not carry what RandomClassRotation does to the images"):
        episodes = episodes_from_taskset(taskset(-1, turned, dataset=dataset), SHOTS, tasks=2)
    episodes.check(LABELS)


@pytest.mark.parametrize("shots", [0, SHOTS + QUERIES])
def test_shots_must_leave_queries(shots):
    with pytest.raises(SamplingError, match=f"gives 6 items a class; shots must be 1 to 5, found {shots}"):
        episodes_from_taskset(taskset(2), shots)


def test_what_a_taskset_cannot_give():
    with pytest.raises(InvalidInput, match=r"has no end \(num_tasks=-1\); say how many"):
        episodes_from_taskset(taskset(-1), SHOTS)
    with pytest.raises(SamplingError, match="8 tasks were asked of a taskset of 7"):
        episodes_from_taskset(taskset(7), SHOTS, tasks=8)
    with pytest.raises(SamplingError, match="the taskset has no transforms that choose items; give it NWays"):
        episodes_from_taskset(l2l.data.Taskset(TensorDataset(IMAGES, LABELS)), SHOTS, tasks=1)
    uneven = l2l.data.MetaDataset(TensorDataset(IMAGES[:-1], LABELS[:-1]))
    every = [l2l.data.transforms.NWays(uneven, CLASSES)]
    with pytest.raises(SamplingError, match="give the taskset NWays and KShots"):
        episodes_from_taskset(taskset(1, choose=every, dataset=uneven), SHOTS)
    dataset = l2l.data.MetaDataset(TensorDataset(IMAGES, LABELS))
    again = [l2l.data.transforms.FusedNWaysKShots(dataset, n=WAYS, k=PER_CLASS + 1, replacement=True)]
    with pytest.raises(InvalidInput, match="an item is in two places"):
        episodes_from_taskset(taskset(1, choose=again, dataset=dataset), SHOTS)


def test_a_function_may_choose_the_items():
    dataset = l2l.data.MetaDataset(TensorDataset(IMAGES, LABELS))

    def choose(description):
        return fused(dataset)[0](description)

    with pytest.warns(FewshotWarning, match="do not carry what choose does"):
        episodes = episodes_from_taskset(l2l.data.Taskset(dataset, choose, num_tasks=3), SHOTS)
    episodes.check(LABELS)


def test_labels_must_be_whole_numbers():
    named = {item: f"class {label}" for item, label in enumerate(LABELS.tolist())}
    dataset = l2l.data.MetaDataset(TensorDataset(IMAGES, LABELS), indices_to_labels=named)
    with pytest.raises(InvalidInput, match="whole numbers as labels, found 'class 1"):
        episodes_from_taskset(taskset(1, dataset=dataset), SHOTS)


def sampled(num_tasks):
    return SampledTaskset(EpisodeSampler(LABELS, WAYS, SHOTS, QUERIES, seed=3), IMAGES, num_tasks)


def test_a_sampled_taskset_holds_the_tasks_of_its_sampler():
    ours = sampled(5)
    episodes = ours.sampler.sample(5)
    assert len(ours) == 5
    assert len(list(ours)) == 5
    for task, (images, labels) in zip(episodes, ours, strict=True):
        assert labels.tolist() == [label for label in range(WAYS) for _ in range(SHOTS + QUERIES)]
        (support, support_labels), (query, query_labels) = l2l.data.partition_task(images, labels, shots=SHOTS)
        assert torch.equal(support, IMAGES[task.support[0]])
        assert torch.equal(support_labels, task.support_labels[0])
        assert torch.equal(query, IMAGES[task.query[0]])
        assert torch.equal(query_labels, task.query_labels[0])


def test_sample_goes_round_and_an_endless_taskset_goes_on():
    ours, endless = sampled(2), sampled(-1)
    drawn = [ours.sample()[0] for _ in range(3)]
    assert torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0], drawn[1])
    assert len(endless) == 1
    for _, (images, _) in zip(range(4), endless, strict=False):
        assert torch.equal(images, endless.sample()[0])
    assert torch.equal(endless[1][0], drawn[1])


def test_learn2learn_trains_on_a_sampled_taskset():
    features = torch.randn(len(LABELS), 8) + 4 * torch.nn.functional.one_hot(LABELS - 10, 8)
    tasks = SampledTaskset(EpisodeSampler(LABELS, WAYS, SHOTS, QUERIES), features)
    maml = l2l.algorithms.MAML(torch.nn.Linear(8, WAYS), lr=0.5)
    right = 0.0
    for _ in range(20):
        (support, labels), (query, truth) = l2l.data.partition_task(*tasks.sample(), shots=SHOTS)
        learner = maml.clone()
        for _ in range(5):
            learner.adapt(torch.nn.functional.cross_entropy(learner(support), labels))
        right += float((learner(query).argmax(1) == truth).double().mean()) / 20
    assert right > 0.9


def test_what_a_sampled_taskset_refuses():
    sampler = EpisodeSampler(LABELS, WAYS, SHOTS, QUERIES)
    with pytest.raises(InvalidInput, match="inputs must hold one for each of the sampler's 54 labels, found 53"):
        SampledTaskset(sampler, IMAGES[:-1])
    with pytest.raises(InvalidInput, match="num_tasks must be above zero, or -1 for no end; found 0"):
        SampledTaskset(sampler, IMAGES, 0)
    with pytest.raises(IndexError, match="there is no task 5 among 5"):
        sampled(5)[5]
