"""Pictures that are there more than once, exactly."""

from collections import defaultdict
from collections.abc import Sequence

from fewshot.datasets.images import Images


def duplicate_groups(images: Images) -> list[list[int]]:
    """Indices of pictures that are equal byte for byte, one list for each picture that is there twice or more."""
    places = defaultdict(list)
    for index, digest in enumerate(images.digests()):
        places[digest].append(index)
    groups = []
    for group in places.values():
        if len(group) > 1:
            equal = [group[0], *(index for index in group[1:] if images.same(group[0], index))]
            if len(equal) > 1:
                groups.append(equal)
    return groups


def pairs_across(groups: Sequence[Sequence[int]], home: Sequence[object]) -> list[tuple[int, int]]:
    """(first, other) of each group of equal pictures where the two have different homes (splits, parts or classes)."""
    return [(group[0], other) for group in groups for other in group[1:] if home[group[0]] != home[other]]
