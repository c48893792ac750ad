"""The clips of a prepared set, from the files of TFDS to arrays in memory."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from jmer.data.clips import ClipSet

if TYPE_CHECKING:
    from jmer.data.builder import ClipBuilder

SPLIT = "full"
TYPES = {
    **dict.fromkeys(("subject", "dataset", "clip_id", "action_units"), np.str_),
    **dict.fromkeys(("label", "onset", "apex", "offset"), np.int32),
    "frame_rate": np.float32,
    "train_only": np.bool_,
    "session": np.str_,
}


def stored(builder: "ClipBuilder") -> Iterator[dict[str, Any]]:
    """The clips of a prepared set as they lie there, one after another: the columns of
    `ClipSet` as plain values, inputs as arrays.
    """
    source = builder.as_data_source(split=SPLIT)
    expected = builder.info.splits[SPLIT].num_examples
    if len(source) != expected:
        raise ValueError(f"{len(source)} of {expected} clips are there")
    tensors = builder.tensors()
    told = builder.info.metadata.get("sessions", [])
    sessions = {tuple(key): session for *key, session in told}
    for i in range(expected):
        example = source[i]
        clip = {name: example[name] for name in tensors}
        for name in ("subject", "dataset", "clip_id", "action_units"):
            clip[name] = example[name].decode()
        for name in ("label", "onset", "apex", "offset"):
            clip[name] = int(example[name])
        clip["frame_rate"] = float(example["frame_rate"])
        clip["train_only"] = bool(example.get("train_only", False))
        key = clip["dataset"], clip["subject"], clip["clip_id"]
        clip["session"] = sessions.get(key, "")
        yield clip


def gather(builder: "ClipBuilder", clips: Iterable[dict[str, Any]]) -> ClipSet:
    expected = builder.info.splits[SPLIT].num_examples
    columns: dict[str, list] = {name: [] for name in TYPES}
    # Filled in place: the arrays are most of the memory, and are there only once.
    inputs = {
        name: np.empty((expected, *shape), dtype)
        for name, (shape, dtype) in builder.tensors().items()
    }
    for i, clip in enumerate(clips):
        for name, column in columns.items():
            column.append(clip[name])
        for name, array in inputs.items():
            array[i] = clip[name]
    keys = [columns[name] for name in ("clip_id", "subject", "dataset")]
    order = np.lexsort(keys)
    for array in inputs.values():
        reorder(array, order)
    return ClipSet(
        name=builder.data.name,
        classes=tuple(builder.class_names()),
        inputs=inputs,
        **{name: np.array(columns[name], TYPES[name])[order] for name in columns},
    )


def reorder(array: np.ndarray, order: np.ndarray) -> None:
    """`array[:] = array[order]`, in place."""
    source = order.copy()
    for start in range(len(source)):
        if source[start] == start:
            continue
        first, place = array[start].copy(), start
        while (other := source[place]) != start:
            array[place] = array[other]
            source[place] = place
            place = other
        array[place] = first
        source[place] = place
