"""What is said of each class: its names in every template, and its descriptions."""

import warnings
from collections.abc import Mapping, Sequence
from itertools import chain

from fewshot.errors import FewshotWarning, InvalidInput
from fewshot.zeroshot.templates import TemplateSet, clean_name

BACKGROUND = "none of these"

Texts = str | Sequence[str]
ClassNames = Sequence[str] | Mapping[str, Texts]


def class_prompts(
    class_names: ClassNames,
    templates: TemplateSet,
    descriptions: Mapping[str, Texts] | None = None,
    synonyms: Mapping[str, Texts] | None = None,
    background: Texts | None = None,
    clean: bool = True,
) -> dict[str, list[str]]:
    """The prompts of each class, in order; `background` adds the class "none of these", which goes by these names.

    A class has a prompt for each of its names and each template, then its descriptions as they are. Its names are the
    class name, or what a mapping says it is called ({"n01443537": "goldfish"}), and its synonyms. Raises `InvalidInput`
    for no classes, a name that is empty or comes twice, a class without any prompt, and descriptions or synonyms of a
    class that is not there; warns of two classes with the same prompts, which nothing can tell apart.
    """
    if isinstance(class_names, str) or not len(class_names):
        raise InvalidInput(f"class names must be a list of one name or more, found {class_names!r}")
    calls: dict[str, Texts] = {name: name for name in class_names}
    if isinstance(class_names, Mapping):
        calls.update(class_names)
    names = [*class_names, *([] if background is None else [BACKGROUND])]
    _check_names(names)
    _check_known("descriptions", descriptions, class_names)
    _check_known("synonyms", synonyms, class_names)
    if background is not None:
        calls[BACKGROUND] = background
    prompts = {}
    for name in names:
        called = [*_texts(calls, name, "name"), *_texts(synonyms, name, "synonym")]
        filled = (templates.fill(clean_name(call) if clean else call) for call in called)
        prompts[name] = [*chain.from_iterable(filled), *_texts(descriptions, name, "description")]
        if not prompts[name]:
            raise InvalidInput(f"class {name!r} has no prompt; give it a description, or give templates")
    _tell_equal(prompts)
    return prompts


def _texts(given: Mapping[str, Texts] | None, name: str, role: str) -> list[str]:
    found = (given or {}).get(name, ())
    texts = [found] if isinstance(found, str) else list(found)
    if not all(isinstance(text, str) and text.strip() for text in texts):
        raise InvalidInput(f"each {role} of class {name!r} must be text that is not empty, found {texts}")
    return texts


def _check_names(names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if not isinstance(name, str) or not name.strip():
            raise InvalidInput(f"each class needs a name that is text, found {name!r}")
        if name in seen:
            raise InvalidInput(f"two classes are called {name!r}; class names must be unique")
        seen.add(name)


def _check_known(role: str, given: Mapping[str, Texts] | None, class_names: ClassNames) -> None:
    unknown = [name for name in given or () if name not in class_names]
    if unknown:
        raise InvalidInput(f"{role} are of class {unknown[0]!r}, which is none of the {len(class_names)} classes")


def _tell_equal(prompts: Mapping[str, Sequence[str]]) -> None:
    owner: dict[tuple[str, ...], str] = {}
    for name, texts in prompts.items():
        other = owner.setdefault(tuple(texts), name)
        if other != name:
            message = f"classes {other!r} and {name!r} have the same prompts, such as {texts[0]!r}: "
            warnings.warn(message + f"{name!r} will never be predicted", FewshotWarning, stacklevel=3)
