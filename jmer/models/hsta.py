"""HSTA: hierarchical space-time attention."""

import collections
import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike

from jmer import keys, nn
from jmer.arrays import Array, Float, PRNGKeyArray, Shaped, typed
from jmer.data.facs import OBJECTIVE
from jmer.errors import FieldCheck, Needs, lacking
from jmer.losses import label_loss, squared_error, weighted_mean
from jmer.models.base import Inputs, NetworkConfig
from jmer.nn import remat
from jmer.nn.attention import with_room
from jmer.nn.frames import drawn, spread
from jmer.nn.layer_norm import standardised
from jmer.nn.lowering.choice import current
from jmer.nn.tokens import first, with_first
from jmer.weights import hsta as published
from jmer.weights import torch_names
from jmer.weights.hsta import BRANCHES
from jmer.weights.torch_names import PathArrays, TorchState

LOSSES = {"cross_entropy": label_loss, "mse": squared_error}
OTHER = {"special": "video", "video": "special"}
OWN = {"special": ("dim_s", "patch_s", "special_size"), "video": ("dim_v", "patch_v")}
"""Fields of one stream."""
Rule = Literal["authors", "by-unit", "video"]


@dataclasses.dataclass(frozen=True)
class HstaConfig(NetworkConfig):
    """HSTA (Hao et al. 2024): frames of a clip and special frames, each by a vision
    transformer (USTA), whose class tokens look at the other's patches (CSTA).

    Where paper and code differ, the code: two widths, a perceptron in USTA, and
    cross-entropy. No unit in a layer, without CSTA, drops its stream, as in table 2.
    """

    name: ClassVar[str] = "hsta"
    paper: ClassVar[str] = (
        "Hao, Wang, Ben, Hao, Wang, Wang. Hierarchical Space-Time Attention for "
        "Micro-Expression Recognition. arXiv 2405.03202, 2024"
    )
    listed: ClassVar[Mapping[str, int | str]] = {
        "parameters": 81_887_623,
        "trained": 81_887_623,
        "input": "clip 6x224x224x3, special 2x224x224x3",
    }
    inputs: ClassVar[tuple[str, ...]] = ("clip", "special")
    later: ClassVar[Mapping[str, Any]] = {
        **{"drop_path_rates": "video", "stored_frames": None},
    }
    paper_classes: ClassVar[tuple[str, ...]] = (
        "others",
        "disgust",
        "surprise",
        "fear",
        "anger",
        "sad",
        "happy",
    )

    small_size: ClassVar[Mapping[str, Any]] = {
        **{"depth": (1, 1, 1), "size": 32, "special_size": None},
        **{"patch_v": 8, "patch_s": 8, "dim_v": 48, "dim_s": 24, "heads": 4},
    }

    depth: tuple[int, int, int] = (4, 1, 2)
    """Layers of USTA and CSTA (N of section 3.4), and in each of them USTA units for
    the special frames and for the frames of the clip (l_s and l_v)."""
    csta: bool = True
    """Whether each class token looks at the patches of the other stream."""
    streams: Literal["both", "v", "s"] = "both"
    """v: the frames of the clip alone. s: the special frames alone."""
    num_frames: int = 6
    """Frames of the clip."""
    stored_frames: int | None = None
    """Frames that the data set stores of a clip, of which training sees any num_frames
    in their order, drawn anew whenever the clip is seen, as the authors' code has it,
    and evaluation evenly spread ones (default: num_frames, the same at any time). That
    code draws in testing, too, so that its scores differ from one test to the next."""
    special_frames: int = 2
    """Special frames, such as onset and apex."""
    size: int = 224
    """Height and width of all frames, in pixels."""
    special_size: int | None = None
    """Side to which special frames are resized, in pixels (default: as they are)."""
    patch_v: int = 16
    """Side of a patch of the clip, in pixels."""
    patch_s: int = 12
    """Side of a patch of the special frames; pixels that fill none are left out."""
    tubelet: int = 2
    """Frames of a patch."""
    dim_v: int = 768
    """Features of a token of the clip."""
    dim_s: int = 384
    """Features of a token of the special frames."""
    heads: int = 12
    """Attention heads; they share the features."""
    mlp_ratio: int = 4
    """Width of the perceptron, in features of a token."""
    usta_mlp: bool = True
    """Whether USTA units have the perceptron of the code, absent from the paper."""
    dropout: float = 0.2
    """Share of values dropped after positions and linear layers, 0 to below 1."""
    drop_path: float = 0.2
    """Share of clips that leave out the last USTA unit, 0 to below 1; 0 at the first,
    in equal steps."""
    drop_path_rates: Rule = "authors"
    """Which unit has which step. authors: as their code deals them out: of as many
    steps as there are video units in all, a layer takes one for each unit of its longer
    stream; once they run out, in the middle of a layer too, all are 0. by-unit: as many
    steps as units of the longer stream in all. video: as many as video units, and a
    special unit has that of the video unit of its layer and number, or 0. Where
    no layer has more special units than video units, all three are the same."""
    objective: Literal["cross_entropy", "mse"] = "cross_entropy"
    """cross_entropy (the code), or the squared error of probabilities (the paper)."""

    def __post_init__(self) -> None:
        check = FieldCheck(self, "model")
        check.at_least(1, *POSITIVE)
        whole = self.layers >= 1 and min(self.ls, self.lv) >= 0
        check.must("depth", whole, "be 1 layer or more, and no negative units")
        check.share("dropout", "drop_path")
        stored = self.stored_frames is None or self.stored_frames > self.num_frames
        check.must("stored_frames", stored, f"be above num_frames={self.num_frames}")
        for name in ("num_frames", "special_frames"):
            whole = getattr(self, name) % self.tubelet == 0
            check.must(name, whole, f"be a multiple of tubelet={self.tubelet}")
        sides = {"video": self.size, "special": self.special_side}
        for stream in reversed(self.kept):
            dim, patch = self.dim(stream), self.window(stream)[-1]
            letter = stream[0]
            whole, fits = dim % self.heads == 0, patch <= sides[stream]
            check.must(f"dim_{letter}", whole, f"be a multiple of heads={self.heads}")
            check.must(f"patch_{letter}", fits, f"fit in {sides[stream]} pixels")
        check.choices()
        alone = self.csta and self.streams != "both"
        check.must("streams", not alone, "be both, or csta off")

    @property
    def idle(self) -> tuple[str, ...]:
        same = self.ls <= self.lv or self.drop_path == 0
        return ("drop_path_rates",) if same else ()

    @property
    def needs(self) -> Needs:
        ls, lv = max(self.ls, 1), max(self.lv, 1)
        some = {"depth": (self.layers, ls, lv)}  # units of either stream
        both = lacking(self, streams=("both",)) | ({} if self.ls and self.lv else some)
        units = {"special": self.ls, "video": self.lv}
        found: dict[str, Mapping[str, Any]] = {}
        for stream, fields in OWN.items():
            found |= dict.fromkeys(fields, {} if stream in self.kept else both)
        lone = {} if any(units[stream] for stream in self.kept) else some
        at_half = dataclasses.replace(self, drop_path=0.5)
        drops = [rate for rates in at_half._rates for rate in rates]
        rules = get_args(Rule)
        by_rule = [dataclasses.replace(at_half, drop_path_rates=r) for r in rules]
        alike = all(one._rates == at_half._rates for one in by_rule)
        more = max(self.layers, 2)
        return {
            **found,
            "heads": {} if self.csta else lone,
            "usta_mlp": lone,
            "mlp_ratio": lacking(self, usta_mlp=(True,)) | lone,
            "drop_path": {} if any(drops) else {"depth": (more, 1, max(lv, 2))},
            "drop_path_rates": ({} if self.drop_path else {"drop_path": 0.2})
            | ({"depth": (more, lv + 1, lv)} if alike else {}),
        }

    @property
    def _rates(self) -> list[list[float]]:
        """Of stochastic depth, those of each layer and stream."""
        every = (self.depth_rates(layer) for layer in range(self.layers))
        return [rates[stream] for rates in every for stream in self.kept]

    @property
    def layers(self) -> int:
        """N, layers of USTA and CSTA."""
        return self.depth[0]

    @property
    def ls(self) -> int:
        """USTA units of a layer for the special frames."""
        return self.depth[1]

    @property
    def lv(self) -> int:
        """USTA units of a layer for the frames of the clip."""
        return self.depth[2]

    @property
    def special_side(self) -> int:
        """Side of the special frames inside the network, in pixels."""
        return self.size if self.special_size is None else self.special_size

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        frame = (self.size, self.size, 3)
        stored = self.stored_frames or self.num_frames
        return (stored, *frame), (self.special_frames, *frame)

    @property
    def kept(self) -> tuple[str, ...]:
        """The streams that the network has, in the order of its head."""
        units = {"special": self.ls, "video": self.lv}
        if self.streams != "both":
            return ("video",) if self.streams == "v" else ("special",)
        if not self.csta and any(units.values()):
            return tuple(name for name, count in units.items() if count)
        return tuple(units)

    def dim(self, stream: str) -> int:
        """Features of a stream's tokens."""
        return self.dim_v if stream == "video" else self.dim_s

    def window(self, stream: str) -> tuple[int, int, int]:
        """Frames, rows and columns of a stream's patches."""
        side = self.patch_v if stream == "video" else self.patch_s
        return self.tubelet, side, side

    def grid(self, stream: str) -> tuple[int, int, int]:
        """Patches of a stream along frames, rows and columns."""
        frames, side = self.special_frames, self.special_side
        if stream == "video":
            frames, side = self.num_frames, self.size
        t, h, w = self.window(stream)
        return frames // t, side // h, side // w

    def depth_rates(self, layer: int) -> dict[str, list[float]]:
        """Rates of stochastic depth of the units of a layer, by stream."""
        units = {"special": self.ls, "video": self.lv}
        rule, longer, counted = self.drop_path_rates, max(self.ls, self.lv), self.lv
        if rule == "video":
            longer = self.lv
        # The code of a stream alone is not public: its units are all there are.
        elif rule == "by-unit" or self.kept == ("special",):
            counted = longer
        rates = np.linspace(0, self.drop_path, self.layers * counted).tolist()
        own = rates[layer * longer :][:longer]
        found = {}
        for name, count in units.items():
            found[name] = (own + [0.0] * count)[:count]
            if rule == "authors" and len(own) < count:
                own = []  # their list is gone for the stream after it too
        return found

    def build(self, classes: int, *, dtype: DTypeLike, rngs: nnx.Rngs) -> "Hsta":
        return Hsta(self, classes, dtype=dtype, rngs=rngs)

    def augment(self, inputs: Inputs, key: PRNGKeyArray, version: Array) -> Inputs:
        """The frames of the clip that this epoch shows."""
        if self.stored_frames is None:
            return inputs
        clip = drawn(inputs["clip"], self.num_frames, keys.named(key, "frames"))
        return {**inputs, "clip": clip}

    def loss(
        self,
        model: nnx.Module,
        inputs: Inputs,
        label: Array,
        *,
        weight: Array,
        key: PRNGKeyArray,
    ) -> Array:
        logits = self.apply(model, inputs, train=True, key=key, weight=weight)
        return weighted_mean(LOSSES[self.objective](logits, label), weight)

    def layers_above(self, path: tuple[str, ...]) -> int:
        """Patches lie N + 1 layers below the head, layer i (from 1) N + 1 - i; what is
        shared by all layers (class tokens, last norms) counts as the head.
        """
        if path[0] == "layers":
            return self.layers - int(path[1])
        return self.layers + 1 if "embed" in path else 0

    def fields_of(self, state: TorchState, told: Mapping[str, Any]) -> dict[str, Any]:
        """Depth, widths, patches and parts, of the tensors; frames, their size and the
        rates of dropout, of the arguments beside them.

        No tensor tells the heads: where the paper's do not fit, they have 64 features
        of the clip, as in all networks of the authors' code.
        """
        return published.fields(state, told)

    def classes_of(self, told: Mapping[str, Any]) -> tuple[str, ...]:
        if told.get(published.LABELS) == "objective_class":
            return OBJECTIVE
        return self.paper_classes

    def from_torch(self, state: TorchState) -> PathArrays:
        """A checkpoint of the authors' code: branch 0 is the special frames, 1 the
        clip; a branch's class token goes through the projections of its number.
        """
        arrays = torch_names.linear(state, "head", "head")
        for name in self.kept:
            i, target = BRANCHES[name], f"streams.{name}"
            patches = f"patch_embed.{i}.proj", f"{target}.embed.proj"
            arrays |= torch_names.patches(state, *patches)
            arrays |= torch_names.layer_norm(state, f"norm.{i}", f"norms.{name}")
            arrays[f"params.{target}.token"] = state[f"cls_token.{i}"]
        for n in range(self.layers):
            for name in self.kept:
                i, target = BRANCHES[name], f"layers.{n}"
                for unit in range(self.lv if name == "video" else self.ls):
                    arrays |= torch_names.transformer_block(
                        state,
                        f"blocks.{n}.blocks.{i}.{unit}",
                        f"{target}.usta.{name}.{unit}",
                    )
                if self.csta:
                    arrays |= torch_names.cross_fusion(
                        state, f"blocks.{n}", i, f"{target}.csta.{name}"
                    )
        return arrays


