"""What a clip costs that is taken for another class: the loss of an experiment."""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Literal, TypeAlias

import jax
import jax.numpy as jnp
import optax
from flax import nnx, struct

from jmer import keys
from jmer.arrays import Array, Bool, Float, Int, PRNGKeyArray, typed
from jmer.errors import FieldCheck, UsageError
from jmer.losses import use_cross_entropy
from jmer.models.base import Inputs, NetworkConfig

Label: TypeAlias = Int[Array, " b"] | Bool[Array, "b k"]
"""Of each clip its class, or which action units it shows."""


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """What training makes of the cross-entropy of a network; all of it at once, if so
    asked. Evaluation has the plain one, and so has `inner_criterion`."""

    class_weights: Literal["none", "balanced"] = "none"
    """balanced: each class counts alike, a clip of class c as n / (k n_c), of n
    training clips of k classes of the fold; an action unit as two classes, shown or
    not. Mean over clips, whatever a batch has."""
    focal: float = 0.0
    """Exponent of (1 - p), by which clips that are recognised count less; 2 is usual
    (Lin et al. 2017)."""
    smoothing: float = 0.0
    """Share of a label that goes to all classes alike, 0 to below 1 (Szegedy et al.
    2016); of an action unit, half of it to shown and half to not."""
    mixup: float = 0.0
    """Each training clip is mixed with another of its batch, and its label too, by a
    share that is drawn for the batch from Beta(a, a); 0 for none, 0.2 is usual (Zhang
    et al. 2018)."""

    def __post_init__(self) -> None:
        check = FieldCheck(self, "loss")
        check.choices()
        check.finite("focal", "mixup")
        check.share("smoothing")


PLAIN = LossConfig()


@struct.dataclass
class Labels:
    """Of clips that are two in one."""

    first: Label
    second: Label
    share: Float[Array, " b"]  # of the first


def balanced_weights(
    label: Label, train: Bool[Array, " n"], classes: int
) -> Float[Array, " k"] | Float[Array, "2 k"]:
    """n / (k n_c) of each class c of the k that `train` has clips of, n in all, of
    which n_c are of that class; 0 for a class without. Their mean over clips is 1. Of
    action units, the same of clips that show one [0] and of those that do not [1].

    Nothing of clips that are not in `train` reaches it.
    """
    if label.ndim == 1:
        own = jax.nn.one_hot(jnp.where(train, label, classes), classes)
        return _inverse(own.sum(0), 0)
    both = jnp.stack([label, ~label]) & train[:, None]
    return _inverse(both.sum(1).astype(jnp.float32), 0)


def _inverse(counts: Array, axis: int) -> Array:
    there = counts > 0
    classes = there.sum(axis, keepdims=True)
    total = counts.sum(axis, keepdims=True)
    share: Array = total / jnp.maximum(classes * counts, 1)
    return jnp.where(there, share, 0)


def mixed(
    inputs: Inputs,
    label: Label,
    weight: Float[Array, " b"],
    key: PRNGKeyArray,
    alpha: float,
) -> tuple[Inputs, Labels]:
    """A batch whose clips of weight above 0 are each mixed with another such clip, in
    a random order of them; clips of weight 0 are in none, and stay.

    Raises: UsageError for inputs that are no quantities.
    """
    for name, value in inputs.items():
        whole = not jnp.issubdtype(value.dtype, jnp.floating)
        if name == "present" or (whole and value.dtype != jnp.uint8):
            raise UsageError(
                f"loss.mixup={alpha}: {name} of clips are no quantities that can be "
                f"mixed. Leave out --loss.mixup."
            )
    partner = _partners(keys.named(key, "partners"), weight)
    share = jax.random.beta(keys.named(key, "share"), alpha, alpha)

    def mix(x: Array) -> Array:
        wide = x.astype(jnp.float32)
        return share * wide + (1 - share) * wide[partner]

    shares = jnp.broadcast_to(share, label.shape[:1])
    return jax.tree.map(mix, dict(inputs)), Labels(label, label[partner], shares)


def _partners(key: PRNGKeyArray, weight: Float[Array, " b"]) -> Int[Array, " b"]:
    """A random permutation of the clips of weight above 0; the others' is their own."""
    own = weight > 0
    drawn = jnp.where(own, jax.random.uniform(key, own.shape), 2.0)
    # Both have the clips of weight 0 last, in the same order: the sort is stable.
    return jnp.zeros(len(own), jnp.int32).at[jnp.argsort(~own)].set(jnp.argsort(drawn))


