"""Two methods on several data sets: what all of them say together.

Each set has a difference between the two, paired by subjects (`jmer.scores.paired`).
Whether there is one at all is asked by Stouffer's method, with the square root of the
number of subjects as the weight of a set; how large it is by the mean of the
differences over sets, which are taken to differ among themselves (random effects).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jmer.annotations import Float
from jmer.scores.paired import TIE, Difference

Z95 = 1.959963984540054
"""Standard deviations on either side of 95 % of a normal distribution."""


@dataclass(frozen=True)
class Pooled:
    """A mean of differences over sets, by random effects."""

    value: float
    low: float
    """Lower end of the 95 % interval."""
    high: float
    between: float
    """Standard deviation of the true differences between sets; 0 if the sets differ no
    more than their subjects explain, and with one set."""
    inconsistency: float
    """Share of the spread of sets that subjects do not explain (I², 0 to 1)."""
    shares: tuple[float, ...]
    """Weight of each set in the mean; they sum to 1."""
    p: float
    """Of no difference, by the normal distribution, either way."""


@dataclass(frozen=True)
class Combined:
    """What several sets say together of one score of two methods."""

    z: float
    """Stouffer's, positive if the second method is better."""
    p: float
    """Of no difference in any set, either way."""
    subjects: int
    weights: tuple[float, ...]
    """Share of each set in z; they sum to 1."""
    pooled: Pooled | None
    """None where a set's difference has no spread, as that of equal predictions."""
    dissent: tuple[int, ...]
    """Sets whose difference has the other sign than z."""


def combine(found: Sequence[Difference]) -> Combined:
    """What the differences of one score in independent sets say together.

    The p of a set becomes a z with the sign of its difference; z is the sum of those
    with the weights √subjects, over the root of the sum of their squares (Stouffer et
    al. 1949; the weights as in Liptak 1958).

    Raises: ValueError without a set.

    >>> a = Difference("uf1", 0.10, 0.02, 0.18, p=0.02, subjects=16, error=0.04)
    >>> b = Difference("uf1", -0.02, -0.1, 0.06, p=0.60, subjects=9, error=0.04)
    >>> both = combine([a, b])
    >>> round(both.z, 3), round(both.p, 3), both.dissent
    (1.546, 0.122, (1,))
    >>> round(both.pooled.value, 3), round(both.pooled.between, 3)
    (0.04, 0.075)
    """
    from scipy.special import ndtr

    if not found:
        raise ValueError("there is no set to combine")
    weights = np.sqrt([one.subjects for one in found])
    z = float((weights * _signed(found)).sum() / np.sqrt((weights**2).sum()))
    shares = weights / weights.sum()
    values = [one.value for one in found]
    pooled = random_effects(values, [one.error for one in found])
    return Combined(
        z=z,
        p=float(min(1.0, 2 * ndtr(-abs(z)))),
        subjects=sum(one.subjects for one in found),
        weights=tuple(shares.tolist()),
        pooled=pooled,
        dissent=tuple(
            i for i, value in enumerate(values) if value * z < 0 and abs(value) > TIE
        ),
    )


def _signed(found: Sequence[Difference]) -> Float[np.ndarray, " n"]:
    """The z of each p, with the sign of its difference."""
    from scipy.special import ndtri

    p = np.array([one.p for one in found])
    return np.sign([one.value for one in found]) * -ndtri(p / 2)


def random_effects(values: Sequence[float], errors: Sequence[float]) -> Pooled | None:
    """The mean of differences with these standard errors, each weighted by the inverse
    of its variance within and between sets (DerSimonian and Laird 1986), and its
    normal interval. With few sets the spread between them is poorly known, and the
    interval rather too narrow.

    Returns None if an error is 0 or none is known.
    """
    from scipy.special import ndtr

    y, variance = np.array(values, float), np.array(errors, float) ** 2
    if not len(y) or not (variance > TIE**2).all():
        return None
    fixed = 1 / variance
    spread = float((fixed * (y - (fixed * y).sum() / fixed.sum()) ** 2).sum())
    free = len(y) - 1
    scale = float(fixed.sum() - (fixed**2).sum() / fixed.sum())
    between = max(0.0, (spread - free) / scale) if free else 0.0
    weight = 1 / (variance + between)
    mean = float((weight * y).sum() / weight.sum())
    error = math.sqrt(1 / float(weight.sum()))
    return Pooled(
        value=mean,
        low=mean - Z95 * error,
        high=mean + Z95 * error,
        between=math.sqrt(between),
        inconsistency=max(0.0, 1 - free / spread) if free and spread > 0 else 0.0,
        shares=tuple((weight / weight.sum()).tolist()),
        p=float(min(1.0, 2 * ndtr(-abs(mean / error)))),
    )
