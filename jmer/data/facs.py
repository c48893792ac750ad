"""Action units of the Facial Action Coding System as annotators write them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from jmer.errors import quoted

Kind = Literal["AU", "AD", "M"]
Side = Literal["", "left", "right", "asymmetric", "top", "bottom"]

KINDS: dict[str, Kind] = {"AU": "AU", "AD": "AD", "M": "M"}
SIDES: dict[str, Side] = {
    "L": "left",
    "R": "right",
    "A": "asymmetric",
    "T": "top",
    "B": "bottom",
}
EMPTY = ("", "null", "none", "nan", "/", "-", "0", "softfocus")
# A code, such as R12, 5B, 10A/B, A/L12, AD31, M58, ref(43) or 4(k).
CODE = re.compile(
    r"(?P<kind>AU|AD|M)?(?P<side>[LRATB](?:/[LRATB])*)?(?P<number>\d{1,2})"
    r"(?P<intensity>[A-E](?:/[A-E])*)?(?P<static>\(K\))?(?P<doubt>\?)?"
)
# Davison, Merghani & Yap 2018, table of objective classes; VII is all else.
CLASSES = {
    "I": "6 12 6+12 6+7+12 7+12",
    "II": "1+2 5 25 1+2+25 25+26 5+24",
    "III": "23 4 4+7 4+5 4+5+7 17+24 4+6+7 4+38",
    "IV": "10 9 4+9 4+40 4+5+40 4+7+9 4+9+17 4+7+10 4+5+7+9 7+10",
    "V": "15 1 1+4 6+15 15+17",
    "VI": "1+2+4 20",
}
OBJECTIVE = (*CLASSES, "VII")
BY_UNITS = {
    frozenset(map(int, units.split("+"))): name
    for name, row in CLASSES.items()
    for units in row.split()
}


@dataclass(frozen=True)
class ActionUnit:
    """One coded movement."""

    number: int
    kind: Kind = "AU"
    """An action unit, an action descriptor, or a movement of the head or eyes."""
    side: Side = ""
    """Where it is, unless on both sides alike."""
    intensity: str = ""
    """A (trace) to E (maximum); empty where the annotation gives none."""
    doubtful: bool = False
    """Marked `?`, or the first of several that the annotation leaves open."""

    def __str__(self) -> str:
        kind = "" if self.kind == "AU" else self.kind
        side = self.side[:1].upper()
        doubt = "?" if self.doubtful else ""
        return f"{kind}{side}{self.number}{self.intensity}{doubt}"


def parse_action_units(text: str) -> tuple[ActionUnit, ...]:
    """The units of an annotation, in its order, each once: `R12 + 5B`, `4,11`.

    `+` and commas (full-width ones too) join; of `x or y`, `A/L12` and `10A/B` the
    first is taken and called doubtful; `(k)`, a unit that was there all the time, and
    `ref(43)`, one that an annotator only refers to, are left out; parentheses else
    mean nothing.

    Raises: ValueError quoting the part that is no code.

    >>> [str(unit) for unit in parse_action_units("R12B + 5, ref(43), 4 or 9")]
    ['R12B', '5', '4?']
    """
    plain = re.sub(r"\s+", "", text).replace("，", ",").replace("＋", "+")
    plain = re.sub(r"ref\(\d+\)", "", plain, flags=re.IGNORECASE)
    units: dict[tuple[str, int], ActionUnit] = {}
    for part in re.split(r"[+,;]", _without_parentheses(plain)):
        if part.lower() in EMPTY:
            continue
        first, *others = re.split(r"or", part, flags=re.IGNORECASE)
        found = [CODE.fullmatch(code.upper()) for code in (first, *others)]
        if not all(found) or found[0] is None:
            raise ValueError(f"{quoted(part)} is no action unit")
        code = found[0]
        if code["static"]:
            continue
        side, intensity = code["side"] or "", code["intensity"] or ""
        unit = ActionUnit(
            number=int(code["number"]),
            kind=KINDS[code["kind"] or "AU"],
            side=SIDES[side[0]] if side else "",
            intensity=intensity[:1],
            doubtful=bool(others or code["doubt"] or "/" in side + intensity),
        )
        units.setdefault((unit.kind, unit.number), unit)
    return tuple(units.values())


def _without_parentheses(text: str) -> str:
    static = re.sub(r"\((k)\)", "<k>", text, flags=re.IGNORECASE)
    return re.sub(r"[()]", "", static).replace("<", "(").replace(">", ")")


def objective_class(units: Iterable[ActionUnit]) -> str:
    """I to VII by which units there are (Davison, Merghani & Yap 2018); without regard
    to side and intensity. Empty without a unit.

    >>> [objective_class(parse_action_units(text)) for text in ("R12", "1+2", "9+12")]
    ['I', 'II', 'VII']
    """
    numbers = frozenset(unit.number for unit in units if unit.kind == "AU")
    return BY_UNITS.get(numbers, "VII") if numbers else ""
