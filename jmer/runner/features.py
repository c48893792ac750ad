"""What a network's frozen part makes of a data set: computed once, and kept on disk."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jmer.data.clips import ClipSet
from jmer.errors import JmerError
from jmer.files import VERSION, replacing
from jmer.files.bombs import load_arrays
from jmer.files.cache import cache_folder, in_cache
from jmer.files.digest import digest_of_arrays
from jmer.files.seal import digest, sealed, state
from jmer.models.base import Inputs, NetworkConfig
from jmer.nn.lowering.choice import Lowering, use_lowering
from jmer.runner.progress import counting
from jmer.runner.stages import COMPUTES
from jmer.runs.folder import first_difference
from jmer.text import counted, duration

ABOUT = "about"
FORMAT = 2  # the first one had no checksum


def seen_by_tasks(
    network: NetworkConfig,
    clips: ClipSet,
    lowering: Lowering,
    say: Callable[[str], None],
    stopping: Callable[[], bool] = lambda: False,
) -> Inputs:
    """What all tasks see of the clips: as they are, or what `network.prefix` makes of
    them, which is kept in jmer's cache folder for the next run. Of several processes
    that want the same, one computes it, and the others wait for it.

    Raises: JmerError for features that are not finite, or a damaged file of them.
    """
    inputs = {name: clips.inputs[name] for name in network.inputs}
    if not network.has_prefix:
        return inputs
    files = _files(network, clips, lowering)
    kept = _Kept(network, clips, files)
    kept.read()
    if kept.missing:
        # A lock of all parts together; of one file, its own.
        lock = files[0] if len(files) == 1 else _file(network, clips, lowering)
        with in_cache(lock, f"{network.name}: features", say, stopping):
            kept.read()  # another process may have made them in the meantime
            if kept.missing:
                return _make(kept, inputs, lowering, say, stopping)
    place = str(files[0]) if len(files) == 1 else f"{len(files)} files of "
    place += str(files[0].parent) * (len(files) > 1)
    say(f"{network.name}: {_size(kept.arrays, clips)}, read from {place}")
    return kept.whole


class _Kept:
    """The parts of a network's prefix that are on disk, and those that are not; of a
    network without parts, one that is all of it."""

    def __init__(
        self, network: NetworkConfig, clips: ClipSet, files: Sequence[Path]
    ) -> None:
        self.network, self.clips, self.files = network, clips, files
        self.missing = list(range(len(files)))
        self.arrays: dict[str, np.ndarray] = {}
        """[clip, part, ...], with gaps for those that are missing."""

    def read(self) -> None:
        """Those that are there by now.

        Raises: JmerError if one is damaged.
        """
        for i in list(self.missing):
            file = self.files[i]
            found = _read(file, _about(self.network, self.clips))
            if found is not None:
                _require_finite(found, self.clips, f"{file} is damaged: remove it")
                self.put(i, found)

    def put(self, i: int, part: Inputs) -> None:
        for name, x in part.items():
            if name not in self.arrays:
                shape = (len(x), len(self.files), *x.shape[1:])
                self.arrays[name] = np.empty(shape, x.dtype)
            self.arrays[name][:, i] = x
        self.missing.remove(i)

    def write(self, i: int) -> None:
        """Raises: JmerError if it cannot be."""
        part = {name: np.ascontiguousarray(x[:, i]) for name, x in self.arrays.items()}
        _write(self.files[i], part, _about(self.network, self.clips))

    @property
    def whole(self) -> Inputs:
        """What tasks see."""
        if self.network.prefix_parts:
            return self.network.prefix_whole(self.arrays)
        return {name: x[:, 0] for name, x in self.arrays.items()}


def _make(
    kept: _Kept,
    inputs: Inputs,
    lowering: Lowering,
    say: Callable[[str], None],
    stopping: Callable[[], bool],
) -> Inputs:
    start, network, clips = time.monotonic(), kept.network, kept.clips
    count_of, missing = len(kept.files), list(kept.missing)
    with counting(f"{network.name}: features", COMPUTES) as count:

        def watch(done: int, total: int | None) -> None:
            count(done, total)
            if stopping():
                raise KeyboardInterrupt

        parts = (
            [network.prefix_parts[i] for i in missing] if network.prefix_parts else None
        )
        made = _computed(network, inputs, lowering, watch=watch, parts=parts)
    _require_finite(
        made, clips, f"{network.name}: check its pretrained weights, or keep float32"
    )
    if len(missing) == count_of:
        kept.arrays, kept.missing = dict(made), []
    else:
        for at, i in enumerate(missing):
            kept.put(i, {name: x[:, at] for name, x in made.items()})
    took = duration(time.monotonic() - start)
    some = f"{len(missing)} of {count_of} parts " * (len(missing) < count_of)
    say(f"{network.name}: {_size(kept.arrays, clips)}, {some}computed once in {took}")
    try:
        for i in missing:
            kept.write(i)
    except JmerError as error:  # the next run computes them again
        say(f"features are not kept: {error}")
    return kept.whole


def features(
    network: NetworkConfig,
    inputs: Inputs,
    lowering: Lowering,
    batch: int | None = None,
    watch: Callable[[int, int | None], None] = lambda done, total: None,
) -> Inputs:
    """What tasks see of all clips: the network's frozen prefix, run once for each.

    `batch` clips at once, or as many as the network says. `watch` is told of how many
    clips that is done, and of how many there are.
    """
    if not network.has_prefix:
        return inputs
    made = _computed(network, inputs, lowering, batch, watch)
    if network.prefix_parts:
        return network.prefix_whole(made)
    return {name: x[:, 0] for name, x in made.items()}


def _computed(
    network: NetworkConfig,
    inputs: Inputs,
    lowering: Lowering,
    batch: int | None = None,
    watch: Callable[[int, int | None], None] = lambda done, total: None,
    parts: Sequence[Any] | None = None,
) -> Mapping[str, np.ndarray]:
    """Of all clips these parts, or all there are: [clip, part, ...]."""
    parts = network.prefix_parts if parts is None else parts

    @jax.jit
    def run(part: Inputs) -> Inputs:
        with use_lowering(lowering):
            if network.prefix_parts:
                return network.prefix_of(part, parts)
            return {name: x[:, None] for name, x in network.prefix(part).items()}

    clips = len(next(iter(inputs.values())))
    batch = min(batch or network.prefix_batch, clips)
    made: dict[str, np.ndarray] = {}
    for start in range(0, clips, batch):
        stop = min(start + batch, clips)
        # The last ones are filled up, so that one program serves all.
        rows: Any = slice(start, stop)
        if stop - start < batch:
            rows = np.resize(np.arange(start, stop), batch)
        part = jax.device_get(run({name: x[rows] for name, x in inputs.items()}))
        for name, x in part.items():
            if name not in made:
                made[name] = np.empty((clips, *x.shape[1:]), x.dtype)
            made[name][start:stop] = x[: stop - start]
        watch(stop, clips)
    return made


def _size(arrays: Inputs, clips: ClipSet) -> str:
    total = sum(array.nbytes for array in arrays.values())
    kinds = ", ".join(sorted({str(array.dtype) for array in arrays.values()}))
    return f"features of {counted(len(clips), 'clip')}, {total / 1e6:.0f} MB {kinds}"


def _about(network: NetworkConfig, clips: ClipSet) -> dict[str, Any]:
    """What is kept beside features: whose they are, in which order."""
    return {
        "network": network.name,
        "set": clips.fingerprint,
        "clips": len(clips),
        "names": digest(clips.names),
    }


def _files(network: NetworkConfig, clips: ClipSet, lowering: Lowering) -> list[Path]:
    """One for each part, or for all there is."""
    parts = network.prefix_parts
    if not parts:
        return [_file(network, clips, lowering)]
    return [_file(network, clips, lowering, part) for part in parts]


def _file(
    network: NetworkConfig, clips: ClipSet, lowering: Lowering, *part: Any
) -> Path:
    """A name made of all that features depend on, to the rounding."""
    device = jax.local_devices()[0]
    facts = [
        network.name,
        network.prefix_facts,
        network.file_hashes,
        clips.fingerprint,
        clips.clip_id.tolist(),
        *part,
        [lowering, device.platform, device.device_kind],
        [VERSION, FORMAT, metadata.version("jax"), metadata.version("jaxlib")],
    ]
    if network.prefix_version > 1:  # files of the first versions say nothing of it
        facts.append(network.prefix_version)
    name = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]
    return cache_folder() / "features" / f"{network.name}-{name}.npz"


def _read(file: Path, about: dict[str, Any]) -> Inputs | None:
    """None if there is no such file. Raises: JmerError if it is damaged, or says
    otherwise than `about` whose features it has."""
    try:
        # NumPy leaves a file open that it cannot read.
        with file.open("rb") as opened:
            bits = load_arrays(file, opened)
        found = {}
        told = json.loads(str(bits.pop(ABOUT, "null")))
        for entry, value in bits.items():
            name, kind = entry.rsplit(".", 1)
            found[name] = value.view(jnp.dtype(kind))
        _require_same(found, told, about)
        return found
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Exception as error:  # of a damaged archive, NumPy lets many through
        reason = str(error) or type(error).__name__
        raise JmerError(
            f"{file} is damaged ({reason}): remove it, and the features in it are "
            f"computed anew."
        ) from error


def _require_same(found: Mapping[str, Any], told: Any, about: dict[str, Any]) -> None:
    """Raises: ValueError if features are not those that were kept, or of others."""
    if state(told) != "kept":
        raise ValueError("its checksum does not fit")
    wrong = first_difference({n: told.get(n) for n in about}, about)
    if wrong:
        raise ValueError(f"it is of other clips: {wrong}")
    for name, array in found.items():
        if len(array) != about["clips"]:
            raise ValueError(f"{name} is of {len(array)} clips, not {about['clips']}")
    if told["sha256"] != digest_of_arrays(found):
        raise ValueError("its checksum is another")


def _write(file: Path, arrays: Mapping[str, Any], about: dict[str, Any]) -> None:
    """As plain bits, since NumPy's files know no bfloat16."""
    bits = {f"{n}.{a.dtype}": a.view(f"u{a.itemsize}") for n, a in arrays.items()}
    told = sealed({**about, "sha256": digest_of_arrays(arrays)})
    bits[ABOUT] = np.array(json.dumps(told))
    with replacing(file) as opened:
        np.savez(opened, allow_pickle=False, **bits)  # type: ignore[arg-type]


def _require_finite(arrays: Inputs, clips: ClipSet, advice: str) -> None:
    for name, array in arrays.items():
        bad = next((i for i, a in enumerate(array) if not np.isfinite(a).all()), None)
        if bad is not None:
            raise JmerError(
                f"{advice}. Of clip {clips.clip_id[bad]} of subject "
                f"{clips.subject[bad]}, the features of {name} are not finite."
            )
