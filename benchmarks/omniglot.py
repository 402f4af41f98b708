"""Load all 32,460 images of Omniglot (105 × 105, one bit a pixel) from the local data folder.

Run with `uv run python benchmarks/omniglot.py`; needs `FEWSHOT_DATA`.
"""

from timing import keep, side_by_side

import fewshot


def main() -> None:
    def load() -> fewshot.Dataset:
        dataset = fewshot.load_dataset("omniglot")
        assert len(dataset) == 32_460
        return dataset

    def load_and_read() -> None:
        dataset = load()
        for index in range(len(dataset)):
            dataset.images[index]

    measurements = {
        "load": side_by_side({"load_dataset('omniglot')": load}, rounds=5),
        "load and decode every image": side_by_side({"one process": load_and_read}, rounds=3),
    }
    keep("omniglot", {"work": "32,460 images of 105 × 105", "measurements": measurements})


if __name__ == "__main__":
    main()
