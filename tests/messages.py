"""Short messages of three kinds, new ones of the same kinds, and both as tables that a person would write."""

import csv
from pathlib import Path

MESSAGES = {
    "cooking": (
        "Simmer the tomato sauce for twenty minutes.",
        "Whisk the eggs with sugar until they are pale.",
        "The bread dough must rise overnight in the fridge.",
        "Add garlic, olive oil and a pinch of salt.",
        "Roast the carrots in the oven with honey.",
        "How long should I boil the potatoes?",
        "Grandma's soup needs more pepper.",
    ),
    "sport": (
        "She scored the winning goal in extra time.",
        "The marathon runners reached the stadium at noon.",
        "Our team lost the final after two penalties.",
        "He served three aces in the tennis match.",
        "The coach changed the line-up at half time.",
        "A new world record in the 200 m butterfly!",
        "The referee showed him a red card.",
    ),
    "travel": (
        "Our flight to Lisbon leaves at seven in the morning.",
        "The hotel by the beach was fully booked.",
        "Don't forget your passport and the train tickets.",
        "We hired a car and drove along the coast.",
        "Which museum should we visit in Vienna?",
        "The border guard stamped our visas.",
        "Luggage can be left at the station.",
    ),
}
NEW = {
    "cooking": ("Bake the cake until a fork comes out clean.", "Chop the onions and fry them in butter."),
    "sport": ("The goalkeeper saved the shot.", "They won the basketball game by two points."),
    "travel": ("The ferry to the island takes three hours.", "Our suitcases got lost at the airport."),
}


def pairs(messages: dict[str, tuple[str, ...]]) -> tuple[list[str], list[str]]:
    """The texts, and the name of the class of each."""
    texts = [text for each in messages.values() for text in each]
    return texts, [name for name, each in messages.items() for _ in each]


def write_table(path: Path, messages: dict[str, tuple[str, ...]], labels: bool = True) -> None:
    """A CSV with the column text, and the column label."""
    rows = zip(*pairs(messages), strict=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"] if labels else ["text"])
        writer.writerows(row if labels else row[:1] for row in rows)
