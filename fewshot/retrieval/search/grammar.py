"""The grammar of filters: from words to a pyarrow expression, and nothing that could be run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fewshot.errors import InvalidInput, UnknownName
from fewshot.retrieval.search.words import Word, words_of

COMPARISONS = {
    "=": "equal", "==": "equal", "!=": "not_equal", "<>": "not_equal",
    "<": "less", "<=": "less_equal", ">": "greater", ">=": "greater_equal",
}  # fmt: skip
DEEPEST = 100


class Filter:
    """A filter read once: `expression` for pyarrow, `columns` it looks at.

    `types` are the columns there are, with their pyarrow types. Raises `InvalidInput` for a text that is no filter or
    compares a column with a value of another type, `UnknownName` for an unknown column.
    """

    def __init__(self, text: str, types: Mapping[str, Any]) -> None:
        self.text, self._types = text, types
        self._words, self._at, self._depth = words_of(text), 0, 0
        self.columns: set[str] = set()
        self.expression = self._either()
        if self._next.kind != "end":
            raise self._wrong("and, or or the end", self._next)

    @property
    def _next(self) -> Word:
        return self._words[self._at]

    def _take(self) -> Word:
        word = self._next
        self._at += word.kind != "end"
        return word

    def _took(self, *texts: str) -> bool:
        """Whether these signs or keywords come next; if so they are taken."""
        ahead = self._words[self._at : self._at + len(texts)]
        if [word.text for word in ahead if word.kind in ("sign", "keyword")] != list(texts):
            return False
        self._at += len(texts)
        return True

    def _need(self, text: str) -> None:
        if not self._took(text):
            raise self._wrong(text, self._next)

    def _either(self) -> Any:
        found = self._both()
        while self._took("or"):
            found = found | self._both()
        return found

    def _both(self) -> Any:
        found = self._opposite()
        while self._took("and"):
            found = found & self._opposite()
        return found

    def _opposite(self) -> Any:
        self._depth += 1
        if self._depth > DEEPEST:
            raise InvalidInput(f"filter {self.text[:60]!r}...: more than {DEEPEST} levels deep")
        if self._took("not"):
            found = ~self._opposite()
        elif self._took("("):
            found = self._either()
            self._need(")")
        else:
            found = self._comparison()
        self._depth -= 1
        return found

    def _comparison(self) -> Any:
        from pyarrow import compute

        name = self._column(self._take())
        field = compute.field(name)
        if self._took("is"):
            missing = not self._took("not")
            self._need("null")
            return field.is_null() if missing else field.is_valid()
        word = self._next
        if word.kind == "sign" and word.text in COMPARISONS:
            self._take()
            if self._next.kind == "name":
                return getattr(compute, COMPARISONS[word.text])(field, compute.field(self._column(self._take())))
            return getattr(compute, COMPARISONS[word.text])(field, self._value(name))
        opposite = self._took("not")
        found = self._membership(name, field)
        return ~found if opposite else found

    def _membership(self, name: str, field: Any) -> Any:
        import pyarrow
        from pyarrow import compute

        if self._took("in"):
            self._need("(")
            values = [self._value(name)]
            while self._took(","):
                values.append(self._value(name))
            self._need(")")
            found = field.isin(pyarrow.array([value.as_py() for value in values], self._types[name]))
            # a missing value is in no list, and not outside of one either
            return compute.if_else(field.is_valid(), found, pyarrow.scalar(None, pyarrow.bool_()))
        if self._took("between"):
            low = self._value(name)
            self._need("and")
            return (field >= low) & (field <= self._value(name))
        for keyword in ("like", "ilike"):
            if self._took(keyword):
                pattern = self._take()
                if pattern.kind != "string" or not pyarrow.types.is_string(self._types[name]):
                    raise self._wrong(f"a 'pattern' and a column of strings for {keyword}", pattern)
                return compute.match_like(field, pattern.text, ignore_case=keyword == "ilike")
        raise self._wrong("a comparison (= != < <= > >= in between like is null)", self._next)

    def _column(self, word: Word) -> str:
        if word.kind != "name":
            raise self._wrong("the name of a column", word)
        if word.text not in self._types:
            raise UnknownName("column of the index", word.text, self._types)
        self.columns.add(word.text)
        return word.text

    def _value(self, name: str) -> Any:
        """The next word as a value of the column's own type."""
        import pyarrow

        word = self._take()
        if word.kind == "number":
            value: Any = float(word.text) if set(word.text) & set(".eE") else int(word.text)
        elif word.kind == "string":
            value = word.text
        elif word.text in ("true", "false"):
            value = word.text == "true"
        else:
            raise self._wrong("a number, a 'string', true or false", word)
        type_ = self._types[name]
        try:
            if isinstance(value, str) and pyarrow.types.is_temporal(type_):
                return pyarrow.scalar(value).cast(type_)
            if isinstance(value, float) and pyarrow.types.is_integer(type_):
                return pyarrow.scalar(value)
            if isinstance(value, bool) != pyarrow.types.is_boolean(type_):
                raise TypeError
            return pyarrow.scalar(value, type_)
        except (pyarrow.ArrowException, TypeError, OverflowError):
            shown = repr(value) if isinstance(value, str) else word.text
            raise InvalidInput(f"filter {self.text!r}: column {name} holds {type_}, and {shown} is none") from None

    def _wrong(self, wanted: str, found: Word) -> InvalidInput:
        shown = "the end" if found.kind == "end" else repr(found.text)
        return InvalidInput(f"filter {self.text!r}: expected {wanted}, found {shown} at character {found.at + 1}")
