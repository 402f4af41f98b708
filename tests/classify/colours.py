"""A backbone that sees mean colours, pictures of three colours, and words for them."""

import numpy as np
import torch

from fewshot.learners import Words

COLOURS = {"red": (220, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 220)}


class MeanColour:
    """A backbone whose features are the mean of each channel in each quarter of the image."""

    name, dim, device, precision, layers, fingerprint = "test:mean", 12, torch.device("cpu"), "float32", None, "f00d"
    text = None

    @staticmethod
    def preprocess(image):
        return torch.from_numpy(np.array(image.resize((8, 8)))).permute(2, 0, 1).float() / 255

    def __call__(self, images):
        return torch.nn.functional.adaptive_avg_pool2d(images, 2).flatten(1)

    def describe(self):
        return {"name": self.name, "fingerprint": self.fingerprint}


def images_of(colours, seed=0, count=4, shift=0.0):
    """Pictures and their names. Under a large shift, the spread of whole pictures, colours are taken for each other."""
    noise, other = np.random.default_rng(seed), np.random.default_rng(seed + 1000)
    names = [name for name in colours for _ in range(count)]
    pixels = [COLOURS[name] + noise.integers(-30, 30, (8, 8, 3)) + other.normal(0, shift, 3) for name in names]
    return [np.clip(each, 0, 255).astype(np.uint8) for each in pixels], names


def colour_words(scale: float = 20.0) -> Words:
    """Each colour by itself, as a text tower would give it."""
    vectors = torch.tensor(list(COLOURS.values())).float().repeat_interleave(4, dim=1)
    vectors = torch.nn.functional.normalize(vectors, dim=1)
    return Words(vectors, tuple(COLOURS), scale=scale, backbone="f00d", prompts=vectors[:, None], raw=vectors)
