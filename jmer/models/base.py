"""What a network tells the rest of jmer about itself."""

import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike

from jmer import trees
from jmer.arrays import Array, PRNGKeyArray
from jmer.errors import JmerError, Needs
from jmer.files import content_hash
from jmer.files.recorded import made_from
from jmer.losses import label_loss, weighted_mean
from jmer.own.packages import NETWORKS, brought, one_called
from jmer.text import did_you_mean
from jmer.weights.torch_names import PathArrays, TorchState

Inputs = Mapping[str, Array]
"""Clips [b, ...] by the names of features."""
Shown = tuple[Array, dict[str, Array]]
"""Logits [b, classes], and what there is to show by name, clips first."""


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """The fields that a paper varies, and how to build the network from them.

    A subclass is one network: listed by `jmer list models`, usable as the `model` of
    an experiment. Its module is called with the arrays named by `inputs`, in that
    order, then `train` (bool), `key` (randomness in training) and `weight` ([b], 0 for
    clips that must not touch this task), and returns logits [b, classes].
    """

    name: ClassVar[str]
    """Name on the command line."""
    paper: ClassVar[str] = ""
    """Authors, year and venue."""
    inputs: ClassVar[tuple[str, ...]]
    """Features of the data set that the network sees."""
    values: ClassVar[tuple[str, ...]] = ()
    """Fields in which variants of one experiment may differ: numbers of the loss."""
    files: ClassVar[tuple[str, ...]] = ()
    """Fields that name a file of weights: results depend on its content, and not on its
    place."""
    later: ClassVar[Mapping[str, Any]] = {}
    """Fields that the network did not have when runs of it were first made, and what
    those did: a run that does the same has their identity, and goes on with them."""
    clips_apart: ClassVar[bool] = True
    """Whether the loss of a batch is the mean of what its clips lose each by itself, so
    that a batch can go through in parts. (Batch norm is found out without being told.)
    """
    prefix_version: ClassVar[int] = 1
    """Goes up by one whenever the same fields make another `prefix` of the same clips:
    what was kept by an earlier version is not read. An output of each version is in
    tests/test_prefix_versions.py."""
    prefix_batch: ClassVar[int] = 8
    """Clips whose `prefix` is computed at once."""
    fitted: ClassVar[bool] = False
    """Whether its weights are found at once by a fit, as those of a baseline are."""
    paper_classes: ClassVar[tuple[str, ...]] = ()
    """Classes of the paper's main result, in the order of its published weights; of a
    network without a paper, none."""
    trunk_besides: ClassVar[tuple[str, ...]] = ()
    """How names begin of what `trunk_from_torch` leaves, such as the trunk's head."""
    small_size: ClassVar[Mapping[str, Any]] = {}
    """Fields of the network that `--small` trains: numbers are the most that it has, so
    that what is smaller already stays; of anything else, what it is. Sizes of images
    may be smaller than those of the data set, which are shrunk to them. A network that
    says nothing is trained as it is, on fewer clips."""
    listed: ClassVar[Mapping[str, int | str]] = {}
    """`parameters`, `trained` and `input` as `describe` finds them at the paper's size,
    so that `jmer list models` need not build the network. A test compares the two."""

    @property
    def idle(self) -> tuple[str, ...]:
        """Fields of `later` that make no difference, as the other fields are."""
        return ()

    @property
    def needs(self) -> Needs:
        """What fields need that make a difference beside others alone; see `Needs`.
        Who gives one that makes none is told so, and what would have to be added."""
        return {}

    @property
    def takes_units(self) -> bool:
        """Whether labels may be sets of action units."""
        return True

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shape of one clip, for each of `inputs`."""
        raise NotImplementedError

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of one clip of each feature, as a data set stores it."""
        return dict(zip(self.inputs, self.input_shapes, strict=True))

    def build(self, classes: int, *, dtype: DTypeLike, rngs: nnx.Rngs) -> nnx.Module:
        """A network with fresh float32 parameters that computes in `dtype`."""
        raise NotImplementedError

    def from_torch(self, state: TorchState) -> PathArrays:
        """Arrays by path (`params.…`, `stats.…`) from a published PyTorch state.

        Raises: JmerError if no weights of this network were published; KeyError or
        ValueError if `state` is not theirs.
        """
        raise JmerError(f"{self.name} has no published weights that jmer can read.")

    def fields_of(self, state: TorchState, told: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of this network that a published PyTorch state tells by its
        shapes and names, and `told`, the arguments that its script wrote beside it.

        Raises: KeyError or ValueError if `state` is of another network.
        """
        return {}

    @property
    def usual_classes(self) -> tuple[str, ...]:
        """Those of its paper, or else three, where nothing says which there are."""
        return self.paper_classes or ("negative", "positive", "surprise")

    def classes_of(self, told: Mapping[str, Any]) -> tuple[str, ...]:
        """The classes of published weights in the order of labels, where nobody says
        otherwise; `told` as in `fields_of`."""
        return self.paper_classes

    def trunk_from_torch(self, state: TorchState) -> PathArrays:
        """The arrays that a training may start from, by path, of a PyTorch state that
        was trained on something else (ImageNet, Kinetics): the trunk, not the head.

        Raises: JmerError if the network takes none; KeyError or ValueError if `state`
        is not of its trunk.
        """
        raise JmerError(f"{self.name} does not start from weights of another network.")

    def to_torch(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """A PyTorch state from one training's arrays by path.

        Raises: JmerError if nobody wrote down PyTorch's names.
        """
        raise JmerError(
            f"{self.name} has no names in PyTorch that jmer knows. `jmer export RUN "
            f"--out DIR` writes the weights of a run by jmer's own names."
        )

    def pretrained_part(self, name: str, fields: Mapping[str, Any]) -> str:
        """The path of the part that `jmer pretrain NAME` trained with these fields.

        Raises: JmerError if the network has no such part, or one of another size.
        """
        raise JmerError(f"{self.name} does not start from weights of {name}.")

    def peer(self, classes: int, *, tuned: bool = False) -> Any:
        """The same network as a `torch.nn.Module` that takes the inputs channels
        first; `tuned` asks for one that its author would write for speed.

        Raises: JmerError if nobody wrote one.
        """
        try:
            module = importlib.import_module(f"jmer.peers.{self.name}")
        except ModuleNotFoundError as error:
            if not type(self).__module__.startswith("jmer."):
                raise JmerError(
                    f"{self.name} has no PyTorch twin, as networks of jmer have: leave "
                    f"--peer out."
                ) from error
            raise JmerError(
                f"{self.name} has no PyTorch twin, or PyTorch is not installed "
                f"({error.name} is missing): pip install 'jmer[torch]'."
            ) from error
        return module.build(self, classes, tuned=tuned)

    def loss(
        self,
        model: nnx.Module,
        inputs: Inputs,
        label: Array,
        *,
        weight: Array,
        key: PRNGKeyArray,
    ) -> Array:
        """The training loss of one batch: cross-entropy unless a paper adds to it.

        `label` is a class [b], or whether each action unit is shown [b, classes].
        """
        logits = self.apply(model, inputs, train=True, key=key, weight=weight)
        return weighted_mean(label_loss(logits, label), weight)

    @property
    def versions(self) -> int:
        """In how many versions an epoch has each training clip."""
        return 1

    def augment(self, inputs: Inputs, key: PRNGKeyArray, version: Array) -> Inputs:
        """A batch of clips changed for training, at random or in `version` [b], from 0
        to below `versions`; as it is by default.

        The engine calls it before `loss`, once for all tasks that see the same batch.
        """
        return inputs

    def layers_above(self, path: tuple[str, ...]) -> int:
        """How many layers of the network lie between a parameter and its head, for
        learning rates that decay with depth; 0 wherever a paper has none.
        """
        return 0

    @property
    def frozen_parameters(self) -> int:
        """Weights of the network that lie in `prefix`, the same for all tasks."""
        return 0

    @property
    def file_hashes(self) -> dict[str, str]:
        """A hash of the content of each of `files` that is given, by field.

        Raises: JmerError for one that cannot be read.
        """
        named = {name: getattr(self, name) for name in self.files}
        return {name: content_hash(Path(file)) for name, file in named.items() if file}

    @property
    def has_prefix(self) -> bool:
        """Whether `prefix` does anything."""
        return type(self).prefix is not NetworkConfig.prefix

    @property
    def prefix_parts(self) -> tuple[Hashable, ...]:
        """What `prefix` is put together of, if each is kept by itself, so that other
        fields that ask for some of the same need not compute those again. Each is a
        JSON value; `prefix_facts` has the fields that all of them depend on.
        """
        return ()

    def prefix_of(self, inputs: Inputs, parts: Sequence[Any]) -> Inputs:
        """Some of `prefix_parts`, of a batch of clips: arrays [b, part, ...].

        A part must have the same bits whichever others are asked for.
        """
        raise NotImplementedError

    def prefix_whole(self, parts: Inputs) -> Inputs:
        """What `prefix` returns, of all parts in their order."""
        raise NotImplementedError

    @property
    def prefix_facts(self) -> dict[str, Any]:
        """The fields that `prefix` depends on, apart from `files`, as JSON values."""
        fields = dataclasses.asdict(self)
        return {name: v for name, v in fields.items() if name not in self.files}

    @property
    def without_files(self) -> "NetworkConfig":
        """A network of the same sizes and operations that reads no file, to be timed
        where its weights are not at hand."""
        given = [name for name in self.files if getattr(self, name) is not None]
        return dataclasses.replace(self, **dict.fromkeys(given)) if given else self

    def frozen(self, path: tuple[str, ...]) -> bool:
        """Whether training leaves a parameter as it is, though tasks differ in it: what
        each fold has trained before, on its own clips.

        The network should stop the gradient there (`jax.lax.stop_gradient`), which
        saves its time. What no task trains is part of `prefix` instead.
        """
        return False

    def prefix(self, inputs: Inputs) -> Inputs:
        """The part of the network that training does not change, of a batch of clips.

        The engine runs it once for each clip, and keeps what it returns on the device:
        `loss` and `apply` get that instead of the data set's features. Most networks
        have none.
        """
        return inputs

    def apply(self, model: nnx.Module, inputs: Inputs, **options: Any) -> Array:
        """Logits [b, classes] of a batch, as `prefix` leaves it.

        Raises: JmerError if the module returns something else.
        """
        arrays = [inputs[name] for name in self.inputs]
        logits: Array = model(*arrays, **options)
        require_logits(model, logits, len(arrays[0]))
        return logits

    def apply_units(self, model: nnx.Module, inputs: Inputs, **options: Any) -> Array:
        """Logits [b, units] of action units, of which a clip shows as many as it does:
        those of `apply`, unless these are of classes that exclude one another.
        """
        return self.apply(model, inputs, **options)

    def explain(self, model: nnx.Module, inputs: Inputs) -> Shown:
        """Logits [b, classes] of clips as a data set has them, and what there is to
        show of them by name, clips first: what the module's `explain` returns.

        Of a module that has no such method, `gradient_NAME` of each input: the gradient
        of the logit of the predicted class.

        Raises: JmerError if the network tells no classes apart.
        """
        show = getattr(model, "explain", None)
        if show is None:
            return self._gradients(model, inputs)
        seen = self.prefix(inputs)
        return show(*(seen[name] for name in self.inputs))

    def _gradients(self, model: nnx.Module, inputs: Inputs) -> Shown:
        def predicted(seen: Inputs) -> tuple[Array, Array]:
            logits = self.predict(model, seen)
            return logits.max(-1).sum(), logits

        wide = {name: inputs[name].astype(jnp.float32) for name in self.inputs}
        found, logits = jax.grad(predicted, has_aux=True)(wide)
        return logits, {f"gradient_{name}": value for name, value in found.items()}

    def predict(self, model: nnx.Module, inputs: Inputs) -> Array:
        """Logits [b, classes] of clips as a data set has them."""
        return self.apply(model, self.prefix(inputs), train=False)

    def predict_units(self, model: nnx.Module, inputs: Inputs) -> Array:
        """The same of action units, by `apply_units`."""
        return self.apply_units(model, self.prefix(inputs), train=False)


def require_logits(
    model: nnx.Module, logits: Any, clips: int, classes: int | None = None
) -> None:
    """Raises: JmerError if what a module returned are no logits of so many clips, and
    classes."""
    shape = getattr(logits, "shape", None)
    if shape is None:
        found = f"a {type(logits).__name__}"
    elif len(shape) == 2 and shape[0] == clips and classes in (None, shape[1]):
        return
    else:
        found = f"an array of {list(shape)}"
    expected = f"[{clips}, {'classes' if classes is None else classes}]"
    raise JmerError(
        f"{type(model).__name__} returned {found}: a network returns logits "
        f"[b, classes], which are {expected} here."
    )


def describe(config: NetworkConfig) -> dict[str, str | int]:
    """The record of a network in `jmer list models --json`, at the paper's size."""

    def count(
        model: nnx.Module,
        kind: type[nnx.Variable],
        frozen: Callable[[tuple[str, ...]], bool] = lambda path: False,
    ) -> int:
        leaves = jax.tree_util.tree_leaves_with_path(nnx.state(model, kind))
        names = [tuple(trees.path_name(path).split(".")) for path, _ in leaves]
        sizes = [leaf.size for _, leaf in leaves]
        return sum(n for n, path in zip(sizes, names, strict=True) if not frozen(path))

    model = nnx.eval_shape(
        lambda: config.build(
            len(config.usual_classes), dtype=jnp.float32, rngs=nnx.Rngs(params=0)
        )
    )
    shapes = zip(config.inputs, config.input_shapes, strict=True)
    return {
        "name": config.name,
        "paper": config.paper,
        "parameters": count(model, nnx.Param) + config.frozen_parameters,
        "trained": count(model, nnx.Param, config.frozen),
        "input": ", ".join(f"{n} {'x'.join(map(str, s))}" for n, s in shapes),
    }


def networks() -> Iterator[type[NetworkConfig]]:
    """Every network of this package, by name of its file."""
    package = importlib.import_module("jmer.models")
    for module in pkgutil.iter_modules(package.__path__, "jmer.models."):
        for _, value in inspect.getmembers(
            importlib.import_module(module.name), inspect.isclass
        ):
            own = value.__module__ == module.name
            if own and issubclass(value, NetworkConfig) and value is not NetworkConfig:
                yield value


def network_class(name: str) -> type[NetworkConfig]:
    """The network of that name: one of ours, or else one that an installed package
    brings (see `jmer.own.packages`).

    Raises: JmerError naming those that exist.
    """
    found = {kind.name: kind for kind in networks()}
    if name in found:
        return found[name]
    if one := one_called(name, NETWORKS):
        return one.load(NetworkConfig)
    there = [*found, *dict.fromkeys(one.name for one in brought(NETWORKS))]
    raise JmerError(
        f"no network is called {name!r}{did_you_mean(name, there)}; there are: "
        f"{', '.join(there)}. One of your own is known by its file."
    )


def default_config(name: str) -> NetworkConfig:
    """The network of that name at its paper's size."""
    return network_class(name)()


def network(
    name: str,
    fields: Mapping,
    file: Path = Path("experiment.json"),
    part: str = "model",
) -> NetworkConfig:
    """The configuration that `dataclasses.asdict` and `name` were taken from, which a
    `file` records as its `part`.

    Raises: JmerError if there is no such network, or the fields are not its own.
    """
    return made_from(network_class(name), fields, file, part)
