"""What the processes of one run agree on before any of them starts."""

import hashlib
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from jmer.data.splits import Fold
from jmer.experiment import Experiment
from jmer.files import VERSION
from jmer.train import hosts


def require_same_options(
    experiments: Mapping[str, Experiment], *, run_dir: Path, overwrite: bool
) -> None:
    """Before data are looked at: the experiments by name (of a sweep, its cells), where
    they go, and the versions.

    Raises: JmerError, on every process, naming the field that differs.
    """
    if hosts.count() == 1:
        return
    facts: dict[str, Any] = {
        "jmer": VERSION,
        **{name: metadata.version(name) for name in ("jax", "jaxlib", "flax")},
        "run-dir": str(run_dir),
        "overwrite": overwrite,
        "cells": list(experiments),
    }
    for name, experiment in experiments.items():
        engine = experiment.resolved()["engine"]
        own = experiment.identity() | {"seeds": list(experiment.seeds)}
        # Those say when, and not how.
        own["engine"] = {
            field: value
            for field, value in engine.items()
            if field not in ("plan_seconds", "checkpoint_seconds")
        }
        place = f"cell {name}: " if name else ""
        facts |= {place + field: value for field, value in _flat(own).items()}
    hosts.require_same(facts, "their options")


def require_same_data(identity: Mapping[str, Any], folds: Sequence[Fold]) -> None:
    """Once data are read: the identity of the run, and who is in which fold.

    Raises: JmerError, on every process, naming the field that differs.
    """
    if hosts.count() == 1:
        return
    facts = _flat(identity)
    for fold in folds:
        members = [fold.train.tolist(), fold.test.tolist()]
        facts[f"fold {fold.name}"] = hashlib.sha256(repr(members).encode()).hexdigest()
    hosts.require_same(facts, "what they read")


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            flat |= _flat(inner, f"{prefix}{name}.")
        else:
            flat[prefix + name] = inner
    return flat
