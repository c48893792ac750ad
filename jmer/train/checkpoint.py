"""Checkpoints of a pack: whole or absent, and free of any device layout."""

import asyncio
import contextlib
import dataclasses
import logging
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from jmer import trees
from jmer.arrays import Array
from jmer.errors import JmerError
from jmer.files import json_bytes, read_json
from jmer.files.bombs import load_arrays
from jmer.files.digest import digest_of_arrays
from jmer.files.seal import SEAL, sealed, state, unsealed

Flat = dict[str, np.ndarray]

ARRAYS = "arrays.npz"
SUMS = "sums.json"
"""Beside the arrays: their checksum, and of which step and notes they are."""
MARGIN = 1_000_000  # bytes for the metadata of a checkpoint, generously


def flatten(tree: Any) -> Flat:
    """Host arrays of a pytree by the path of each leaf (`params.conv.kernel`)."""
    leaves = jax.tree_util.tree_leaves_with_path(jax.device_get(tree))
    return {trees.path_name(path): np.asarray(leaf) for path, leaf in leaves}


def unflatten(template: Any, flat: Mapping[str, np.ndarray], where: Path) -> Any:
    """The arrays of `flat` in the structure of `template` (arrays or their shapes).

    Raises: JmerError if a name is missing or a shape past the task axis differs.
    """

    def pick(
        path: jax.tree_util.KeyPath, leaf: Array | jax.ShapeDtypeStruct
    ) -> np.ndarray:
        name = trees.path_name(path)
        if name not in flat:
            raise JmerError(f"{where} has no array {name}: it is of another network.")
        if flat[name].shape[1:] != leaf.shape[1:]:
            raise JmerError(
                f"{where}: {name} has shape {flat[name].shape[1:]} a task, not "
                f"{leaf.shape[1:]}: it is of another network or size."
            )
        return flat[name]

    return jax.tree_util.tree_map_with_path(pick, template)


def replaced(tree: Any, flat: Mapping[str, np.ndarray]) -> Any:
    """`tree`, task axis first, with the arrays of `flat` instead, each with an axis of
    all tasks or of length 1.

    Raises: JmerError if a name is not in it or a shape differs.
    """
    left = dict(flat)

    def pick(path: jax.tree_util.KeyPath, leaf: jax.Array) -> jax.Array:
        name = trees.path_name(path)
        value = left.pop(name, None)
        if value is None:
            return leaf
        if value.shape[1:] != leaf.shape[1:]:
            raise JmerError(
                f"the pretrained {name} has shape {value.shape[1:]}, but the network's "
                f"is {leaf.shape[1:]}: choose a network of its size."
            )
        every = np.broadcast_to(value.astype(leaf.dtype), leaf.shape)
        return jax.device_put(every, leaf.sharding)

    tree = jax.tree_util.tree_map_with_path(pick, tree)
    if left:
        raise JmerError(f"the network has no {min(left)} to start from weights.")
    return tree


def drop_superseded(folder: Path) -> None:
    """Removes the checkpoints that the last one of a finished pack was to replace, when
    its process was killed in between.
    """
    steps = [path for path in folder.glob("[0-9]*") if path.name.isdecimal()]
    for path in sorted(steps, key=lambda path: int(path.name))[:-1]:
        shutil.rmtree(path, ignore_errors=True)


class _Arrays(ocp.AsyncCheckpointHandler):
    """One `.npz` file and its checksum, written in the background.

    Orbax's own handlers write host arrays on the first process only, and each process
    has packs of its own.
    """

    async def async_save(
        self, directory: Path, args: "_SaveArrays"
    ) -> list[ocp.future.Future]:
        write = self._write(directory, args)
        return [ocp.future.CommitFutureAwaitingContractedSignals(write, name="arrays")]

    def save(self, directory: Path, args: "_SaveArrays") -> None:
        asyncio.run(self._write(directory, args))

    async def _write(self, directory: Path, args: "_SaveArrays") -> None:
        named: dict[str, Any] = dict(args.arrays)
        with (directory / ARRAYS).open("wb") as file:
            np.savez(file, **named)
        if args.about:
            about = {"arrays": digest_of_arrays(args.arrays), **args.about}
            # Orbax moves the folder to its place when all is in it.
            (directory / SUMS).write_bytes(json_bytes(about))

    def restore(
        self, directory: Path, args: "_RestoreArrays"
    ) -> tuple[Flat, dict[str, Any] | None]:
        # Opened here: NumPy would leave a damaged file open.
        with (directory / ARRAYS).open("rb") as file:
            arrays = load_arrays(directory / ARRAYS, file)
        sums = directory / SUMS
        return arrays, read_json(sums, required=True) if sums.exists() else None


