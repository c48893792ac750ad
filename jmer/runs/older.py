"""What runs of older versions wrote, in the words of this one."""

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


def _renamed(experiment: Any) -> Any:
    if not isinstance(experiment, dict):
        return experiment
    made = dict(experiment)
    for part, names in FIELDS.items():
        if isinstance(made.get(part), dict):
            made[part] = {names.get(name, name): v for name, v in made[part].items()}
    return made
