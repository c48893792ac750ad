"""Attention of one guest, who takes the place of the first of many."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jmer.arrays import Array, Float
from jmer.nn.blockwise import product


class _Residuals(NamedTuple):
    """What the gradient needs of the way there."""

    asked: Float[Array, "b h c"]
    tokens: Float[Array, "b s c"]
    guest: Float[Array, "b 1 c"]
    share: Float[Array, "b h s"]


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def gathered(
    asked: Array, tokens: Array, guest: Array, scale: float, count: int
) -> Array:
    """softmax(scale asked tokens^T) tokens, float32: what each head of `asked`
    [b, h, c] takes of `tokens` [b, s, c], the first of which is `guest` [b, 1, c]
    instead; those after the first `count` are left out.

    The gradient of the tokens is one product of both ways on which they come in.
    """
    return _forward(asked, tokens, guest, scale, count)[0]


def _forward(
    asked: Array, tokens: Array, guest: Array, scale: float, count: int
) -> tuple[Array, _Residuals]:
    score = scale * _over_all("bhc,bsc->bhs", asked, tokens, guest)
    is_there = jnp.arange(tokens.shape[1]) < count
    share = jax.nn.softmax(jnp.where(is_there, score, -jnp.inf))
    taken = _from_all(share.astype(tokens.dtype), tokens, guest)
    return taken, _Residuals(asked, tokens, guest, share)


def _backward(
    scale: float, count: int, residuals: _Residuals, dy: Array
) -> tuple[Array, Array, Array]:
    asked, tokens, guest, share = residuals
    dy = dy.astype(tokens.dtype)
    dshare = _over_all("bhc,bsc->bhs", dy, tokens, guest)
    mean = (share * dshare).sum(-1, keepdims=True)
    dscore = (scale * share * (dshare - mean)).astype(tokens.dtype)
    dasked = _from_all(dscore, tokens, guest)
    ways = jnp.concatenate([share.astype(tokens.dtype), dscore], axis=1)
    came = jnp.concatenate([dy, asked], axis=1)
    dtokens = product("bhs,bhc->bsc", _without_first(ways), came)
    dguest = product("bhs,bhc->bsc", ways[..., :1], came)
    dtype = tokens.dtype
    return dasked.astype(dtype), dtokens.astype(dtype), dguest.astype(dtype)


gathered.defvjp(_forward, _backward)


def _over_all(axes: str, asked: Array, tokens: Array, guest: Array) -> Array:
    """A product with each token, or with the guest."""
    with_tokens, with_guest = (product(axes, asked, x) for x in (tokens, guest))
    return jnp.where(jnp.arange(tokens.shape[1]) == 0, with_guest, with_tokens)


def _from_all(share: Array, tokens: Array, guest: Array) -> Array:
    """The sum of all tokens [b, h, c], the guest among them, by their shares."""
    return product("bhs,bsc->bhc", _without_first(share), tokens) + product(
        "bhs,bsc->bhc", share[..., :1], guest
    )


def _without_first(share: Array) -> Array:
    return jnp.where(jnp.arange(share.shape[-1]) == 0, 0, share)
