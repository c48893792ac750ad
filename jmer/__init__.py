"""jmer: micro-expression recognition with every fold trained in parallel, in JAX."""

import importlib
from typing import TYPE_CHECKING, Any

from jmer.files import VERSION as __version__

if TYPE_CHECKING:
    from jmer import testing
    from jmer.bundle.load import load_bundle
    from jmer.experiment import load_experiment
    from jmer.interactive.run import run
    from jmer.runs.run import compare, load_model, load_run

_PLACES = {
    "compare": "jmer.runs.run",
    "load_bundle": "jmer.bundle.load",
    "load_experiment": "jmer.experiment",
    "load_model": "jmer.runs.run",
    "load_run": "jmer.runs.run",
    "run": "jmer.interactive.run",
}
__all__ = [
    "__version__",
    "compare",
    "load_bundle",
    "load_experiment",
    "load_model",
    "load_run",
    "run",
    "testing",
]


def __getattr__(name: str) -> Any:
    # `import jmer` stays cheap: JAX is loaded by the first thing that needs it.
    if name == "testing":
        return importlib.import_module("jmer.testing")
    if name in _PLACES:
        return getattr(importlib.import_module(_PLACES[name]), name)
    raise AttributeError(f"module 'jmer' has no attribute {name!r}")


def __dir__() -> list[str]:
    """What one can use: no tool that this file is made with."""
    inside = (name for name, value in globals().items() if _is_own(value))
    special = (name for name in globals() if name.startswith("__"))
    return sorted({*inside, *special, *__all__})


def _is_own(value: Any) -> bool:
    return str(getattr(value, "__name__", "")).startswith(f"{__name__}.")
