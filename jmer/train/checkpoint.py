"""Checkpoints of a pack: whole or absent, and free of any device layout."""

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from jmer.errors import JmerError

Flat = dict[str, np.ndarray]

MARGIN = 1_000_000  # bytes for the metadata of a checkpoint, generously


def _alone() -> ocp.options.MultiprocessingOptions:
    """Every process saves its own packs, without waiting for the others."""
    if jax.process_count() == 1:
        return ocp.options.MultiprocessingOptions()
    me = jax.process_index()
    # Host arrays are written by the first process alone, device arrays by their owner.
    own = ocp.type_handlers.ArrayHandler(
        primary_host=None, replica_id=None, use_replica_parallel=False
    )
    ocp.type_handlers.register_type_handler(jax.Array, own, override=True)
    return ocp.options.MultiprocessingOptions(
        primary_host=me, active_processes={me}, barrier_sync_key_prefix=f"process{me}"
    )


def flatten(tree: Any) -> Flat:
    """Host arrays of a pytree by the path of each leaf (`params.conv.kernel`)."""
    leaves = jax.tree_util.tree_leaves_with_path(jax.device_get(tree))
    return {_name(path): np.asarray(leaf) for path, leaf in leaves}


def _name(path: tuple) -> str:
    # Flax variables are nodes with one child, `value`, which says nothing.
    name = jax.tree_util.keystr(path, simple=True, separator=".")
    return name.removesuffix(".value")


def unflatten(template: Any, flat: Mapping[str, np.ndarray], where: Path) -> Any:
    """The arrays of `flat` in the structure of `template` (arrays or their shapes).

    Raises: JmerError if a name is missing or a shape past the task axis differs.
    """

    def pick(path, leaf):
        name = _name(path)
        if name not in flat:
            raise JmerError(f"{where} has no array {name}: it is of another network.")
        if flat[name].shape[1:] != leaf.shape[1:]:
            raise JmerError(
                f"{where}: {name} has shape {flat[name].shape[1:]} a task, not "
                f"{leaf.shape[1:]}: it is of another network or size."
            )
        return flat[name]

    return jax.tree_util.tree_map_with_path(pick, template)


class Checkpoints:
    """The latest checkpoint of one pack, in a folder of its own.

    Orbax writes beside the last one, in the background, and renames: a process that
    is killed at any moment leaves the last whole checkpoint.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        with self._errors():
            # Before Orbax begins, which would leave threads behind.
            folder.mkdir(parents=True, exist_ok=True)
            alone = _alone()
            self._manager = ocp.CheckpointManager(
                folder.absolute(),
                options=ocp.CheckpointManagerOptions(
                    max_to_keep=1,
                    create=False,
                    cleanup_tmp_directories=True,
                    multiprocessing_options=alone,
                ),
                item_handlers={
                    "arrays": ocp.StandardCheckpointHandler(
                        multiprocessing_options=alone
                    ),
                    "meta": ocp.JsonCheckpointHandler(multiprocessing_options=alone),
                },
            )

    @property
    def epoch(self) -> int | None:
        """Epochs done at the latest checkpoint; None without one."""
        return self._manager.latest_step()

    def save(self, epoch: int, arrays: Flat, meta: Mapping[str, Any]) -> None:
        """Begins to write; an error of the previous write appears here."""
        kinds = {k: [v.dtype.str, list(v.shape)] for k, v in arrays.items()}
        # Orbax refuses arrays without elements; their shape is all they hold.
        arrays = {k: v for k, v in arrays.items() if v.size}
        self._require_room(sum(v.nbytes for v in arrays.values()))
        if jax.process_count() > 1:
            arrays = jax.device_put(arrays, jax.local_devices()[0])
        with self._errors():
            self._manager.save(
                epoch,
                args=ocp.args.Composite(
                    arrays=ocp.args.StandardSave(arrays),
                    meta=ocp.args.JsonSave({"kinds": kinds, **meta}),
                ),
                force=True,
            )

    def _require_room(self, size: int) -> None:
        # TensorStore meets a full disk in its own threads, and is loud about it.
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
            meta = self._manager.restore(
                epoch, args=ocp.args.Composite(meta=ocp.args.JsonRestore())
            )["meta"]
            arrays = {k: np.zeros(shape, t) for k, (t, shape) in meta["kinds"].items()}
            # A NumPy target restores to the host, whatever devices wrote it.
            target = ocp.args.StandardRestore(
                {k: v for k, v in arrays.items() if v.size}
            )
            arrays |= self._manager.restore(
                epoch, args=ocp.args.Composite(arrays=target)
            )["arrays"]
        except Exception as error:  # Orbax and TensorStore raise many kinds
            raise JmerError(
                f"checkpoint {self.folder / str(epoch)} cannot be read "
                f"({_first_line(error)}). Delete {self.folder} to train its tasks "
                f"again."
            ) from error
        return epoch, arrays, meta

    def close(self) -> None:
        self._manager.close()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except JmerError:
            raise
        except Exception as error:  # of the system, through Orbax and TensorStore
            raise JmerError(
                f"cannot write checkpoint {self.folder}: {_first_line(error)}. Make "
                f"room there or choose another --run-dir; the same command goes on "
                f"from the last whole checkpoint."
            ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
