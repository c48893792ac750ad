"""Where the code of a network lies: of ours in this package, of others in a file that
is run only if somebody says so."""

import inspect
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jmer.errors import JmerError
from jmer.files import content_hash
from jmer.files.lock import tell
from jmer.files.recorded import made_from
from jmer.models.base import NetworkConfig, network, networks
from jmer.shipped.beside import loaded, plain_name

Origin = Mapping[str, str]
"""`kind`, the place of a class as `module:Name`; of one that is not ours its `file`,
and a `hash` of the file's content."""


def origin(network: NetworkConfig) -> dict[str, str]:
    """What is noted of a network beside its fields."""
    kind = type(network)
    place = f"{plain_name(kind.__module__)}:{kind.__qualname__}"
    if kind.__module__.startswith("jmer."):
        return {"kind": place}
    file = _file(kind)
    if file is None:  # such as of a notebook
        return {"kind": place}
    return {"kind": place, "file": str(file), "hash": content_hash(file)}


def made_again(
    name: str, fields: Mapping[str, Any], noted: Origin, file: Path, part: str
) -> NetworkConfig:
    """The configuration of a network of that name, which `file` records as its `part`,
    with what it notes of the network's origin. Code of others is not run for it.

    Raises: JmerError if there is no such network, or the fields are not its own.
    """
    kind = _known(name, noted)
    if kind is None:
        if not noted.get("kind") or noted["kind"].startswith("jmer."):
            return network(name, fields, file, part)
        raise _unknown(name, noted, file)
    at = _file(kind)
    if noted.get("hash") and at is not None and content_hash(at) != noted["hash"]:
        tell(
            f"note: {at} has changed since {file} was written: the network is what its "
            f"code is today"
        )
    return made_from(kind, fields, file, part)


def _known(name: str, noted: Origin) -> type[NetworkConfig] | None:
    """The class, if it is ours or its module was run already."""
    module, _, qualified = noted.get("kind", "").partition(":")
    if module and not module.startswith("jmer."):
        for known in loaded(module):
            found = getattr(sys.modules[known], qualified, None)
            if isinstance(found, type) and issubclass(found, NetworkConfig):
                return found
        # The same file under another name, or moved since.
        same = [
            kind
            for kind in _defined(NetworkConfig)
            if kind.__qualname__ == qualified and _is_file_of(kind, noted)
        ]
        return same[-1] if same else None
    ours = {kind.name: kind for kind in networks()}
    if name in ours or module:
        return ours.get(name)
    # A run of an earlier version names no place.
    own = [
        kind for kind in _defined(NetworkConfig) if getattr(kind, "name", None) == name
    ]
    return own[-1] if own else None


def _defined(
    kind: type[NetworkConfig] = NetworkConfig,
) -> Iterator[type[NetworkConfig]]:
    for below in kind.__subclasses__():
        yield below
        yield from _defined(below)


def _unknown(name: str, noted: Origin, file: Path) -> JmerError:
    module = noted["kind"].partition(":")[0]
    if at := noted.get("file"):
        gone = "" if Path(at).is_file() else ", which is no longer there"
        where, code = f" ({at}{gone})", shlex.quote(at)
    else:
        where, code = "", module
    python = f"jmer.load_experiment({at!r})" if at else f"`import {module}`"
    return JmerError(
        f"{file}: network {name} is {noted['kind']}{where}, which is not jmer's, and "
        f"whose code is only run if you say so: add --import {code} (in Python "
        f"{python} before)."
    )


def _is_file_of(kind: type, noted: Origin) -> bool:
    """Whether a class lies in the file that is noted, by its place or its content."""
    at = _file(kind)
    if at is None or "file" not in noted:
        return False
    return str(at) == noted["file"] or content_hash(at) == noted.get("hash")


def _file(kind: type) -> Path | None:
    try:
        return Path(inspect.getfile(kind)).resolve()
    except (OSError, TypeError):
        return None
