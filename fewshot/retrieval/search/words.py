"""A filter's text as words: names, numbers, quoted strings, operators."""

import re
from dataclasses import dataclass

from fewshot.errors import InvalidInput

KEYWORDS = {"and", "or", "not", "in", "is", "null", "like", "ilike", "between", "true", "false"}
_WORD = re.compile(
    r"""\s*(?:
    (?P<number>[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?)(?![\w.])
    | (?P<string>'(?:[^']|'')*')
    | (?P<quoted>"(?:[^"]|"")*"|`[^`]*`)
    | (?P<name>[^\W\d]\w*)
    | (?P<sign><=|>=|!=|<>|==|[=<>(),])
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Word:
    """A word of a filter: its kind (number, string, name, keyword, sign, end), what it says and where it begins."""

    kind: str
    text: str
    at: int


def words_of(text: str) -> list[Word]:
    """The words of `text`, the last of kind "end"; raises `InvalidInput` pointing at what is no word."""
    words: list[Word] = []
    at = 0
    while text[at:].strip():
        found = _WORD.match(text, at)
        if found is None:
            rest = text[at:].strip()
            reason = "a quote is not closed" if rest[0] in "'\"`" else f"{rest[:12]!r} is not understood"
            raise InvalidInput(f"filter {text!r}: {reason}, at character {len(text) - len(text[at:].lstrip()) + 1}")
        kind, said = str(found.lastgroup), found[str(found.lastgroup)]
        if kind == "string":
            said = said[1:-1].replace("''", "'")
        elif kind == "quoted":
            kind, said = "name", said[1:-1].replace('""', '"')
        elif kind == "name" and said.lower() in KEYWORDS:
            kind, said = "keyword", said.lower()
        words.append(Word(kind, said, found.start(found.lastgroup or 0)))
        at = found.end()
    return [*words, Word("end", "the end", len(text))]