@ocp.args.register_with_handler(_Arrays, for_save=True)
@dataclasses.dataclass
class _SaveArrays(ocp.args.CheckpointArgs):
    arrays: Flat
    about: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@ocp.args.register_with_handler(_Arrays, for_restore=True)
@dataclasses.dataclass
class _RestoreArrays(ocp.args.CheckpointArgs):
    pass


def _this_process() -> ocp.options.MultiprocessingOptions:
    """Every process saves its packs without waiting for the others."""
    if jax.process_count() == 1:
        return ocp.options.MultiprocessingOptions()
    me = jax.process_index()
    return ocp.options.MultiprocessingOptions(
        primary_host=me, active_processes={me}, barrier_sync_key_prefix=f"process{me}"
    )


def _handlers(
    processes: ocp.options.MultiprocessingOptions,
) -> ocp.handlers.CheckpointHandlerRegistry:
    """Who writes and reads which item of a checkpoint."""
    handlers = ocp.handlers.DefaultCheckpointHandlerRegistry()
    arrays = _Arrays()
    notes = ocp.JsonCheckpointHandler(multiprocessing_options=processes)
    for item, handler, kinds in (
        ("arrays", arrays, (_SaveArrays, _RestoreArrays)),
        ("meta", notes, (ocp.args.JsonSave, ocp.args.JsonRestore)),
    ):
        for kind in kinds:
            handlers.add(item, kind, handler)
    return handlers


@contextlib.contextmanager
def _unsaid(quiet: bool) -> Iterator[None]:
    """Without the warnings of Abseil, on which Orbax builds, while the block runs."""
    logger = logging.getLogger("absl")
    before = logger.level
    try:
        if quiet:
            logger.setLevel(max(before, logging.ERROR))
        yield
    finally:
        logger.setLevel(before)


