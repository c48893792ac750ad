"""A bundle, read and used: JAX and NumPy are all that it needs."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jmer.bundle.layout import (
    CLASSES,
    FEATURES,
    FORMAT,
    LOGITS,
    MANIFEST,
    MODULE,
    NETWORK,
    UNITS,
    WEIGHTS,
    ArraySpec,
    ProgramSpec,
)
from jmer.bundle.program import put_together
from jmer.bundle.safetensors import unpacked
from jmer.errors import JmerError
from jmer.files import read_json
from jmer.files.digest import differs, recorded
from jmer.files.inside import inside
from jmer.files.places import expanded

AGAIN = "restore it from a copy, or export the run again with `jmer export`."


class Bundle:
    """Trained networks that classify clips together.

    `bundle(clip)`, of clips [b, 16, 128, 128, 3], are the probabilities [b, classes];
    `bundle.inputs` says what a call takes, `bundle.manifest` all that is known of it.
    Where `bundle.labels` is `action units`, `bundle.classes` names them, each
    probability is by itself, and a unit is found where it is above one half.
    """

    def __init__(
        self,
        folder: Path,
        manifest: dict[str, Any],
        programs: Mapping[str, jax.export.Exported],
        weights: Mapping[str, np.ndarray],
    ) -> None:
        self.folder, self.manifest = folder, manifest
        self.weights: Mapping[str, np.ndarray] = weights
        """By path, a member after another on the first axis."""
        self.classes: tuple[str, ...] = tuple(manifest["classes"])
        self.labels: str = manifest.get("labels", CLASSES)
        """What `classes` are: `classes`, of which a clip has one, or `action units`,
        of which it shows any."""
        self._shares = SHARES[self.labels]
        self.inputs: tuple[ArraySpec, ...] = tuple(
            ArraySpec.read(each) for each in manifest["inputs"]
        )
        """The arrays that a call takes, in order."""
        self.folds: tuple[str, ...] = tuple(
            str(member["fold"]) for member in manifest["ensemble"]["members"]
        )
        """Who was held out of each member: its clips are new to that member alone."""
        self._programs = {name: jax.jit(made.call) for name, made in programs.items()}

    def __repr__(self) -> str:
        takes = "; ".join(map(str, self.inputs))
        network = self.manifest["network"]["name"]
        count = len(self.folds)
        return (
            f"Bundle {self.folder}: {network}, {count} member{'s' * (count != 1)}, "
            f"{takes} → {', '.join(self.classes)}"
        )

    def __call__(self, *arrays: Any, **named: Any) -> np.ndarray:
        """Probabilities [b, classes], float32, of clips: the mean over all members.

        Arrays are those of `inputs`, in order or by name, the batch first; the manifest
        says what each must hold. Floating-point ones are taken in any precision.

        Raises: JmerError naming the array if one is missing, or of another shape or
        type.
        """
        return self.outputs(*arrays, **named)["probabilities"]

    def outputs(self, *arrays: Any, **named: Any) -> dict[str, np.ndarray]:
        """Means over the members, float32: `probabilities` [b, classes] and whatever
        else the network tells, such as `intensity` [b, steps]; and `members`
        [member, b, classes], the probabilities by each. Raises: as a call.
        """
        each = self._each(self._checked(arrays, named))
        stacked = {name: np.stack([one[name] for one in each]) for name in each[0]}
        members = self._shares(stacked.pop(LOGITS))
        means = {name: value.mean(0) for name, value in stacked.items()}
        return {"probabilities": members.mean(0), **means, "members": members}

    def logits(self, *arrays: Any, **named: Any) -> np.ndarray:
        """[member, b, classes], float32, as the networks of the run return them.
        Raises: as a call."""
        each = self._each(self._checked(arrays, named))
        return np.stack([one[LOGITS] for one in each])

    def _each(self, inputs: Mapping[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
        """What each member makes of them."""
        seen: Mapping[str, Any] = inputs
        if FEATURES in self._programs:
            seen = self._programs[FEATURES]({}, inputs)
        network = self._programs[NETWORK]
        found = []
        for member in range(len(self.folds)):
            own = {path: value[member] for path, value in self.weights.items()}
            found.append(jax.device_get(network(own, seen)))
        return found

    def _checked(
        self, arrays: tuple[Any, ...], named: Mapping[str, Any]
    ) -> dict[str, np.ndarray]:
        names = [spec.name for spec in self.inputs]
        given = dict(zip(names, arrays, strict=False)) | dict(named)
        if len(arrays) + len(named) != len(names) or given.keys() != {*names}:
            wanted = ", ".join(map(str, self.inputs))
            raise JmerError(
                f"{self.folder} takes {wanted}; {len(arrays)} arrays by place and "
                f"{', '.join(named) or 'none'} by name were given."
            )
        made = {spec.name: _fitting(spec, given[spec.name]) for spec in self.inputs}
        sizes = {name: len(array) for name, array in made.items()}
        if len({*sizes.values()}) > 1:
            shown = ", ".join(f"{name} of {n}" for name, n in sizes.items())
            raise JmerError(f"{self.folder}: arrays of different clips ({shown}).")
        if 0 in sizes.values():
            raise JmerError(f"{self.folder}: no clips were given; a batch has one.")
        return made


def load_bundle(folder: str | Path) -> Bundle:
    """The bundle that `jmer export` wrote in a folder.

    Needs JAX and NumPy alone. Every file is compared with its hash first.

    Raises: JmerError if it is no bundle, a file is missing, cut off or changed, or this
    JAX cannot read its programs.
    """
    folder = expanded(Path(folder))
    manifest = _manifest(folder)
    try:
        specs = {n: ProgramSpec.read(s) for n, s in manifest["programs"].items()}
        weights = unpacked(_content(folder, manifest, WEIGHTS))
        programs = {
            name: _program(folder, manifest, spec, weights if name == NETWORK else {})
            for name, spec in specs.items()
        }
        if NETWORK not in programs:
            raise ValueError(f"no program {NETWORK}")
        return Bundle(folder, manifest, programs, weights)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise JmerError(
            f"{folder / MANIFEST} does not say what a manifest says "
            f"({' '.join(str(error).split())[:200]}): {AGAIN}"
        ) from error


def _manifest(folder: Path) -> dict[str, Any]:
    file = folder / MANIFEST
    if folder.is_file():
        raise JmerError(f"{folder} is a file: give the folder of a bundle.")
    if (folder / "experiment.json").is_file():
        raise JmerError(
            f"{folder} is a run, and no bundle. `jmer export "
            f"{shlex.quote(str(folder))} --out BUNDLE` writes one of it."
        )
    if not file.is_file():
        place = "BUNDLE" if folder.exists() else shlex.quote(str(folder))
        raise JmerError(
            f"{folder} has no {MANIFEST}: it is no bundle. `jmer export RUN --out "
            f"{place}` writes one."
        )
    manifest = read_json(file, required=True, remedy=AGAIN)
    found = manifest.get("bundle") if isinstance(manifest, dict) else None
    if not isinstance(found, int):
        raise JmerError(f"{file} is not the manifest of a bundle: {AGAIN}")
    if found > FORMAT:
        raise JmerError(
            f"{file} has format {found}, and this jmer reads {FORMAT}: install the one "
            f"that wrote it, {manifest.get('versions', {}).get('jmer', 'or a later')}."
        )
    return manifest


def _content(folder: Path, manifest: Mapping[str, Any], name: str) -> bytes:
    """A file of the bundle, as it was written."""
    file = inside(folder, name, folder / MANIFEST, "files")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise JmerError(f"cannot read {file}: {error.strerror}; {AGAIN}") from error
    then = recorded(manifest["files"].get(name))
    if then is None:
        raise JmerError(f"{folder / MANIFEST} has no checksum of {name}: {AGAIN}")
    if changed := differs(content, then):
        raise JmerError(f"{file} is not what jmer wrote there: {changed}; {AGAIN}")
    return content


def _program(
    folder: Path,
    manifest: Mapping[str, Any],
    spec: ProgramSpec,
    weights: Mapping[str, np.ndarray],
) -> jax.export.Exported:
    """Raises: JmerError if this JAX cannot read it."""
    name = f"{spec.name}{MODULE}"
    content = _content(folder, manifest, name)
    shapes = {
        path: jax.ShapeDtypeStruct(value.shape[1:], value.dtype)
        for path, value in weights.items()
    }
    try:
        return put_together(content, spec, shapes)
    except Exception as error:  # JAX says it in many ways
        made = manifest["versions"]["jax"]
        raise JmerError(
            f"{folder / name} was made by jax {made}, and jax {jax.__version__} cannot "
            f"read it ({' '.join(str(error).split())[:160]}): pip install "
            f"'jax=={made}', or export the run again with this one."
        ) from error


def _fitting(spec: ArraySpec, given: Any) -> np.ndarray:
    """An array as the program takes it."""
    array = np.asarray(given)
    wanted = np.dtype(spec.dtype)
    if array.ndim != len(spec.shape) + 1 or array.shape[1:] != spec.shape:
        one = array.shape == spec.shape
        more = f"; of one clip, give {spec.name}[None]" if one else ""
        raise JmerError(
            f"the bundle takes {spec}, and {spec.name} has shape "
            f"{list(array.shape)}{more}."
        )
    both_float = np.issubdtype(array.dtype, np.floating) and wanted.kind == "f"
    if array.dtype != wanted and not both_float:
        raise JmerError(
            f"the bundle takes {spec}, and {spec.name} is {array.dtype}: give whole "
            f"pixels of 0 to 255 with .astype('uint8')."
            if wanted == np.uint8
            else f"the bundle takes {spec}, and {spec.name} is {array.dtype}: convert "
            f"it with .astype({spec.dtype!r})."
        )
    with np.errstate(over="ignore"):
        made = array.astype(wanted)
    if wanted.kind == "f" and not np.isfinite(made).all():
        raise JmerError(
            f"the bundle takes {spec}, and {spec.name} has a value that is not finite "
            f"in {wanted}: repair its source, or leave the clip out."
        )
    return made


def _softmax(logits: np.ndarray) -> np.ndarray:
    shares = np.exp(logits - logits.max(-1, keepdims=True))
    return shares / shares.sum(-1, keepdims=True)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    less = np.exp(-np.abs(logits))  # which never overflows
    return np.where(logits > 0, 1, less) / (1 + less)


SHARES = {CLASSES: _softmax, UNITS: _sigmoid}
"""Probabilities of logits, by kind of labels."""
