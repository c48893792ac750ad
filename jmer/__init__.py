"""jmer: micro-expression recognition with every fold trained in parallel, in JAX."""

from typing import TYPE_CHECKING, Any

from jmer.files import VERSION as __version__

if TYPE_CHECKING:
    from jmer.runs.run import compare, load_model, load_run

__all__ = ["__version__", "compare", "load_model", "load_run"]


def __getattr__(name: str) -> Any:
    # `import jmer` stays cheap: JAX is loaded by the first thing that needs it.
    if name in ("compare", "load_model", "load_run"):
        from jmer.runs import run

        return getattr(run, name)
    raise AttributeError(f"module 'jmer' has no attribute {name!r}")
