"""The network that a run or a folder of weights notes."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jmer.files.recorded import made_from
from jmer.models.base import NetworkConfig, network, networks
from jmer.own import origin as of_class
from jmer.own.origin import Origin
from jmer.own.packages import NETWORKS

BASELINES = "jmer.baselines."
"""How places of those begin that are made by hand; nothing but a run names them."""


def origin(network: NetworkConfig) -> dict[str, str]:
    """What is noted of a network beside its fields."""
    return of_class.origin(type(network))


def made_again(
    name: str, fields: Mapping[str, Any], noted: Origin, file: Path, part: str
) -> NetworkConfig:
    """The configuration of a network of that name, which `file` records as its `part`,
    with what it notes of the network's origin. Code of others is not run for it, but
    for that of a package that was installed to bring the network.

    Raises: JmerError if there is no such network, or the fields are not its own.
    """
    kind = _known(name, noted)
    if kind is None:
        if not noted.get("kind") or of_class.is_ours(noted["kind"]):
            return network(name, fields, file, part)
        raise of_class.not_ours(f"{file}: network {name} is", noted)
    of_class.note_change(kind, noted, file)
    return made_from(kind, fields, file, part)


def _known(name: str, noted: Origin) -> type[NetworkConfig] | None:
    """The class, if it is ours, its module was run already, or a package brings it."""
    place = noted.get("kind", "")
    if place and not of_class.is_ours(place):
        return of_class.known(NetworkConfig, noted, NETWORKS)
    if place.startswith(BASELINES):
        return _baseline(place, name)
    ours = {kind.name: kind for kind in networks()}
    if name in ours or place:
        return ours.get(name)
    # A run of an earlier version names no place.
    every = of_class.defined(NetworkConfig)
    own = [kind for kind in every if getattr(kind, "name", None) == name]
    return own[-1] if own else None


def _baseline(place: str, name: str) -> type[NetworkConfig] | None:
    """The class at a place among the baselines, if it is of that name."""
    module, _, qualified = place.partition(":")
    try:
        kind = getattr(importlib.import_module(module), qualified, None)
    except ImportError:
        return None
    known = isinstance(kind, type) and issubclass(kind, NetworkConfig)
    return kind if known and getattr(kind, "name", None) == name else None
