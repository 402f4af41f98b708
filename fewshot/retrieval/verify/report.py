"""What a verification found."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: `ok` is None where it could not be; `told` says what was found."""

    name: str
    ok: bool | None
    told: str


@dataclass(frozen=True)
class Report:
    """All checks of one version (`version` is None where not even that can be read)."""

    index: str
    version: int | None
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing was found wrong."""
        return all(check.ok is not False for check in self.checks)

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, a line each."""
        return tuple(f"{check.name}: {check.told}" for check in self.checks if check.ok is False)

    def to_json(self) -> dict[str, Any]:
        """Index, version, whether all is well, and each check with what it found, ready for JSON."""
        checks = [{"check": check.name, "ok": check.ok, "found": check.told} for check in self.checks]
        return {"index": self.index, "version": self.version, "ok": self.ok, "checks": checks}
