"""What a run is at, for whoever watches it, and for whoever wants to stop it."""

import contextlib
import dataclasses
import time
from collections.abc import Iterator

# What comes of a wish to stop.
SOONEST = "ends as soon as it can"
SAVES = "finishes the running step, then saves"
COMPILES = "ends once the program is compiled"
LOOKS = "ends once its two epochs are compared"
COMPUTES = "ends with the clips in hand"
REPORTS = "writes the scores and the report first"


@dataclasses.dataclass
class Stage:
    """A part of a run that takes its time."""

    what: str
    """What is done, as `compiling`."""
    then: str
    """What comes of a wish to stop, as in `stopping: …`."""
    patient: bool = False
    """Whether the stage looks for such a wish itself, and ends well by doing so;
    Python is interrupted in all others."""
    hasty: bool = False
    """Whether such a wish ends the process even where Python is not reached: nothing is
    lost by that, and a compiler may be busy for minutes."""
    counted: bool = False
    """Whether it counts what it does, so that its seconds say less."""
    since: float = dataclasses.field(default_factory=lambda: time.monotonic())
    done: int = 0
    total: int | None = None
    """How many of what it does one after another, where there is something to count."""
    note: str = ""

    def count(self, done: int, total: int | None, note: str = "") -> None:
        self.done, self.total, self.note = done, total, note

    @property
    def counts(self) -> str:
        """How far it is, in words."""
        return f"{self.done}/{self.total}" if self.total else f"{self.done or ''}"

    @property
    def share(self) -> float | None:
        return self.done / self.total if self.total else None

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.since


_stages: list[Stage] = []


@contextlib.contextmanager
def stage(
    what: str,
    then: str = SOONEST,
    *,
    patient: bool = False,
    hasty: bool = False,
    counted: bool = False,
) -> Iterator[Stage]:
    """The block is that stage, or a stage within another."""
    begun = Stage(what, then, patient, hasty, counted)
    _stages.append(begun)
    try:
        yield begun
    finally:
        _stages.remove(begun)


def current() -> Stage | None:
    """The innermost stage of this process; one thread has them."""
    with contextlib.suppress(IndexError):
        return _stages[-1]
    return None
