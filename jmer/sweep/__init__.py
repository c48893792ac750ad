"""Many experiments as one."""

from jmer.sweep.cells import Sweep

__all__ = ["Sweep"]
