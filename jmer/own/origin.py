"""Where the code of a network or of a data set lies: of ours in jmer, of others in a
file that is run only if somebody says so."""

import inspect
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from jmer.errors import JmerError
from jmer.files import content_hash
from jmer.files.lock import tell
from jmer.own.packages import brought
from jmer.shipped.beside import is_beside, loaded, plain_name

Origin = Mapping[str, Any]
"""`kind`, the place of a class as `module:Name`; of one that is not ours its `file`, a
`hash` of the file's content, and as `import` what to import it by."""

Base = TypeVar("Base")
OURS = ("jmer.", "data_builders.")


def place_of(kind: type) -> str:
    """Where a class is defined, `package.module:Name`."""
    return f"{plain_name(kind.__module__)}:{kind.__qualname__}"


def is_ours(place: object) -> bool:
    """Whether a place is in jmer itself."""
    return isinstance(place, str) and place.startswith(OURS)


def file_of(kind: type) -> Path | None:
    """The file that defines a class; None of what was typed into Python."""
    try:
        return Path(inspect.getfile(kind)).resolve()
    except (OSError, TypeError):
        return None


def origin(kind: type) -> dict[str, str]:
    """What is noted of a class beside the fields of its values."""
    place, file = place_of(kind), file_of(kind)
    if is_ours(place) or file is None or not file.is_file():
        return {"kind": place}
    module = kind.__module__
    by = str(file) if is_beside(module) else module
    return {"kind": place, "file": str(file), "hash": content_hash(file), "import": by}


def known(base: type[Base], noted: Origin, group: str) -> type[Base] | None:
    """The class at a place that is noted and not ours, below `base`: if its module was
    run already, or an installed package announces just that class in a `group` of entry
    points. What is noted runs no code.

    Raises: JmerError if such a package cannot be imported.
    """
    module, _, qualified = noted.get("kind", "").partition(":")
    for name in loaded(module) if module else ():
        found = getattr(sys.modules[name], qualified, None)
        if isinstance(found, type) and issubclass(found, base):
            return found
    # The same file under another name, or moved since.
    same = [
        kind
        for kind in defined(base)
        if kind.__qualname__ == qualified and _is_file_of(kind, noted)
    ]
    if same:
        return same[-1]
    for one in brought(group):
        if one.place == noted.get("kind"):
            return one.load(base)
    return None


def defined(base: type[Base]) -> Iterator[type[Base]]:
    """All classes below one, in modules that are there."""
    for below in base.__subclasses__():
        if below.__module__ in sys.modules:
            yield below
        yield from defined(below)


def note_change(kind: type, noted: Origin, file: Path) -> None:
    """Says so if the file of a class is no longer what `file` has noted of it."""
    at = file_of(kind)
    if noted.get("hash") and at is not None and content_hash(at) != noted["hash"]:
        what = "data set" if "config" in noted else "network"
        tell(
            f"note: {at} has changed since {file} was written: the {what} is what its "
            f"code is today"
        )


def where(noted: Origin) -> str:
    """The file of what is noted, in brackets, and whether it is still there."""
    if at := noted.get("file"):
        return f" ({at}{'' if Path(at).is_file() else ', which is no longer there'})"
    return ""


def ask(noted: Iterable[Origin]) -> str:
    """The option that runs the code of others, and how Python is told the same."""
    ways = list(dict.fromkeys(way for one in noted if (way := _import_of(one))))
    if not ways:
        return "run it in a notebook where that class is defined"
    python = "; ".join(
        f"`import {way}`"
        if not way.endswith(".py")
        else f"jmer.experiment.definitions({way!r})"
        for way in ways
    )
    return f"add --import {shlex.join(ways)} (in Python {python} before)"


def _import_of(noted: Origin) -> str:
    """A file or a module, as `--import` takes it; "" of what neither has."""
    module = str(noted.get("kind", "").partition(":")[0])
    by = str(noted.get("import") or noted.get("file") or module)
    if by == "__main__":
        return ""
    if by.endswith(".py"):
        file, here = Path(by), Path.cwd()
        return str(file.relative_to(here)) if file.is_relative_to(here) else by
    # Of a run of before, whose data set was defined in the experiment file.
    own = by.startswith("experiment_")
    return f"{by.removeprefix('experiment_')}.py" if own else by


def not_ours(what: str, noted: Origin, others: Iterable[Origin] = ()) -> JmerError:
    """The error that says of `what` that its code must be run, and is not unasked; as
    is that of `others` which are needed then."""
    return JmerError(
        f"{what} {noted['kind']}{where(noted)}, which is not jmer's, and whose code is "
        f"only run if you say so: {ask([noted, *others])}."
    )


def _is_file_of(kind: type, noted: Origin) -> bool:
    """Whether a class lies in the file that is noted, by its place or its content."""
    at = file_of(kind)
    if at is None or "file" not in noted:
        return False
    return str(at) == noted["file"] or content_hash(at) == noted.get("hash")