POSITIVE = (
    *("num_frames", "special_frames", "size", "special_side", "tubelet"),
    *("patch_v", "patch_s", "dim_v", "dim_s", "heads", "mlp_ratio"),
)


class Stream(NamedTuple):
    """Tokens [b, 1 + patches, features] of a stream, that of the class first, and those
    that are nobody's last."""

    x: Array
    standard: Array | None
    """`standardised(x)`, where several layers share it."""


Tokens = dict[str, Stream]
"""Of each stream."""
Kept = dict[str, list[Array]]
"""What stochastic depth multiplies the branches of each unit by, by stream."""
Counts = Mapping[str, int]
"""Tokens that are somebody's, of each stream that has others."""
NONE: Counts = {}
Maps = dict[str, list[Array]]
"""Attention of class tokens, by where it happens, a layer or unit after another."""


class HstaLayer(nnx.Module):
    """USTA: self-attention within each stream, over all tokens of all frames at once.
    CSTA: each class token is replaced by what it becomes over the other's patches.

    Sections 3.2 and 3.3. Both directions read the same tokens; patches stay.
    """

    def __init__(
        self, config: HstaConfig, index: int, *, dtype: DTypeLike, rngs: nnx.Rngs
    ) -> None:
        same: dict[str, Any] = {
            "dropout": config.dropout,
            "dtype": dtype,
            "rngs": rngs,
        }
        self.dtype = dtype
        ratio = config.mlp_ratio if config.usta_mlp else 0
        rates = config.depth_rates(index)

        def unit(name: str, rate: float) -> nn.TransformerBlock:
            dim = config.dim(name)
            return nn.TransformerBlock(
                dim, config.heads, hidden=ratio * dim, drop_path=rate, **same
            )

        def fusion(name: str) -> nn.CrossFusion:
            dims = config.dim(name), config.dim(OTHER[name])
            return nn.CrossFusion(*dims, config.heads, **same)

        self.usta = nnx.Dict(
            {n: nnx.List([unit(n, r) for r in rates[n]]) for n in config.kept}
        )
        self.csta = nnx.Dict({n: fusion(n) for n in config.kept if config.csta})

    def __call__(
        self,
        tokens: Tokens,
        *,
        key: PRNGKeyArray | None = None,
        kept: Kept | None = None,
        counts: Counts = NONE,
        maps: Maps | None = None,
    ) -> Tokens:
        """The tokens after this layer; `maps` collects attention where it is given.

        `kept` is what `depth` said, where the layer cannot know it by itself.
        """
        kept = self.depth(tokens, key=key) if kept is None else kept
        same: dict[str, Any] = {"counts": counts, "maps": maps}
        tokens = {
            name: self._units(
                name, stream, kept[name], key=keys.within(key, name), **same
            )
            for name, stream in tokens.items()
        }
        return {
            name: self._fused(name, tokens, key=keys.within(key, name), **same)
            for name in tokens
        }

    def depth(self, tokens: Tokens, *, key: PRNGKeyArray | None) -> Kept:
        """What the branches of the units are multiplied by, those of each stream."""
        return {
            name: [
                unit.depth(len(stream.x), keys.within(key, name, "usta", i))
                for i, unit in enumerate(self.usta[name])
            ]
            for name, stream in tokens.items()
        }

    def _units(
        self,
        name: str,
        stream: Stream,
        kept: list[Array],
        *,
        key: PRNGKeyArray | None,
        counts: Counts,
        maps: Maps | None,
    ) -> Stream:
        x, standard = stream
        for i, unit in enumerate(self.usta[name]):
            if maps is not None:
                maps[name].append(unit.weights_of_first(x))
            key_of = keys.within(key, "usta", i)
            x = unit(
                x,
                key=key_of,
                kept=kept[i],
                standard=standard,
                count=counts.get(name),
            )
            standard = None
        if name in self.csta and standard is None:
            standard = standardised(x, self.dtype)
        return Stream(x, standard)

    def _fused(
        self,
        name: str,
        tokens: Tokens,
        *,
        key: PRNGKeyArray | None,
        counts: Counts,
        maps: Maps | None,
    ) -> Stream:
        if name not in self.csta:
            return tokens[name]
        (x, standard), other = tokens[name], tokens[OTHER[name]]
        if maps is not None:
            place = f"{name}_over_{OTHER[name]}"
            maps[place].append(self.csta[name].weights(x[:, :1], other.x))
        key = keys.within(key, "csta")
        token = self.csta[name](
            first(x),
            other.x,
            key=key,
            standard=other.standard,
            count=counts.get(OTHER[name]),
        )
        if standard is not None:  # that of patches stays as they do
            standard = with_first(standardised(token, self.dtype), standard)
        return Stream(with_first(token, x), standard)


