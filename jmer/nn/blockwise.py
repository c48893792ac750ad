"""Attention that never holds all of its scores, by whatever its device has for it."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jmer.arrays import Array, Float
from jmer.nn.lowering.choice import Lowering

KEPT = {"patches": 2**24, "other": 2**20}
"""Scores that may be kept: fewer are not worth a loop, or the making of them anew."""
BLOCKS = {"cpu": 2**22, "tpu": 2**23, "cuda": 2**26}
"""Scores that are made at a time: what stays in a CPU's cache, or beside the matrix
unit of a TPU; on a GPU, what its memory holds with ease, in few kernels."""
Forms = dict[str, Callable[..., tuple[Array, ...]]]
"""Functions of the same arrays, by platform."""
CUDNN_DTYPES = (jnp.bfloat16, jnp.float16)
CUDNN_ROWS = 8  # cuDNN wants an even number of tokens; this suits the tensor cores


def most_kept(lowering: Lowering) -> int:
    """Scores that a lowering keeps."""
    return KEPT["patches" if lowering == "patches" else "other"]


class _Residuals(NamedTuple):
    """What the gradient needs of the way there."""

    query: Float[Array, "b t h d"]
    key: Float[Array, "b s h d"]
    value: Float[Array, "b s h d"]
    y: Float[Array, "b t h d"]
    total: Float[Array, "b h t"]
    """Logarithm of the sum of the exponentials of the scores; 0 by cuDNN, which has its
    own."""


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def attention_by_blocks(query: Array, key: Array, value: Array, count: int) -> Array:
    """softmax(query key^T / sqrt(d)) value of `query` [b, t, h, d] over the first
    `count` of `key` and `value` [b, s, h, d], which needs the memory of one block of
    scores.

    Dao et al. 2022 (FlashAttention), algorithm 1, with whole rows in a block. On a GPU
    it is cuDNN's, where that has the type and the size of a head. The platform is that
    which the program is lowered for.
    """
    return _forward(query, key, value, count)[0]


def _forward(
    query: Array, key: Array, value: Array, count: int
) -> tuple[Array, _Residuals]:
    forms: Forms = {n: functools.partial(_there, n, count) for n in BLOCKS}
    if _cudnn_has(query):
        forms["cuda"] = functools.partial(_there_by_cudnn, count)
    y, total = _by_platform(forms, query, key, value)
    return y, _Residuals(query, key, value, y, total)


def _backward(
    count: int, residuals: _Residuals, dy: Array
) -> tuple[Array, Array, Array]:
    forms: Forms = {n: functools.partial(_back, n, count) for n in BLOCKS}
    if _cudnn_has(residuals.query):
        forms["cuda"] = functools.partial(_back_by_cudnn, count)
    dquery, dkey, dvalue = _by_platform(forms, *residuals, dy)
    return dquery, dkey, dvalue


attention_by_blocks.defvjp(_forward, _backward)


def _by_platform(forms: Forms, *arrays: Array) -> tuple[Array, ...]:
    chosen: tuple[Array, ...] = lax.platform_dependent(
        *arrays, default=forms["cpu"], tpu=forms["tpu"], cuda=forms["cuda"]
    )
    return chosen


def _there(
    platform: str, count: int, query: Array, key: Array, value: Array
) -> tuple[Array, Array]:
    """The result, and the logarithm of the sum of exponentials [b, h, t]."""
    key, value = key[:, :count], value[:, :count]
    scale = query.shape[-1] ** -0.5
    if platform != "tpu":
        query, scale = query * scale, 1
    q, k, v = map(_heads_first, (query, key, value))
    size = _Size.of(q, k, BLOCKS[platform])

    def clips(q: Array, k: Array, v: Array) -> tuple[Array, Array]:
        # The sum of the weights is a product with one more column: the matrix unit
        # has room for it, and the sum would be another pass over all scores.
        v = jnp.concatenate([v, jnp.ones((*v.shape[:-1], 1), v.dtype)], axis=-1)

        def rows(q: Array) -> tuple[Array, Array]:
            score = scale * product("bhtd,bhsd->bhts", q, k)
            largest = score.max(-1, keepdims=True)
            weight = jnp.exp(score - largest).astype(v.dtype)
            y = product("bhts,bhsd->bhtd", weight, v)
            total = (largest + jnp.log(y[..., -1:]))[..., 0]
            return (y[..., :-1] / y[..., -1:]).astype(query.dtype), total

        y, total = lax.map(rows, size.rows(q))
        return size.joined(y), size.joined(total)

    y, total = _mapped(clips, *map(size.clips, (q, k, v)))
    return _heads_first(size.all(y)), size.all(total)


def _back(
    platform: str,
    count: int,
    query: Array,
    key: Array,
    value: Array,
    y: Array,
    total: Array,
    dy: Array,
) -> tuple[Array, Array, Array]:
    """Gradients of query, key and value; the scores are made again."""
    many = key.shape[1]
    key, value = key[:, :count], value[:, :count]
    wide = (dy.astype(jnp.float32) * y.astype(jnp.float32)).sum(-1)  # b t h
    mean = wide.swapaxes(1, 2)
    q, k, v, dy = map(_heads_first, (query, key, value, dy))
    size = _Size.of(q, k, BLOCKS[platform])
    of_block = _of_block_on_tpu if platform == "tpu" else _of_block

    def clips(
        q: Array, k: Array, v: Array, total: Array, mean: Array, dy: Array
    ) -> tuple[Array, Array, Array]:
        def rows(
            sums: tuple[jax.Array, jax.Array], part: tuple[Array, ...]
        ) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
            q, total, mean, dy = part
            dquery, dkey, dvalue = of_block(q, k, v, total, mean, dy)
            return (sums[0] + dkey, sums[1] + dvalue), jnp.asarray(dquery, q.dtype)

        parts = tuple(map(size.rows, (q, total, mean, dy)))
        none = jnp.zeros(k.shape, jnp.float32), jnp.zeros(v.shape, jnp.float32)
        (dkey, dvalue), dquery = lax.scan(rows, none, parts)
        return size.joined(dquery), dkey.astype(k.dtype), dvalue.astype(v.dtype)

    made = _mapped(clips, *map(size.clips, (q, k, v, total, mean, dy)))
    dquery, dkey, dvalue = (_heads_first(size.all(x)) for x in made)
    left_out = (0, 0), (0, many - key.shape[1]), (0, 0), (0, 0)
    return dquery, jnp.pad(dkey, left_out), jnp.pad(dvalue, left_out)


def _of_block(
    q: Array, k: Array, v: Array, total: Array, mean: Array, dy: Array
) -> tuple[Array, Array, Array]:
    """Gradients, float32, of queries and `dy` [b, h, t, d] over all keys and values."""
    scale = q.shape[-1] ** -0.5
    scaled = q * scale
    weight = jnp.exp(product("bhtd,bhsd->bhts", scaled, k) - total[..., None])
    dweight = product("bhtd,bhsd->bhts", dy, v)
    dscore = (weight * (dweight - mean[..., None])).astype(q.dtype)
    dquery = scale * product("bhts,bhsd->bhtd", dscore, k)
    dkey = product("bhts,bhtd->bhsd", dscore, scaled)
    dvalue = product("bhts,bhtd->bhsd", weight.astype(q.dtype), dy)
    return dquery, dkey, dvalue


def _of_block_on_tpu(
    q: Array, k: Array, v: Array, total: Array, mean: Array, dy: Array
) -> tuple[Array, Array, Array]:
    """The same, as the compiler for TPUs has it fastest.

    What two products end with stays float32, queries in the lanes, where a mean over
    keys costs nothing; what three others begin with is made of it as they read it. If
    scores and their gradients were rounded once for all of them, by what makes them or
    by themselves, it would take five times as long. So the two that read the same have
    it with the scale and without.
    """
    del mean
    scale = q.shape[-1] ** -0.5
    score = scale * product("bhsd,bhtd->bhst", k, q)
    weight = jnp.exp(score - total[..., None, :])
    dweight = product("bhsd,bhtd->bhst", v, dy)
    dscore = weight * (dweight - (weight * dweight).sum(2, keepdims=True))
    dquery = product("bhst,bhsd->bhtd", (scale * dscore).astype(q.dtype), k)
    dkey = scale * product("bhst,bhtd->bhsd", dscore.astype(q.dtype), q)
    dvalue = product("bhst,bhtd->bhsd", weight.astype(q.dtype), dy)
    return dquery, dkey, dvalue


def _mapped(
    function: Callable[..., tuple[Array, ...]], *arrays: Array
) -> tuple[Array, ...]:
    """`lax.map` over the first axis of all, into arrays that nothing clears beforehand,
    which would take as long as writing them."""

    def block(i: Array, results: tuple[Array, ...]) -> tuple[Array, ...]:
        part = [lax.dynamic_index_in_dim(x, i, keepdims=False) for x in arrays]
        return tuple(
            lax.dynamic_update_index_in_dim(x, y, i, 0)
            for x, y in zip(results, function(*part), strict=True)
        )

    first = [jax.ShapeDtypeStruct(x.shape[1:], x.dtype) for x in arrays]
    blocks = len(arrays[0])
    results = tuple(
        lax.empty((blocks, *one.shape), one.dtype)
        for one in jax.eval_shape(function, *first)
    )
    made: tuple[Array, ...] = lax.fori_loop(0, blocks, block, results)
    return made


class _Size(NamedTuple):
    """How scores [b, h, t, s] are cut into blocks: by clips, and by rows of queries
    where those of one clip are too many.
    """

    clips_of: int
    parts: int
    """Blocks of a clip's queries."""
    rows_of: int
    tokens: int

    @classmethod
    def of(cls, q: Array, k: Array, most: int) -> "_Size":
        """For queries [b, h, t, d] and keys [b, h, s, d], at most so many scores."""
        b, h, t, _ = q.shape
        scores = h * t * k.shape[2]
        clips = max(
            n for n in range(1, b + 1) if (b % n == 0 and n * scores <= most) or n == 1
        )
        parts = min(t, -(-scores // most))
        return cls(clips, parts, -(-t // parts), t)

    def clips(self, x: Array) -> Array:
        """[blocks, clips, ...] of [b, ...]."""
        return x.reshape(-1, self.clips_of, *x.shape[1:])

    def all(self, x: Array) -> Array:
        """[b, ...] of [blocks, clips, ...]."""
        return x.reshape(-1, *x.shape[2:])

    def rows(self, x: Array) -> Array:
        """[parts, clips, h, rows, ...] of [clips, h, t, ...], zeros at the end."""
        lacking = self.parts * self.rows_of - self.tokens
        x = jnp.pad(x, [(0, 0), (0, 0), (0, lacking), *[(0, 0)] * (x.ndim - 3)])
        x = x.reshape(*x.shape[:2], self.parts, self.rows_of, *x.shape[3:])
        return jnp.moveaxis(x, 2, 0)

    def joined(self, x: Array) -> Array:
        """[clips, h, t, ...] of [parts, clips, h, rows, ...]."""
        x = jnp.moveaxis(x, 0, 2)
        return x.reshape(*x.shape[:2], -1, *x.shape[4:])[:, :, : self.tokens]


def _cudnn_has(query: Array) -> bool:
    """Whether the cuDNN at hand has attention of this type and size of a head."""
    d = query.shape[-1]
    if query.dtype not in CUDNN_DTYPES or d % 8 or d > 128:
        return False
    if jax.default_backend() == "gpu":
        capability = getattr(jax.local_devices()[0], "compute_capability", "0")
        if float(capability) < 8:
            return False
    try:
        one = jax.ShapeDtypeStruct((1, CUDNN_ROWS, 1, d), query.dtype)
        by_cudnn = functools.partial(_by_cudnn, count=CUDNN_ROWS)
        jax.eval_shape(by_cudnn, one, one, one)
    except (RuntimeError, NotImplementedError, ValueError):
        return False
    return True


def _there_by_cudnn(
    count: int, query: Array, key: Array, value: Array
) -> tuple[Array, Array]:
    """With what cuDNN's gradients need, though that is not handed out: else it would
    not be the same operation as theirs."""
    b, t, h, _ = query.shape
    by_cudnn = functools.partial(_by_cudnn, count=count)
    return jax.vjp(by_cudnn, query, key, value)[0], jnp.zeros((b, h, t))


def _back_by_cudnn(
    count: int,
    query: Array,
    key: Array,
    value: Array,
    y: Array,
    total: Array,
    dy: Array,
) -> tuple[Array, ...]:
    """cuDNN's gradients, which need what its way there left: XLA finds that it is the
    same, unless the way there was long ago."""
    del y, total
    by_cudnn = functools.partial(_by_cudnn, count=count)
    made: tuple[Array, ...] = jax.vjp(by_cudnn, query, key, value)[1](dy)
    return made


def _by_cudnn(query: Array, key: Array, value: Array, count: int) -> Array:
    t, s = query.shape[1], key.shape[1]
    lengths: dict[str, Any] = {}
    if t % CUDNN_ROWS or s % CUDNN_ROWS or count < s:
        for name, length in (("query", t), ("key_value", count)):
            lengths[f"{name}_seq_lengths"] = jnp.full(len(query), length, jnp.int32)
        query, key, value = map(_whole, (query, key, value))
    y = jax.nn.dot_product_attention(
        query, key, value, implementation="cudnn", **lengths
    )
    return y[:, :t]


def _whole(x: Array) -> Array:
    """With as many tokens as cuDNN likes."""
    return jnp.pad(x, ((0, 0), (0, -x.shape[1] % CUDNN_ROWS), (0, 0), (0, 0)))


def _heads_first(x: Array) -> Array:
    """[b, h, t, d] of [b, t, h, d], and the other way."""
    return x.swapaxes(1, 2)


def product(axes: str, a: Array, b: Array) -> Array:
    """Of two arrays, added up in float32."""
    return jnp.einsum(axes, a, b, preferred_element_type=jnp.float32)
