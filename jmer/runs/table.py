"""The tested clips of a run as a table that is looked at, filtered and handed on."""

import dataclasses
import html
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from jmer.errors import JmerError, quoted
from jmer.scores.labels import CLASSES
from jmer.scores.predictions import (
    CLASS_COLUMNS,
    PROBABILITY,
    SESSION,
    UNIT,
    Predictions,
)
from jmer.text import counted, did_you_mean

if TYPE_CHECKING:
    import pandas

SHOWN = 10
"""Rows that a notebook shows."""
HEAD = ("dataset", "subject", "clip", "fold", "seed")
CELL = (
    "padding:0.1em 0.7em;text-align:left;border-bottom:1px solid rgba(128,128,128,.3)"
)


@dataclasses.dataclass(frozen=True)
class TestedClip:
    """A clip as one training that had not seen it answered."""

    dataset: str
    subject: str
    clip: str
    fold: str
    """The training that held it out: under LOSO, the subject."""
    seed: int
    label: str
    """Its true class; of action units AU1+AU4, or none."""
    predicted: str
    right: bool
    probabilities: dict[str, float]
    """By class, each in [0, 1]; they sum to 1, unless they are of action units."""
    session: str = ""
    """The sitting of the subject that it was recorded in, where the set tells."""


class ClipTable:
    """Tested clips, a row for each clip and seed: `len`, rows by number or slice, in
    turn, by what they are (`where`), columns by name.

    >>> clips = jmer.load_run("runs/ststnet").clips
    >>> clips
    60 tested clips of 6 subjects, 40 of them recognised
    >>> clips[0].subject, clips[0].label, clips[0].predicted
    ('sub01', 'negative', 'positive')
    >>> clips.where(label="surprise", right=False)
    6 tested clips of 4 subjects, none of them recognised
    >>> clips.column("predicted")[:3]
    array(['positive', 'positive', 'surprise'], dtype='<U8')
    """

    def __init__(self, predictions: Predictions) -> None:
        self.predictions = predictions

    @property
    def classes(self) -> tuple[str, ...]:
        """In the order of labels."""
        return self.predictions.classes

    @property
    def _before(self) -> str:
        """How the names of probabilities begin."""
        return PROBABILITY if self.predictions.kind is CLASSES else UNIT

    @property
    def columns(self) -> tuple[str, ...]:
        """Names that `column` knows; `session` where the data set tells of any."""
        told = (SESSION,) if (self.predictions.sessions != "").any() else ()
        shares = (f"{self._before}{name}" for name in self.classes)
        return (*HEAD, *told, "label", "predicted", "right", *shares)

    def column(self, name: str) -> np.ndarray:
        """A column [n]: text, whole numbers of `seed`, truth of `right`, float32 of
        probabilities.

        Raises: JmerError for a name that none has.
        """
        p = self.predictions
        if name == "right":
            return p.right
        if name in CLASS_COLUMNS:
            return np.array(p.kind.texts(getattr(p, name), p.classes))
        if name == SESSION:
            return p.sessions
        if name in HEAD:
            return getattr(p, name)
        if name not in self.columns:
            raise JmerError(
                f"no column is called {quoted(name)}{did_you_mean(name, self.columns)}"
                f"; there are: {', '.join(self.columns)}."
            )
        return p.probabilities[:, p.classes.index(name.removeprefix(self._before))]

    def where(self, **wanted: Any) -> "ClipTable":
        """The rows whose columns have these values, perhaps none.

        Raises: JmerError for a name that no column has, or a class that there is not.
        """
        keep = np.ones(len(self), bool)
        for name, value in wanted.items():
            column = self.column(name)
            names = self.predictions.kind is CLASSES and name in CLASS_COLUMNS
            if names and value not in self.classes:
                raise JmerError(
                    f"{name}={quoted(value)} is no class"
                    f"{did_you_mean(str(value), self.classes)}; there are: "
                    f"{', '.join(self.classes)}."
                )
            keep &= column == value
        return ClipTable(self.predictions.where(keep))

    def to_dataframe(self) -> "pandas.DataFrame":
        """The table for pandas, with the `columns` above.

        Raises: JmerError if pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise JmerError(
                f"a table for pandas needs pandas, which cannot be imported ({error}): "
                f"pip install 'jmer[pandas]'."
            ) from error
        return pandas.DataFrame({name: self.column(name) for name in self.columns})

    def __len__(self) -> int:
        return len(self.predictions)

    @overload
    def __getitem__(self, index: int) -> TestedClip: ...
    @overload
    def __getitem__(self, index: slice) -> "ClipTable": ...
    def __getitem__(self, index: int | slice) -> "TestedClip | ClipTable":
        p = self.predictions
        if isinstance(index, slice):
            return ClipTable(p.where(np.arange(len(p))[index]))
        if not -len(p) <= index < len(p):
            raise IndexError(f"row {index} of {counted(len(p), 'tested clip')}")
        at = slice(index, index + 1 or None)
        label, predicted = (
            p.kind.texts(x[at], p.classes)[0] for x in (p.label, p.predicted)
        )
        shares = p.probabilities[index].tolist()
        return TestedClip(
            dataset=str(p.dataset[index]),
            subject=str(p.subject[index]),
            clip=str(p.clip[index]),
            fold=str(p.fold[index]),
            seed=int(p.seed[index]),
            label=label,
            predicted=predicted,
            right=bool(p.right[index]),
            probabilities=dict(zip(p.classes, shares, strict=True)),
            session=str(p.sessions[index]),
        )

    def __iter__(self) -> Iterator[TestedClip]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        people = len({name[:2] for name in self.predictions.names})
        right = int(self.column("right").sum())
        return (
            f"{counted(len(self), 'tested clip')} of {counted(people, 'subject')}, "
            f"{right or 'none'} of them recognised"
        )

    def _repr_html_(self) -> str:
        """For notebooks: the first rows, in whatever colours these have."""
        names = (*HEAD, *CLASS_COLUMNS, "probability")
        rows = []
        for row in self[:SHOWN]:
            cells = [getattr(row, name) for name in (*HEAD, *CLASS_COLUMNS)]
            share = row.probabilities.get(row.predicted)  # of a set there is none
            cells.append("–" if share is None else f"{share:.2f}")
            texts = [html.escape(str(cell)) for cell in cells]
            if not row.right:  # told apart by more than colour
                texts[-2] = f"<b>{texts[-2]} ✗</b>"
            rows.append("".join(f'<td style="{CELL}">{text}</td>' for text in texts))
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        head = "".join(f'<th style="{CELL}">{name}</th>' for name in names)
        more = len(self) - len(rows)
        rest = f", {more} more rows" if more else ""
        return (
            f'<div style="overflow-x:auto"><table style="border-collapse:collapse">'
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
            f'<p style="opacity:.75">{html.escape(repr(self))}{rest}</p></div>'
        )
