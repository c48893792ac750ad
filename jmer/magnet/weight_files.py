"""The published weights of the magnification network."""

import functools
from collections.abc import Hashable
from pathlib import Path

import numpy as np
from flax import nnx

from jmer.errors import JmerError
from jmer.magnet.network import WIDTH, Magnet
from jmer.weights.archive import has_weights, read_weights
from jmer.weights.torch_files import StateDict, read_state_dict

ParameterPath = tuple[Hashable, ...]
"""The names on the way from a network to an array."""
FILE = "learning_based_mag.pth.tar"
CONV = (3, 2, 0, 1)  # axes of [*window, c, d] in PyTorch's order
SHOWN = 4  # complaints in an error
LAYERS = {
    "encoder.first": "encoder.conv1",
    "encoder.second": "encoder.conv2",
    "encoder.blocks": "encoder.resblks",
    "encoder.texture_first": "encoder.conv1_text",
    "encoder.texture_blocks": "encoder.resblks_text",
    "encoder.shape_first": "encoder.conv1_shape",
    "encoder.shape_blocks": "encoder.resblks_shape",
    "manipulator.motion": "manipulator.convblks.0.conv1",
    "manipulator.after": "manipulator.convblks_after.0.conv1",
    "manipulator.block": "manipulator.resblks.0",
    "decoder.texture": "decoder.conv1_text",
    "decoder.blocks": "decoder.resblks",
    "decoder.first": "decoder.conv1",
    "decoder.second": "decoder.conv2",
}
"""jmer's names, and those of the checkpoint."""


def published(path: ParameterPath) -> str:
    """Name in the checkpoint of the parameter at a path of the network."""
    part, layer, *rest = map(str, path)
    places = {"first": "conv1", "second": "conv2"}
    inner = [
        places.get(name, name) for name in rest if name.isdigit() or name in places
    ]
    return ".".join([LAYERS[f"{part}.{layer}"], *inner, "weight"])


def arrays(
    state: StateDict, *, width: int | None = None
) -> dict[ParameterPath, np.ndarray]:
    """The arrays of a checkpoint by path of the network that they fit.

    The network is as wide as the checkpoint, unless `width` asks for another.

    Raises: ValueError if an array is missing, wrongly shaped or unknown.
    """
    state = dict(state)
    if width is None:
        first = state.get("encoder.conv1.weight")
        width = len(first) if first is not None else WIDTH
    _, params = structure(width)
    problems: list[str] = []
    found: dict[ParameterPath, np.ndarray] = {}
    for path, variable in nnx.to_flat_state(params):
        name = published(path)
        expected = tuple(variable.shape[axis] for axis in CONV)
        array = state.pop(name, None)
        if array is None:
            problems.append(f"{name} is missing")
        elif array.shape != expected:
            problems.append(f"{name} has shape {array.shape} instead of {expected}")
        else:
            found[path] = np.ascontiguousarray(array.transpose(np.argsort(CONV)))
    problems += [f"{name} is no part of it" for name in state]
    if problems:
        more = f", and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise ValueError(f"{', '.join(problems[:SHOWN])}{more}")
    return found


def structure(width: int) -> tuple[nnx.GraphDef, nnx.State]:
    """The network's graph, and the shapes of its parameters."""
    model = nnx.eval_shape(lambda: Magnet(width=width, rngs=nnx.Rngs(params=0)))
    return nnx.split(model)


def load_magnet(file: Path) -> tuple[nnx.GraphDef, nnx.State]:
    """The network and its weights, in host memory; a file is read only once.

    Raises: JmerError if there is no such file, it cannot be read safely, or it is no
    checkpoint of this network.
    """
    try:
        about = file.stat()
    except OSError as error:
        raise JmerError(
            f"cannot read the magnifier's weights from {file}: {error.strerror}. Give "
            f"the published {FILE}."
        ) from error
    return _load(file.resolve(), about.st_mtime_ns, about.st_size)


@functools.lru_cache(maxsize=2)
def _load(file: Path, *version: int) -> tuple[nnx.GraphDef, nnx.State]:
    del version
    try:
        found = _trained(file) if has_weights(file) else arrays(read_state_dict(file))
    except ValueError as error:
        raise JmerError(
            f"{file} is no checkpoint of the magnification network: {error}. Give the "
            f"published {FILE}, or a file of `jmer pretrain magnet`."
        ) from error
    graphdef, params = structure(
        len(found[("encoder", "first", "conv", "kernel")][0, 0, 0])
    )
    leaves = [(p, v.replace(found[p])) for p, v in nnx.to_flat_state(params)]
    return graphdef, nnx.from_flat_state(leaves)


def _trained(file: Path) -> dict[ParameterPath, np.ndarray]:
    """The arrays of a file that `jmer pretrain` wrote, as `arrays` has them.

    Raises: ValueError if it is of another network or an array is missing or wrongly
    shaped.
    """
    flat, about = read_weights(file)
    identity = about.get("identity", {})
    if identity.get("network") != "magnet":
        raise ValueError(f"it is of {identity.get('network')}")
    state: dict[ParameterPath, np.ndarray] = {}
    for path, variable in nnx.to_flat_state(structure(identity["recipe"]["width"])[1]):
        name = ".".join(["params", *map(str, path)])
        if name not in flat:
            raise ValueError(f"{name} is missing")
        if flat[name].shape != variable.shape:
            raise ValueError(
                f"{name} has shape {flat[name].shape} instead of {variable.shape}"
            )
        state[path] = flat.pop(name)
    left = sorted(name for name in flat if name.startswith(("params.", "stats.")))
    if left:
        raise ValueError(f"{left[0]} is no part of it")
    return state
