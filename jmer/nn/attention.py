"""Scaled dot-product attention whose lowering suits the device that runs it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jmer.arrays import Array, Float, typed
from jmer.nn import blockwise
from jmer.nn.blockwise import product
from jmer.nn.lowering.choice import current
from jmer.nn.tokens import first_of


@typed
def attention(
    query: Float[Array, "b t h d"],
    key: Float[Array, "b s h d"],
    value: Float[Array, "b s h d"],
    *,
    count: int | None = None,
) -> Float[Array, "b t h d"]:
    """softmax(query key^T / sqrt(d)) value, of each head h. Vaswani et al. 2017, eq. 1

    Keys and values after the first `count` are left out.

    Raises: ValueError if there are not so many.

    The softmax is float32 whatever the input. The scores are kept where they are few;
    else they are made a block at a time, and made again for the gradients.
    """
    b, t, h, d = query.shape
    count = first_of(key.shape[1], count)
    if b * h * t * key.shape[1] > blockwise.most_kept(current()):
        return blockwise.attention_by_blocks(query, key, value, count)
    key, value = key[:, :count], value[:, :count]
    if current() != "patches":
        return jax.nn.dot_product_attention(query, key, value)
    scaled = query * d**-0.5
    y = _attend(_heads_first(scaled), _heads_first(key), _heads_first(value))
    return y.reshape(b, h, t, d).swapaxes(1, 2)


@typed
def attention_weights(
    query: Float[Array, "b t h d"], key: Float[Array, "b s h d"]
) -> Float[Array, "b h t s"]:
    """softmax(query key^T / sqrt(d)) of each head, in float32: what `attention` never
    hands out, and some of its programs never hold.
    """
    return jax.nn.softmax(
        product("bthd,bshd->bhts", query * query.shape[-1] ** -0.5, key)
    )


def with_room(count: int, dtype: DTypeLike) -> int:
    """How many tokens suit attention over `count` of them, what is after those being
    left out: cuDNN takes them in eights, and arrays of others would be laid out anew
    before it and after it, there and back."""
    if current() != "gpu" or jnp.dtype(dtype) not in blockwise.CUDNN_DTYPES:
        return count
    return -(-count // blockwise.CUDNN_ROWS) * blockwise.CUDNN_ROWS


def _heads_first(x: Array) -> Array:
    b, t, h, d = x.shape
    return x.swapaxes(1, 2).reshape(b * h, t, d)


class _Residuals(NamedTuple):
    """What the gradient needs of the way there."""

    query: Float[Array, "n t d"]
    key: Float[Array, "n s d"]
    value: Float[Array, "n s d"]
    weight: Float[Array, "n t s"]
    """Exponentials of the scores, less the largest."""
    rate: Float[Array, "n t 1"]
    """1 over their sum."""
    y: Float[Array, "n t d"]


@jax.custom_vjp
def _attend(query: Array, key: Array, value: Array) -> Array:
    """Attention of `query` [n, t, d], scaled, over `key` and `value` [n, s, d]."""
    return _forward(query, key, value)[0]


def _forward(query: Array, key: Array, value: Array) -> tuple[Array, _Residuals]:
    # The weights stay as they are, and the result is divided by their sum instead: it
    # has d values for each query where the weights have s.
    score = product("ntd,nsd->nts", query, key)
    weight = jnp.exp(score - score.max(-1, keepdims=True))
    rate = 1 / weight.sum(-1, keepdims=True)
    y = rate * product("nts,nsd->ntd", weight.astype(value.dtype), value)
    return y.astype(value.dtype), _Residuals(query, key, value, weight, rate, y)


def _backward(residuals: _Residuals, dy: Array) -> tuple[Array, Array, Array]:
    query, key, value, weight, rate, y = residuals
    dy = dy * rate
    mean = (dy * y).sum(-1, keepdims=True)
    narrow = dy.astype(value.dtype)
    dscore = weight * (product("ntd,nsd->nts", narrow, value) - mean)
    dscore = dscore.astype(value.dtype)
    dquery = product("nts,nsd->ntd", dscore, key)
    dkey = product("nts,ntd->nsd", dscore, query)
    dvalue = product("nts,ntd->nsd", weight.astype(value.dtype), narrow)
    dtype = value.dtype
    return dquery.astype(dtype), dkey.astype(dtype), dvalue.astype(dtype)


_attend.defvjp(_forward, _backward)
