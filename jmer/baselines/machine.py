"""Support vector machines of pairs of classes, as a module whose weights are fitted."""

import itertools

import jax.numpy as jnp
from flax import nnx
from jax import lax

from jmer.arrays import Array, Float, typed

EXACT = lax.Precision.HIGHEST  # an accelerator would round features to 8 bits


def pairs_of(classes: int) -> list[tuple[int, int]]:
    """Pairs of classes in the order of machines: the first one's side is positive."""
    return list(itertools.combinations(range(classes), 2))


class Machines(nnx.Module):
    """A machine for each pair of classes, on standardised features, and their votes; or
    for `each` class against all others, whose decisions are the logits.

    `vectors` is how many training clips Gaussian machines may keep; 0 makes them
    linear. A class has a logit of its votes, and a share of its summed decisions that
    is below half a vote (Wu et al. 2004; the rule of scikit-learn's
    `decision_function_shape="ovr"`): equal votes go to the larger sum.
    """

    def __init__(
        self, width: int, classes: int, *, vectors: int = 0, each: bool = False
    ) -> None:
        self.classes, self.vectors, self.each = classes, vectors, each
        count = classes if each else len(pairs_of(classes))
        self.mean = nnx.BatchStat(jnp.zeros(width))
        self.scale = nnx.BatchStat(jnp.ones(width))
        self.offset = nnx.Param(jnp.zeros(count))
        self.weight = nnx.Param(jnp.zeros((vectors or width, count)))
        if vectors:
            self.support = nnx.Param(jnp.zeros((vectors, width)))
            self.gamma = nnx.Param(jnp.zeros(()))

    @typed
    def __call__(self, features: Float[Array, "b d"]) -> Float[Array, "b k"]:
        """Logits of clips by their features."""
        x = standardised(features, self.mean[...], self.scale[...])
        if self.vectors:
            x = gaussian(x, self.support[...], self.gamma[...])
        decisions = jnp.matmul(x, self.weight[...], precision=EXACT) + self.offset[...]
        return decisions if self.each else voted(decisions, self.classes)


def standardised(
    x: Float[Array, "b d"], mean: Float[Array, " d"], scale: Float[Array, " d"]
) -> Float[Array, "b d"]:
    """Features less their mean, in standard deviations, of which `scale` has one by
    each; what never varied is 0 there."""
    return (x - mean) * scale


def gaussian(
    x: Float[Array, "b d"], support: Float[Array, "v d"], gamma: Float[Array, ""]
) -> Float[Array, "b v"]:
    """exp(-gamma |x - support|²) of all pairs."""
    across = jnp.matmul(x, support.T, precision=EXACT)
    far = (x**2).sum(-1)[:, None] + (support**2).sum(-1)[None] - 2 * across
    return jnp.exp(-gamma * jnp.maximum(far, 0))


def voted(decisions: Float[Array, "b p"], classes: int) -> Float[Array, "b k"]:
    """A logit for each class, of the decisions of `pairs_of(classes)`."""
    votes = [jnp.zeros(len(decisions)) for _ in range(classes)]
    sums = list(votes)
    for decision, (first, second) in zip(decisions.T, pairs_of(classes), strict=True):
        wins = decision >= 0
        votes[first] += wins
        votes[second] += ~wins
        sums[first] += decision
        sums[second] -= decision
    total = jnp.stack(sums, 1)
    return jnp.stack(votes, 1) + total / (3 * (jnp.abs(total) + 1))
