"""The report of what is trained and scored already: its failure costs no results."""

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from jmer.errors import JmerError

T = TypeVar("T")


class NotReported(JmerError):
    """All is trained, scored and stored, but not reported.

    `metrics` are those of the run, None of a sweep.
    """

    exit_code = 3

    def __init__(self, text: str, metrics: Mapping[str, Any] | None) -> None:
        super().__init__(text)
        self.metrics = metrics


def reported(
    write: Callable[[Path], T], folder: Path, metrics: Mapping[str, Any] | None = None
) -> T:
    """Calls `write`, which writes the report of a run or a sweep in `folder`.

    Raises: NotReported, whatever goes wrong there.
    """
    try:
        return write(folder)
    except Exception as error:
        raise NotReported(
            f"the results are complete in {folder}, but their report could not be "
            f"written: {said(error)}. Then type `jmer report "
            f"{shlex.quote(str(folder))}`; nothing has to be trained again.",
            metrics,
        ) from error


def said(error: BaseException) -> str:
    """An error of any kind as a part of a sentence."""
    text = " ".join(str(error).split())
    if not isinstance(error, JmerError):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return (text if len(text) <= 400 else f"{text[:399]}…").removesuffix(".")
