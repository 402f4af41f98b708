import numpy as np
from sklearn.datasets import load_digits

from fewshot.datasets import load_dataset


def test_digits_are_those_of_scikit_learn_in_dark_ink():
    dataset, bunch = load_dataset("digits"), load_digits()
    assert (len(dataset), dataset.class_names) == (1797, tuple("0123456789"))
    assert dataset.labels.tolist() == bunch.target.tolist()
    ink = 1 - np.stack([np.asarray(picture)[..., 0] for picture, _ in dataset]) / 255
    assert np.abs(ink - bunch.images / 16).max() < 0.5 / 255 + 1e-9