def _layer(
    counts: Counts,
    layer: HstaLayer,
    tokens: Tokens,
    own: tuple[PRNGKeyArray | None, Kept],
) -> Tokens:
    key, kept = own
    return layer(tokens, key=key, kept=kept, counts=counts)


class Hsta(nnx.Module):
    """The network of `HstaConfig`: layers, then a linear layer over class tokens."""

    def __init__(
        self, config: HstaConfig, classes: int, *, dtype: DTypeLike, rngs: nnx.Rngs
    ) -> None:
        self.config, self.dtype = config, dtype
        same: dict[str, Any] = {"dtype": dtype, "rngs": rngs}
        self.streams = nnx.Dict(
            {
                n: nn.PatchTokens(
                    config.window(n), config.dim(n), dropout=config.dropout, **same
                )
                for n in config.kept
            }
        )
        self.layers = nnx.List(
            [HstaLayer(config, i, **same) for i in range(config.layers)]
        )
        self.norms = nnx.Dict(
            {n: nn.layer_norm(config.dim(n), rngs=rngs) for n in config.kept}
        )
        self.head = nn.narrow_linear(sum(map(config.dim, config.kept)), classes, **same)

    @typed
    def __call__(
        self,
        clip: Shaped[Array, "b t h w 3"],
        special: Shaped[Array, "b s h w 3"],
        *,
        train: bool = False,
        key: PRNGKeyArray | None = None,
        weight: Float[Array, " b"] | None = None,
    ) -> Float[Array, "b k"]:
        """Logits of RGB frames from 0 to 255."""
        return self._logits(clip, special, key=key if train else None)

    @typed
    def explain(
        self,
        clip: Shaped[Array, "b t h w 3"],
        special: Shaped[Array, "b s h w 3"],
        *,
        train: bool = False,
        key: PRNGKeyArray | None = None,
        weight: Float[Array, " b"] | None = None,
    ) -> tuple[Float[Array, "b k"], dict[str, Float[Array, "b _ heads _ _ _"]]]:
        """Logits, and what class tokens take from each patch, a share of 1 that leaves
        out what they take from themselves.

        `video` and `special` are of USTA; `video_over_special` (the class token of the
        clip over special patches) and `special_over_video` of CSTA. Each is
        [b, units or layers, heads, frames, rows, columns], of patches.
        """
        maps: Maps = collections.defaultdict(list)
        logits = self._logits(clip, special, key=key if train else None, maps=maps)
        return logits, {place: self._over_grid(place, maps[place]) for place in maps}

    def _logits(
        self,
        clip: Array,
        special: Array,
        *,
        key: PRNGKeyArray | None,
        maps: Maps | None = None,
    ) -> Array:
        if clip.shape[1] != self.config.num_frames:
            clip = spread(clip, self.config.num_frames)
        both = {"special": self._resized(special), "video": nn.imagenet(clip)}
        frames = {name: x for name, x in both.items() if name in self.streams}
        counts = {name: self.streams[name].count(x) for name, x in frames.items()}
        rooms = counts  # maps are of all tokens
        if maps is None:
            rooms = {name: with_room(n, self.dtype) for name, n in counts.items()}
        counts = {name: n for name, n in counts.items() if n < rooms[name]}
        tokens = {
            name: self._embedded(
                name, x, rooms[name], key=keys.within(key, "positions", name)
            )
            for name, x in frames.items()
        }
        own = [keys.within(key, "layer", i) for i in range(self.config.layers)]
        if maps is None and current() != "patches" and remat.in_use():
            # An accelerator's compiler takes minutes for each layer that it sees. What
            # a loop keeps for the gradients it must copy: it should be little.
            depth = [
                layer.depth(tokens, key=k)
                for layer, k in zip(self.layers, own, strict=True)
            ]
            each = list(zip(own, depth, strict=True))
            one = functools.partial(_layer, counts)
            tokens = remat.repeated(self.layers, one, tokens, each)
        else:
            for layer, k in zip(self.layers, own, strict=True):
                tokens = layer(tokens, key=k, counts=counts, maps=maps)
        of_class = [self.norms[n](tokens[n].x[:, 0]) for n in self.config.kept]
        return self.head(jnp.concatenate(of_class, axis=-1)).astype(jnp.float32)

    def _embedded(
        self, name: str, frames: Array, room: int, *, key: PRNGKeyArray | None
    ) -> Stream:
        x = self.streams[name](frames, key=key, room=room)
        return Stream(x, standardised(x, self.dtype) if self.config.csta else None)

    def _resized(self, special: Array) -> Array:
        b, t, _, _, c = special.shape
        side = self.config.special_side
        return jax.image.resize(nn.imagenet(special), (b, t, side, side, c), "bilinear")

    def _over_grid(self, place: str, weights: list[Array]) -> Array:
        patches = jnp.stack(weights, axis=1)[..., 1:]
        grid = self.config.grid(place.split("_over_")[-1])
        return patches.reshape(*patches.shape[:-1], *grid)
