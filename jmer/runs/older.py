"""What runs of older versions wrote, in the words of this one."""

import re
from typing import Any

FIELDS = {"data": {"protocol": "classes"}}
"""By part of an experiment: fields by the names that they had, and those of today."""


def renewed(description: Any) -> Any:
    """The content of an `experiment.json` with today's names of fields.

    What is no description of a run stays as it is, for its reader to complain of.
    """
    if not isinstance(description, dict):
        return description
    return {
        name: _renamed(value) if name in ("experiment", "identity") else value
        for name, value in description.items()
    }


def former(cell: str) -> str:
    """The name of a cell of a sweep (`data.classes=3class …`) as it was before."""
    for part, names in FIELDS.items():
        for before, now in names.items():
            cell = re.sub(rf"(?<!\S){part}\.{now}=", f"{part}.{before}=", cell)
    return cell


def _renamed(experiment: Any) -> Any:
    if not isinstance(experiment, dict):
        return experiment
    made = dict(experiment)
    for part, names in FIELDS.items():
        if isinstance(made.get(part), dict):
            made[part] = {names.get(name, name): v for name, v in made[part].items()}
    return made
