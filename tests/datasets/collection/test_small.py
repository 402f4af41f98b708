from importlib.util import find_spec

import numpy as np
import pytest

from fewshot.datasets import describe_dataset, load_dataset
from fewshot.datasets.collection.openmoji import PACKAGES


@pytest.mark.parametrize(("name", "step"), [("glyphs", 12), ("openmoji", 5)])
def test_a_small_set_is_every_so_manyth_class(name, step):
    if name == "openmoji" and not all(map(find_spec, PACKAGES)):
        pytest.skip("needs the extra: pip install 'fewshot[offline]'")
    whole, small, facts = load_dataset(name), load_dataset(f"{name}-small"), describe_dataset(f"{name}-small")
    assert (len(small.class_names), len(small)) == (facts["classes"], facts["items"])
    assert small.class_names == whole.class_names[step // 2 :: step]
    assert small.name == f"{name}-small"
    at = {item: index for index, item in enumerate(whole.ids)}
    for index in range(0, len(small), 50):
        picture, label = small[index]
        same, other = whole[at[small.ids[index]]]
        assert np.array_equal(np.asarray(picture), np.asarray(same))
        assert small.class_names[label] == whole.class_names[other]
