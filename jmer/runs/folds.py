"""The folds of a run from its protocol, if the files that it names are as they were."""

from collections.abc import Mapping
from typing import Any

from jmer.data.splits import Protocol, protocols
from jmer.errors import JmerError
from jmer.runs.run import Run


def digests(run: Run) -> dict[str, str]:
    """What files of its protocol said when a run was made, by field: a hash of each."""
    recorded = _protocol(run.experiment.get("identity"))
    kinds = {kind.__name__: kind for kind in protocols().values()}
    kind = kinds.get(str(recorded.get("kind")))
    found = {name: recorded.get(name) for name in (kind.files if kind else ())}
    return {name: x for name, x in found.items() if isinstance(x, str)}


def places(run: Run) -> dict[str, str]:
    """Where these files were, as they were named."""
    recorded = _protocol(run.experiment.get("experiment"))
    return {name: str(recorded.get(name)) for name in digests(run)}


def changed_since(run: Run, protocol: Protocol) -> str:
    """Why the files of a run's `protocol` do not tell its folds: they say something
    else by now, or cannot be read. Nothing where they do, or there are none."""
    then = digests(run)
    for name in protocol.files:
        try:
            now = protocol.content()
        except JmerError as error:
            return str(error)
        if now != then.get(name):
            return (
                f"protocol.{name}={getattr(protocol, name)} has changed since "
                f"{run.folder} was made: it has digest {now}, and had "
                f"{then.get(name, 'none that was noted')}."
            )
    return ""


def _protocol(part: Any) -> Mapping[str, Any]:
    found = part.get("protocol") if isinstance(part, dict) else None
    return found if isinstance(found, dict) else {}
