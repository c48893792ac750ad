"""The published weights of FlowNet 2.0, as NVIDIA converted them for PyTorch."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
from flax import nnx

from jmer.errors import JmerError
from jmer.preprocess.flownet2.stack import WIDTH, FlowNet2
from jmer.weights.torch_files import read_state_dict

CONV = (3, 2, 0, 1)  # axes of [*window, c, d] in PyTorch's order
DECONV = (2, 3, 0, 1)
SHOWN = 4  # complaints in an error


def read_checkpoint(file: Path, *, width: int = WIDTH) -> FlowNet2:
    """The network with the weights of a checkpoint, `{"state_dict": {…}}` or bare.

    Raises: JmerError if the file cannot be read safely, or an array of it is missing,
    wrongly shaped or unknown.
    """
    state = dict(read_state_dict(file))
    model = nnx.eval_shape(lambda: FlowNet2(width=width, rngs=nnx.Rngs(params=0)))
    graphdef, params = nnx.split(model)
    problems, leaves = [], []
    for path, variable in nnx.to_flat_state(params):
        name, order = name_in_checkpoint(path)
        expected = tuple(variable.shape[axis] for axis in order)
        array = state.pop(name, None)
        if array is None:
            problems.append(f"{name} is missing")
        elif array.shape != expected:
            problems.append(f"{name} has shape {array.shape} instead of {expected}")
        else:
            value = jnp.asarray(array.transpose(np.argsort(order)))
            leaves.append((path, variable.replace(value)))
    problems += [f"{name} is no part of it" for name in state]
    if problems:
        more = f", and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise JmerError(
            f"{file} is no checkpoint of FlowNet 2.0: {', '.join(problems[:SHOWN])}"
            f"{more}. Give NVIDIA's FlowNet2_checkpoint.pth.tar."
        )
    return nnx.merge(graphdef, nnx.from_flat_state(leaves))


def name_in_checkpoint(path: tuple) -> tuple[str, tuple[int, ...]]:
    """Name of a parameter in the checkpoint, and jmer's axes in the order there.

    A layer that is followed by an activation, or could be, is the first of a sequence.
    """
    network, *_, layer, kind = path
    first = ".0" if layer.startswith(("conv", "deconv", "inter_conv")) else ""
    if kind == "bias":
        return f"{network}.{layer}{first}.bias", (0,)
    doubling = layer.startswith(("deconv", "upsampled"))
    return f"{network}.{layer}{first}.weight", DECONV if doubling else CONV
