"""Pictures that are there more than once, exactly."""

from collections import defaultdict

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