@contextlib.contextmanager
def use_loss(
    config: LossConfig,
    label: Label | Labels,
    class_weight: Array | None,
    who: str,
) -> Iterator[None]:
    """The cross-entropy of a batch with this `label` is what `config` makes of it.

    Raises: UsageError, at the end, if the network `who` never asked for it.
    """
    if config == PLAIN:
        yield
        return
    asked = False

    def cross_entropy(logits: Array, first: Array) -> Array:
        nonlocal asked
        asked = True
        units = first.ndim == logits.ndim
        wanted = _wanted(first, logits.shape[-1])
        if isinstance(label, Labels):
            wanted = _of_both(wanted, label)
        return (cost_of_units if units else cost)(config, logits, wanted, class_weight)

    with use_cross_entropy(cross_entropy):
        yield
    if not asked:
        raise UsageError(
            f"loss={config} changes the cross-entropy, and {who} learns by another "
            f"loss: leave out --loss, or call jmer.losses.cross_entropy in its loss"
        )


def _wanted(label: Array, classes: int) -> Array:
    """The share of each class or unit, one-hot for classes [..., k]."""
    if jnp.issubdtype(label.dtype, jnp.bool_):
        return label.astype(jnp.float32)
    return jax.nn.one_hot(label, classes, dtype=jnp.float32)


def _of_both(first: Float[Array, "b *s k"], label: Labels) -> Float[Array, "b *s k"]:
    """Those of mixed clips, each of whose steps has the label of its clip."""
    second = _wanted(label.second, first.shape[-1])
    lead = (len(second), *(1,) * (first.ndim - 2))
    share = label.share.reshape(*lead, 1)
    return share * first + (1 - share) * second.reshape(*lead, -1)


@typed
def cost(
    config: LossConfig,
    logits: Float[Array, "*b k"],
    wanted: Float[Array, "*b k"],
    class_weight: Float[Array, " k"] | None = None,
) -> Float[Array, "*b"]:
    """-sum over classes of wanted x class_weight x (1 - p)^focal x log p, of each clip,
    in nats, p = softmax(logits); `wanted` is smoothed before."""
    logits = logits.astype(jnp.float32)
    wanted = optax.smooth_labels(wanted, config.smoothing)
    if class_weight is not None:
        wanted = wanted * class_weight
    if config.focal:
        missed = -jnp.expm1(jax.nn.log_softmax(logits))
        # A power below 1 is infinitely steep at 0.
        wanted = wanted * jnp.maximum(missed, 1e-6) ** config.focal
    return optax.softmax_cross_entropy(logits, wanted)


@typed
def cost_of_units(
    config: LossConfig,
    logits: Float[Array, "*b k"],
    wanted: Float[Array, "*b k"],
    unit_weight: Float[Array, "2 k"] | None = None,
) -> Float[Array, "*b"]:
    """-(wanted w_0 (1 - p)^focal log p + (1 - wanted) w_1 p^focal log(1 - p)), the mean
    over action units, in nats, p = sigmoid(logits); `wanted` is smoothed before."""
    logits = logits.astype(jnp.float32)
    wanted = (1 - config.smoothing) * wanted + config.smoothing / 2
    shown, hidden = jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits)
    sides = []
    for i, (share, own, other) in enumerate(
        ((wanted, shown, hidden), (1 - wanted, hidden, shown))
    ):
        if unit_weight is not None:
            share = share * unit_weight[i]
        if config.focal:
            share = share * jnp.maximum(jnp.exp(other), 1e-6) ** config.focal
        sides.append(share * own)
    return -(sides[0] + sides[1]).mean(-1)


def require_loss(
    config: LossConfig,
    network: NetworkConfig,
    inputs: Inputs,
    label: Label,
    classes: int,
) -> None:
    """Traces the loss of two clips of a set, before anything begins.

    Raises: UsageError if the network or the clips cannot have what is asked for.
    """
    if config == PLAIN:
        return

    def loss(inputs: Inputs, label: Array) -> Array:
        key, weight = jax.random.key(0), jnp.ones(2)
        seen = network.augment(network.prefix(inputs), key, jnp.zeros(2, jnp.int32))
        labels: Array | Labels = label
        if config.mixup:
            seen, labels = mixed(seen, label, weight, key, config.mixup)
        rngs = nnx.Rngs(params=0)
        model = network.build(classes, dtype=jnp.float32, rngs=rngs)
        weights = jnp.ones(classes if label.ndim == 1 else (2, classes))
        with use_loss(config, labels, weights, network.name):
            return network.loss(model, seen, label, weight=weight, key=key)

    shapes = {
        name: jax.ShapeDtypeStruct((2, *value.shape[1:]), value.dtype)
        for name, value in inputs.items()
    }
    of_two = jax.ShapeDtypeStruct((2, *label.shape[1:]), label.dtype)
    jax.eval_shape(loss, shapes, of_two)
