"""Objective classes of action units (Davison, Merghani & Yap 2018, table 1)."""

import re

CLASSES = ("I", "II", "III", "IV", "V", "VI", "VII")
UNITS = {
    "I": ("6", "12", "6+12", "6+7+12", "7+12"),
    "II": ("1+2", "5", "25", "1+2+25", "25+26", "5+24"),
    "III": ("23", "4", "4+7", "4+5", "4+5+7", "17+24", "4+6+7", "4+38"),
    "IV": (
        *("10", "9", "4+9", "4+40", "4+5+40", "4+7+9", "4+9+17", "4+7+10"),
        *("4+5+7+9", "7+10"),
    ),
    "V": ("15", "1", "1+4", "6+15", "15+17"),
    "VI": ("1+2+4", "20"),
}
BY_UNITS = {units: name for name, all_of in UNITS.items() for units in all_of}


def objective_class(action_units: str) -> str:
    """'I' to 'VII' of units such as 'R6+R12'; sides do not matter, VII is all else."""
    numbers = sorted({int(unit) for unit in re.findall(r"\d+", action_units)})
    return BY_UNITS.get("+".join(map(str, numbers)), "VII")
