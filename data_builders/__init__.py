"""One data set a folder: its configuration, and its TFDS builder."""

import importlib
import pkgutil
from collections.abc import Iterator

from jmer.data.config import DataConfig


def datasets() -> Iterator[type[DataConfig]]:
    """The configuration of every data set that comes with jmer."""
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        if not module.ispkg:  # what several data sets share
            continue
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, type) and value.__module__ == module.name:
                yield value
