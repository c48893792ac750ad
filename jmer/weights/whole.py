"""Every array of a checkpoint is taken, or it is of another network."""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import numpy as np

from jmer.weights.torch_files import StateDict

Read = TypeVar("Read")
COUNTER = ".num_batches_tracked"
"""What PyTorch counts beside the statistics of a batch norm; nothing depends on it."""
SHOWN = 4  # names in an error


class Watched(Mapping[str, np.ndarray]):
    """A state that knows which of its arrays were taken."""

    def __init__(self, state: StateDict) -> None:
        self._state = state
        self.taken: set[str] = set()

    def __getitem__(self, name: str) -> np.ndarray:
        value = self._state[name]
        self.taken.add(name)
        return value

    def __contains__(self, name: object) -> bool:  # asking takes nothing
        return name in self._state

    def __iter__(self) -> Iterator[str]:
        return iter(self._state)

    def __len__(self) -> int:
        return len(self._state)


def read_whole(
    state: StateDict, read: Callable[[StateDict], Read], besides: tuple[str, ...] = ()
) -> Read:
    """What `read` makes of a state, all of which it must take: what nobody takes is of
    another network. What `besides` begins, such as the head of a trunk, may be left.

    Raises: ValueError naming the arrays that are left over, or those with a value that
    is not finite; as `read` does.
    """
    watched = Watched(state)
    made = read(watched)
    left = [
        name
        for name in state
        if name not in watched.taken
        and not name.startswith(besides)
        and not _counts(name, watched.taken)
    ]
    if left:
        more = f" and {len(left) - SHOWN} more" if len(left) > SHOWN else ""
        raise ValueError(
            f"nothing takes {', '.join(left[:SHOWN])}{more}, so it is of another "
            f"network or size"
        )
    odd = [name for name in state if not np.isfinite(state[name]).all()]
    if odd:
        raise ValueError(
            f"{', '.join(odd[:SHOWN])} has values that are not finite: the training "
            f"diverged, or the file is damaged"
        )
    return made


def _counts(name: str, taken: set[str]) -> bool:
    norm = name.removesuffix(COUNTER)
    return norm != name and f"{norm}.running_mean" in taken
