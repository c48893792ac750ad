"""What a checkpoint of HSTA's authors says of the size of its network.

Names are those of `_model_hsta.py` in OceanSummerDay/HSTA_MER: branch 0 is the special
frames, branch 1 the clip.
"""

import re
from collections.abc import Mapping
from typing import Any

from jmer.weights.torch_names import TorchState

BRANCHES = {"special": 0, "video": 1}
LABELS = "use_emothion_or_objective_class_as_label"
"""Of the script's arguments, the one that says which labels there were."""
ARGUMENTS = {
    "num_frames": ("num_frames", int),
    "short_side_size": ("size", int),
    "drop": ("dropout", float),
    "drop_path": ("drop_path", float),
}
"""Arguments of the script, the fields that they are, and their types."""
OF_A_HEAD = {"video": 64, "special": 32}
"""Features of a token for each head, in all networks of that file."""
UNIT = re.compile(r"blocks\.(\d+)\.blocks\.(\d+)\.(\d+)\.")


def fields(state: TorchState, told: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of an `HstaConfig`: what arrays tell, and what the arguments do.

    Raises: KeyError or IndexError if the arrays are of another network.
    """
    kept = [name for name, i in BRANCHES.items() if f"cls_token.{i}" in state]
    if not kept:
        raise KeyError("cls_token.0")
    found = _told(told)
    for name in kept:
        found |= _stream(state, name)
    found["depth"] = _depth(state)
    both, fused = len(kept) == 2, any(".fusion." in name for name in state)
    found |= {"streams": "both" if both else kept[0][0], "csta": fused}
    # Where both are there, the clip decides.
    widest = found[f"dim_{kept[-1][0]}"]
    if widest % OF_A_HEAD[kept[-1]] == 0:
        found["heads"] = widest // OF_A_HEAD[kept[-1]]
    return found | _perceptron(state)


def _told(told: Mapping[str, Any]) -> dict[str, Any]:
    """Only what is a number, since anybody may have written it."""
    found = {}
    for name, (field, kind) in ARGUMENTS.items():
        value = told.get(name)
        if isinstance(value, kind) and not isinstance(value, bool):
            found[field] = value
    return found


def _stream(state: TorchState, name: str) -> dict[str, Any]:
    letter = name[0]
    kernel = state[f"patch_embed.{BRANCHES[name]}.proj.weight"]
    dim, _, tubelet, side = kernel.shape[:4]
    return {f"dim_{letter}": dim, f"patch_{letter}": side, "tubelet": tubelet}


def _depth(state: TorchState) -> tuple[int, int, int]:
    """Layers, and units of a layer for special frames and for the clip."""
    layers = [int(name.split(".")[1]) for name in state if name.startswith("blocks.")]
    units = {0: 0, 1: 0}
    for name in state:
        if at := UNIT.match(name):
            branch, unit = int(at[2]), int(at[3])
            units[branch] = max(units.get(branch, 0), unit + 1)
    return max(layers, default=0) + 1, units[0], units[1]


def _perceptron(state: TorchState) -> dict[str, Any]:
    units = [name for name in state if UNIT.match(name)]
    if not units:
        return {}
    wide = [name for name in units if name.endswith("mlp.fc1.weight")]
    if not wide:
        return {"usta_mlp": False}
    rows, dim = state[wide[0]].shape
    return {"usta_mlp": True, "mlp_ratio": rows // dim}
