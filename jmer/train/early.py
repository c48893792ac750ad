"""Tasks that stop early: what is recorded of them, and how they leave a pack."""

import dataclasses
from collections.abc import Sequence
from typing import TypeVar

import jax
import numpy as np

from jmer.train.folds import Program
from jmer.train.step import Record
from jmer.train.tasks import Task

T = TypeVar("T")

FILLED = 1.25
"""Rows for each task that trains, at most, where it can be had."""


def filled(record: Record, last: Record | None, epoch: int) -> Record:
    """An evaluation after `epoch` epochs, tasks first, with the one before it repeated
    for tasks that had stopped by then: whatever their rows have since is of nobody."""
    if record.stopped is None or last is None:
        return record
    over = (record.stopped > 0) & (record.stopped < epoch)

    def pick(now: np.ndarray, before: np.ndarray) -> np.ndarray:
        return np.where(over.reshape(-1, *(1,) * (now.ndim - 1)), before, now)

    values = {
        field.name: pick(getattr(record, field.name), getattr(last, field.name))
        for field in dataclasses.fields(Record)
    }
    return Record(**values)


def running(record: Record) -> np.ndarray:
    """Places of the tasks that have not stopped."""
    assert record.stopped is not None
    return np.flatnonzero(record.stopped == 0)


def smaller(program: Program, tasks: Sequence[Task], rows: int) -> Program | None:
    """The program that goes on with these tasks in place of one of so many rows; None
    while it would not have half as many. (Where each device has one task at a time, and
    skips those that have stopped, a quarter: devices then have as many again.)

    It follows from the tasks alone, so that a training that was interrupted goes on as
    it would have.
    """
    if program.chunk == program.mesh.size == 1:
        return None
    chunk = program.chunk
    share = 4 if chunk == 1 else 2
    while True:
        found = dataclasses.replace(program, chunk=chunk)
        count = len(found.rows(tasks))
        if chunk == 1 or count <= FILLED * len(tasks):
            return found if share * count <= rows else None
        chunk = -(-chunk // 2)


def spread(whole: T, part: T, places: np.ndarray) -> T:
    """`whole`, tasks first, with those of `part` at their `places`."""

    def put(all_: np.ndarray, some: np.ndarray) -> np.ndarray:
        made = np.array(all_)
        made[places] = some
        return made

    return jax.tree.map(put, whole, part)
