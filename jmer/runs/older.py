"""What runs of older versions wrote, in the words of this one."""

import re
from collections.abc import Mapping
from typing import Any

FIELDS = {"data": {"protocol": "classes"}}
"""By part of an experiment: fields by the names that they had, and those of today."""
LACKED: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "model": {
        "aman": {"norm": "pooled", "pick": "linspace", "stored": 0, "init": "he"},
    },
}
"""By part of an experiment and its name: fields that there were not, with the values
that say what was done then."""


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


def completed(part: str, name: Any, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The recorded `fields` of a part called `name`, with those that it lacked."""
    lacked = LACKED[part].get(name, {}) if isinstance(name, str) else {}
    return {**lacked, **fields}


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
    for part in LACKED:
        if isinstance(made.get(part), dict):
            made[part] = completed(part, made[part].get("name"), made[part])
    return made
