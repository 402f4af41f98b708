"""The errors a user can meet. Each names the thing, what was needed, what was found and what to do.

All descend from [`FewshotError`][fewshot.errors.FewshotError], so one `except` catches them, and the command line
prints them as one line with exit code 2.
"""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches


class FewshotError(Exception):
    """Anything that `fewshot` refuses to do, with the reason in its message."""


class UnknownName(FewshotError):
    """A name that no registry entry carries; the message lists the nearest ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        known = sorted(known)
        near = get_close_matches(name, known, n=5, cutoff=0.5) or known[:8]
        listed = ", ".join(near) if near else "none"
        super().__init__(f"no {kind} is called {name!r}; near: {listed} (of {len(known)}){'; ' + hint if hint else ''}")


class MissingPackage(FewshotError):
    """A feature needs a package that is not installed; `how` is what to do where pip alone can't install it."""

    def __init__(self, package: str, feature: str, extra: str | None = None, how: str | None = None) -> None:
        target = f"'fewshot[{extra}]'" if extra else package
        how = how or f"run: pip install {target}"
        super().__init__(f"{feature} needs the package {package}, which is not installed; {how}")


class MissingWeights(FewshotError):
    """Pretrained weights are asked for and cannot be had; random ones are never put in their place."""


class MissingData(FewshotError):
    """The files of a data set are not where they were looked for."""


class BrokenImages(FewshotError):
    """Images that cannot be decoded, each by name, in `names`."""

    def __init__(
        self, dataset: str, names: Sequence[str], hint: str = "pass skip_broken=True to leave them out"
    ) -> None:
        self.names = tuple(names)
        listed = ", ".join(self.names[:10]) + (f" and {len(self.names) - 10} more" if len(self.names) > 10 else "")
        super().__init__(f"{dataset}: {len(self.names)} images cannot be read: {listed}; repair them or {hint}")


class SplitError(FewshotError):
    """Splits that share classes, name unknown ones, or do not exist."""


class SamplingError(FewshotError):
    """Episodes that the data cannot give: a class too small, too few classes."""


class InvalidInput(FewshotError, ValueError):
    """An argument of the wrong shape, type or range."""


class FingerprintMismatch(FewshotError):
    """Two things made with different weights, preprocessing or data that would have been mixed."""


class UnreadableFile(FewshotError):
    """A file of ours that is missing, cut short, of another kind or of a later version."""


class UnwritableFile(FewshotError):
    """A file that cannot be written: no space, no permission. What was there before is as it was."""

    def __init__(self, path: object, reason: object) -> None:
        super().__init__(f"{path} cannot be written: {reason}; what was there before is kept")


class IndexLocked(FewshotError):
    """Another process writes to the index; the message tells which, and since when."""

    def __init__(self, folder: object, holder: Mapping[str, object], waited: float) -> None:
        who = "another process"
        if "pid" in holder:
            who = f"process {holder['pid']} ({holder.get('command', '')}), since {holder.get('since', 'a while')}"
        patience = f"{waited:g} s of waiting were not enough; " if waited else ""
        super().__init__(f"{folder} is being written by {who}; {patience}wait for it to end, or pass a longer --wait")


class Diverged(FewshotError):
    """A training whose loss is NaN or infinite; what was kept before is kept."""


class FewshotWarning(UserWarning):
    """Something was left out or changed on the user's behalf; the message names it."""
