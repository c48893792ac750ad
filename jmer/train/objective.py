"""What a clip costs that is taken for another class: the loss of an experiment."""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Literal

import jax
import jax.numpy as jnp
import optax
from flax import nnx, struct

from jmer import keys
from jmer.arrays import Array, Float, Int, PRNGKeyArray, Shaped, typed
from jmer.errors import FieldCheck, UsageError
from jmer.losses import use_cross_entropy
from jmer.models.base import Inputs, NetworkConfig


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """What training makes of the cross-entropy of a network; all of it at once, if so
    asked. Evaluation has the plain one, and so has `inner_criterion`."""

    class_weights: Literal["none", "balanced"] = "none"
    """balanced: each class counts alike, a clip of class c as n / (k n_c), of n
    training clips of k classes of the fold. Mean over clips, whatever a batch has."""
    focal: float = 0.0
    """Exponent of (1 - p), by which clips that are recognised count less; 2 is usual
    (Lin et al. 2017)."""
    smoothing: float = 0.0
    """Share of a label that goes to all classes alike, 0 to below 1 (Szegedy et al.
    2016)."""
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

    first: Int[Array, " b"]
    second: Int[Array, " b"]
    share: Float[Array, " b"]  # of the first


@typed
def balanced_weights(
    label: Int[Array, " n"], train: Shaped[Array, " n"], classes: int
) -> Float[Array, " k"]:
    """n / (k n_c) of each class c of the k that `train` has clips of, n in all, of
    which n_c are of that class; 0 for a class without. Their mean over clips is 1.

    Nothing of clips that are not in `train` reaches it.
    """
    own = jax.nn.one_hot(jnp.where(train, label, classes), classes, dtype=jnp.float32)
    counts = own.sum(0)
    there = counts > 0
    share: Array = counts.sum() / jnp.maximum(there.sum() * counts, 1)
    return jnp.where(there, share, 0)


def mixed(
    inputs: Inputs,
    label: Int[Array, " b"],
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

    shares = jnp.broadcast_to(share, label.shape)
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
    label: Int[Array, " b"] | Labels,
    class_weight: Float[Array, " k"] | None,
    who: str,
) -> Iterator[None]:
    """The cross-entropy of a batch with this `label` is what `config` makes of it.

    Raises: UsageError, at the end, if the network `who` never asked for it.
    """
    if config == PLAIN:
        yield
        return
    asked = False

    def cross_entropy(
        logits: Float[Array, "*b k"], first: Int[Array, "*b"]
    ) -> Float[Array, "*b"]:
        nonlocal asked
        asked = True
        wanted: Array = jax.nn.one_hot(first, logits.shape[-1], dtype=jnp.float32)
        if isinstance(label, Labels):
            wanted = _of_both(wanted, label)
        return cost(config, logits, wanted, class_weight)

    with use_cross_entropy(cross_entropy):
        yield
    if not asked:
        raise UsageError(
            f"loss={config} changes the cross-entropy, and {who} learns by another "
            f"loss: leave out --loss, or call jmer.losses.cross_entropy in its loss"
        )


def _of_both(first: Float[Array, "b *s k"], label: Labels) -> Float[Array, "b *s k"]:
    """One-hot labels of mixed clips, each of whose steps has the label of its clip."""
    second: Array = jax.nn.one_hot(label.second, first.shape[-1], dtype=jnp.float32)
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


def require_loss(
    config: LossConfig, network: NetworkConfig, inputs: Inputs, classes: int
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
        with use_loss(config, labels, jnp.ones(classes), network.name):
            return network.loss(model, seen, label, weight=weight, key=key)

    shapes = {
        name: jax.ShapeDtypeStruct((2, *value.shape[1:]), value.dtype)
        for name, value in inputs.items()
    }
    jax.eval_shape(loss, shapes, jax.ShapeDtypeStruct((2,), jnp.int32))
