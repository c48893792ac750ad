"""The errors that a user is meant to read, and the checks of what a user may set."""

import math
from collections.abc import Container, Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


class JmerError(Exception):
    """A mistake outside the program: names the file or value, and the remedy.

    The command line prints the message alone and exits with `exit_code`; the
    traceback is shown under `--debug`.
    """

    exit_code = 1


def quoted(value: object) -> str:
    """A value as an error shows it: its `repr`, of a long one without the middle."""
    return shortened(repr(value))


def shortened(text: str) -> str:
    """A name as an error shows it, of a long one without the middle."""
    return text if len(text) <= 120 else f"{text[:60]}…{text[-20:]}"


class UsageError(JmerError):
    """An option or an experiment that cannot be run as written."""

    exit_code = 2


MOST_SEED = 2**32 - 1
"""JAX makes keys of 32 bits: a larger seed would be another one, under a wrong name."""
MOST_COUNT = 2**31 - 2
"""Of what devices count in 32 bits with a sign, with room for one more."""


def is_whole(value: object, least: int, most: int) -> bool:
    """Whether it is a whole number of that range, and neither 1.0 nor True."""
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    return whole and least <= int(value) <= most  # type: ignore[call-overload]


def option(name: str) -> str:
    """The name of a field as on the command line."""
    return name.replace("_", "-")


Need = Mapping[str, Any] | None
"""What a field of a configuration needs to make a difference: other fields and their
values; nothing ({}) where it makes one, None where nothing helps."""
Needs = Mapping[str, Need]
"""The same of several fields, by name."""


def lacking(config: object, **wanted: Sequence[Any]) -> dict[str, Any]:
    """The fields of a configuration that have none of the values `wanted` of them, each
    with the first of these.

    >>> from jmer.models.meranet import MeranetConfig
    >>> lacking(MeranetConfig(attn="ca"), attn=("both", "st"), flip=(True,))
    {'attn': 'both'}
    """
    found = {name: getattr(config, name) for name in wanted}
    return {n: values[0] for n, values in wanted.items() if found[n] not in values}


class FieldCheck:
    """Refuses what fields of a configuration cannot be.

    Errors say `model.fc6-dilation=0 must be at least 1`: the field as it is typed,
    below `part` if there is one. With `recipe` they say `flow_size=3: must be at least
    4`, as the recipe of a prepared set spells it. NaN never fits; None, which stands
    for nothing chosen, always fits a bound.

    Every method raises: UsageError for the first field that does not fit.
    """

    def __init__(
        self, config: "DataclassInstance", part: str = "", *, recipe: bool = False
    ) -> None:
        self.config, self.recipe = config, recipe
        self.prefix = f"{part}." if part else ""

    def must(self, name: str, fits: bool, rule: str) -> None:
        """`fits`, or the field `name` "must" do what `rule` says."""
        if fits:
            return
        shown = f"{name if self.recipe else option(name)}={getattr(self.config, name)}"
        raise UsageError(
            f"{self.prefix}{shown}{':' if self.recipe else ''} must {rule}"
        )

    def at_least(self, least: float, *names: str) -> None:
        """Numbers from `least` on."""
        for name in names:
            self.must(name, self._within(name, least), f"be at least {least}")

    def finite(self, *names: str, least: float = 0) -> None:
        """Numbers from `least` to below infinity."""
        bound = f"at least {least}" if least else "not negative"
        for name in names:
            fits = self._within(name, least, math.inf)
            self.must(name, fits, f"be finite and {bound}")

    def whole(self, *names: str, least: int = 0, most: int = MOST_COUNT) -> None:
        """Whole numbers of a range."""
        for name in names:
            value = getattr(self.config, name)
            fits = value is None or is_whole(value, least, most)
            self.must(name, fits, f"be a whole number from {least} to {most}")

    def share(self, *names: str) -> None:
        """Numbers from 0 to below 1."""
        for name in names:
            self.must(name, self._within(name, 0, 1), "be in [0, 1)")

    def multiple(
        self, of: int, name: str, *, least: int | None = None, rest: str = ""
    ) -> None:
        """A multiple of `of`, from `least` on (default: from `of` on); `rest` ends the
        message."""
        value = getattr(self.config, name)
        fits = value >= (of if least is None else least) and value % of == 0
        more = "" if least is None else f", {least} or more"
        self.must(name, fits, f"be a multiple of {of}{more}{rest}")

    def one_of(self, known: Container[Any], *names: str) -> None:
        """Values that `known` holds."""
        for name in names:
            fits = getattr(self.config, name) in known
            self.must(name, fits, f"be one of {known}")

    def choices(self) -> None:
        """Every field whose type is a `Literal` has one of its values."""
        # Loaded by whoever has a configuration; a command that has none answers sooner.
        from dataclasses import fields

        for field in fields(self.config):
            if get_origin(field.type) is Literal:
                self.one_of(get_args(field.type), field.name)

    def _within(self, name: str, least: float, below: float | None = None) -> bool:
        value = getattr(self.config, name)
        return value is None or (value >= least and (below is None or value < below))
