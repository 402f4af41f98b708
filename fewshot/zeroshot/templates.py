"""Prompt templates: sentences with one `{}` for the name of a class, in the sets that were published with CLIP."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fewshot.errors import InvalidInput, MissingData, MissingPackage, UnknownName
from fewshot.files import data_folder, read_json
from fewshot.fingerprint import fingerprint

Template = str | Callable[[str], str]

_OWN_SETS = {"name": ("{}",), "simple": ("a photo of a {}.",)}
_IMAGENET = {"imagenet": "OPENAI_IMAGENET_TEMPLATES", "imagenet-simple": "SIMPLE_IMAGENET_TEMPLATES"}
_HYPHEN = re.compile(r"(?<=[^\W\d_]{2})-(?=[^\W\d_]{2})")  # between two letters and two letters


@dataclass(frozen=True)
class TemplateSet:
    """Templates and what they are called; a set that nobody named is called after its content."""

    name: str
    templates: tuple[Template, ...]

    def fill(self, class_name: str) -> list[str]:
        """The prompts of a class, one a template."""
        return [_fill(template, class_name) for template in self.templates]

    def describe(self) -> dict[str, Any]:
        """What a result keeps of it: name, number and fingerprint."""
        return {"name": self.name, "count": len(self.templates), "fingerprint": fingerprint(self.fill("{}"))}


def template_set(templates: "str | TemplateSet | Sequence[Template] | None") -> TemplateSet:
    """The set called so, or one made of own templates.

    "simple" is "a photo of a {}.", "name" the bare name, "imagenet" CLIP's 80 and "imagenet-simple" its best 7,
    "openai:CIFAR100" those that CLIP's authors used for that data set. A text with `{}` is a template of its own, and
    so is each of a sequence, or a function from a name to a prompt; None is the empty set, for descriptions alone.

    Raises `UnknownName`, `MissingData` where the published sets are not at hand, and `InvalidInput` for a template that
    does not hold `{}` exactly once.
    """
    if isinstance(templates, TemplateSet):
        return templates
    if isinstance(templates, str) and "{}" not in templates:
        return TemplateSet(templates, _named(templates))
    if isinstance(templates, str) or callable(templates):
        templates = (templates,)
    chosen = tuple(templates or ())
    for template in chosen:
        if not callable(template) and (not isinstance(template, str) or template.count("{}") != 1):
            raise InvalidInput(f"a template must hold {{}} once, where the class name goes, found {template!r}")
    filled = [_fill(template, "{}") for template in chosen]
    return TemplateSet(f"own-{fingerprint(filled)}" if filled else "none", chosen)


def list_templates() -> list[str]:
    """The names of all sets; those of CLIP's data sets only where their file is at hand."""
    published = [f"openai:{name}" for name in published_prompts()] if _published_file() else []
    return [*_OWN_SETS, *_IMAGENET, *published]


def published_classes(dataset: str) -> dict[str, tuple[str, ...]]:
    """The classes of a data set as CLIP's authors named them, in its order, each with all its names (most have one).

    `build_words` takes them as its class names.
    """
    classes = _published(dataset)["classes"]
    return {names[0]: tuple(names) for names in ([entry] if isinstance(entry, str) else entry for entry in classes)}


def published_prompts() -> dict[str, Any]:
    """Classes and templates of 26 data sets, as OpenAI published them with CLIP, read from the data folder."""
    file = _published_file()
    if file is None:
        raise MissingData(
            "the published prompts are in clip_prompts/clip_prompts.json of the data folder, which is not there; set "
            'FEWSHOT_DATA to a folder that has it, or use templates="imagenet"'
        )
    return read_json(file)


def clean_name(name: str) -> str:
    """A class name as one would write it: underscores become blanks, and hyphens too where they stand for blanks.

    A hyphen stays in a name that has blanks, and beside single letters and digits: "Golden-Delicious" becomes
    "Golden Delicious"; "hard-leaved pocket orchid", "T-shirt" and "DC-10" stay.
    """
    spoken = name if " " in name else _HYPHEN.sub(" ", name)
    return spoken.replace("_", " ").strip()


def _named(name: str) -> tuple[Template, ...]:
    if name in _OWN_SETS:
        return _OWN_SETS[name]
    if name in _IMAGENET:
        try:
            import open_clip
        except ImportError:
            raise MissingPackage("open_clip_torch", f"the template set {name!r}") from None
        return tuple(getattr(open_clip, _IMAGENET[name]))
    source, _, dataset = name.partition(":")
    if source == "openai" and dataset:
        return tuple(_published(dataset)["templates"])
    raise UnknownName("template set", name, list_templates(), hint="a template of your own holds {}")


def _published(dataset: str) -> dict[str, Any]:
    sets = published_prompts()
    for name, found in sets.items():
        if name.lower() == dataset.lower():
            return found
    raise UnknownName("published prompt set", dataset, sets)


def _published_file() -> Path | None:
    folder = data_folder()
    file = folder and folder / "clip_prompts" / "clip_prompts.json"
    return file if file and file.is_file() else None


def _fill(template: Template, class_name: str) -> str:
    prompt = template.replace("{}", class_name) if isinstance(template, str) else template(class_name)
    if not isinstance(prompt, str):
        raise InvalidInput(f"a template must give text, found {prompt!r} for the class {class_name!r}")
    return prompt