class Checkpoints:
    """The latest checkpoint of one pack, in a folder of its own.

    Orbax writes beside the last one, in the background, and renames: a process that
    is killed at any moment leaves the last whole checkpoint.

    With `read_only` nothing is changed: another process may be writing.
    """

    def __init__(self, folder: Path, *, read_only: bool = False):
        self.folder = folder
        with self._errors(), contextlib.ExitStack() as stack:
            # Before Orbax begins, which would leave threads behind.
            if not read_only:
                folder.mkdir(parents=True, exist_ok=True)
            processes = _this_process()
            # Orbax warns of what reading alone is meant to be.
            stack.enter_context(_unsaid(read_only))
            self._manager = ocp.CheckpointManager(
                folder.absolute(),
                options=ocp.CheckpointManagerOptions(
                    preservation_policy=ocp.checkpoint_managers.LatestN(1),
                    create=False,
                    read_only=read_only,
                    cleanup_tmp_directories=not read_only,
                    multiprocessing_options=processes,
                ),
                handler_registry=_handlers(processes),
            )

    @property
    def epoch(self) -> int | None:
        """Epochs done at the latest checkpoint; None without one."""
        return self._manager.latest_step()

    def save(self, epoch: int, arrays: Flat, meta: Mapping[str, Any]) -> None:
        """Begins to write; an error of the previous write appears here."""
        self._require_room(sum(v.nbytes for v in arrays.values()))
        notes = sealed(meta)
        about = {"step": epoch, "notes": notes[SEAL]}
        with self._errors():
            self._manager.save(
                epoch,
                args=ocp.args.Composite(
                    arrays=_SaveArrays(arrays, about),
                    meta=ocp.args.JsonSave(notes),
                ),
                force=True,
            )

    def _require_room(self, size: int) -> None:
        # Said before the last whole checkpoint is at stake.
        free = shutil.disk_usage(self.folder).free
        if free < size + MARGIN:
            raise JmerError(
                f"cannot write checkpoint {self.folder}: it takes {size / 1e6:.1f} MB, "
                f"and {free / 1e6:.1f} MB are free. Make room there or choose another "
                f"--run-dir; the same command goes on from the last whole checkpoint."
            )

    def finish(self) -> None:
        """Waits until all is on the disk."""
        with self._errors():
            self._manager.wait_until_finished()
            self._manager.check_for_errors()

    def restore(self) -> tuple[int, Flat, dict[str, Any]]:
        """Epoch, arrays and notes of the latest checkpoint.

        Raises: JmerError if there is none or it cannot be read.
        """
        epoch = self.epoch
        if epoch is None:
            raise JmerError(f"{self.folder} has no checkpoint.")
        try:
            return epoch, *self._read(epoch)
        except Exception as error:  # Orbax and NumPy raise many kinds
            raise JmerError(
                f"checkpoint {self.folder / str(epoch)} cannot be read "
                f"({_first_line(error)}). {self._remedy(epoch)}"
            ) from error

    def _read(self, epoch: int) -> tuple[Flat, dict[str, Any]]:
        """Arrays and notes of a step. Raises: ValueError if they are not what was
        saved; what Orbax and NumPy raise of what they cannot read."""
        found = self._manager.restore(
            epoch,
            args=ocp.args.Composite(
                arrays=_RestoreArrays(), meta=ocp.args.JsonRestore()
            ),
        )
        (arrays, sums), notes = found["arrays"], found["meta"]
        if not isinstance(notes, dict):
            raise ValueError("its notes are damaged")
        if sums is None and state(notes) == "none":  # of an older version
            _require_epoch(epoch, arrays, notes)
            return arrays, notes
        _require_same(epoch, arrays, notes, sums)
        return arrays, unsealed(notes)

    def _remedy(self, damaged: int) -> str:
        """What to do about a checkpoint that is not whole: there is hardly ever one
        before it, but where there is, training goes on from there to the same bits."""
        for step in sorted(self._manager.all_steps(), reverse=True):
            if step >= damaged:
                continue
            with contextlib.suppress(Exception):
                self._read(step)
                return (
                    f"The one of epoch {step} is whole: delete "
                    f"{self.folder / str(damaged)} to go on from there."
                )
        return f"Delete {self.folder} to train its tasks again."

    def close(self) -> None:
        self._manager.close()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except JmerError:
            raise
        except Exception as error:  # of the system, through Orbax
            raise JmerError(
                f"cannot write checkpoint {self.folder}: {_first_line(error)}. Make "
                f"room there or choose another --run-dir; the same command goes on "
                f"from the last whole checkpoint."
            ) from error


def _require_epoch(step: int, arrays: Flat, notes: dict[str, Any]) -> None:
    """Raises: ValueError if the last evaluation of a pack was not then; what is saved
    last has the number after it."""
    epochs = arrays.get("history.epoch", np.zeros(0)).reshape(-1)
    if len(epochs) and int(epochs[-1]) != step - bool(notes.get("finished")):
        raise ValueError(f"it was saved after epoch {epochs[-1]}, and was renamed")


def _require_same(
    step: int, arrays: Flat, notes: dict[str, Any], sums: dict[str, Any] | None
) -> None:
    """Raises: ValueError if a part of a checkpoint is not what was saved."""
    if state(notes) != "kept":
        raise ValueError("its notes are not those that were saved")
    if sums is None:
        raise ValueError(f"{SUMS} beside its arrays is gone")
    if sums.get("notes") != notes[SEAL]:
        raise ValueError("its arrays and its notes are of two checkpoints")
    if sums.get("step") != step:
        raise ValueError(f"it is that of epoch {sums.get('step')}, and was renamed")
    if sums.get("arrays") != digest_of_arrays(arrays):
        raise ValueError("its arrays are not those that were saved")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
