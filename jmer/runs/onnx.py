"""A bundle's networks as ONNX, by jax2onnx, compared with what onnxruntime makes of it.

jax2onnx turns the operations of a traced program into ONNX's one by one. Some it has
only in forms that networks do not come in: these are written as others first.
"""

import contextlib
import itertools
import logging
import re
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jmer.bundle.layout import FEATURES, LOGITS, NETWORK, ONNX
from jmer.bundle.program import Arrays, shapes_of
from jmer.errors import JmerError
from jmer.files import write_bytes
from jmer.nn.lowering.choice import use_lowering
from jmer.runs.programs import Programs, random_clips
from jmer.runs.weights import Weights
from jmer.train.numerics import pinned

CLOSE = 1e-5
"""Times the largest logit, or 1 if that is more: what another library may round."""


def write_onnx(folder: Path, members: Weights, programs: Programs) -> list[str]:
    """Writes `network-N.onnx` of each member, in their order, after onnxruntime agreed
    with JAX on batches of 1 and 3 random clips; returns the names. It takes the arrays
    of the bundle by name, and returns logits [b, classes].

    Raises: JmerError if jax2onnx lacks an operation of the network, naming it, if the
    results differ, or if a library is missing.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime
        from jax2onnx import to_onnx
    except ImportError as error:
        raise JmerError(
            f"ONNX needs jax2onnx and onnxruntime ({error}): pip install 'jmer[onnx]', "
            f"or leave --onnx out."
        ) from error
    network = members.config.name
    names = [spec.name for spec in programs.inputs]
    written = []
    for member in range(len(members.tasks)):
        own = {path: jnp.asarray(x[member]) for path, x in members.arrays.items()}

        def whole(inputs: Arrays, own: Arrays = own) -> Any:
            seen: Any = inputs
            if FEATURES in programs.functions:
                seen = programs.functions[FEATURES]({}, inputs)
            return programs.functions[NETWORK](own, seen)[LOGITS]

        with pinned(), use_lowering("backend"), _quiet():
            shapes = shapes_of(programs.inputs)
            traced = jax.make_jaxpr(whole)(shapes)

            def rewritten(*arrays: Any, traced: Any = traced) -> Any:
                given = dict(zip(names, arrays, strict=True))
                leaves = jax.tree.leaves(given)
                return _evaluated(traced.jaxpr, traced.consts, leaves)[0]

            try:
                made = to_onnx(
                    rewritten,
                    [shapes[name] for name in names],
                    input_names=names,
                    output_names=[LOGITS],
                )
                content = made.SerializeToString()
                silent = onnxruntime.SessionOptions()
                silent.log_severity_level = 4  # its errors are said once, by us
                session = onnxruntime.InferenceSession(content, silent)
                worst = _difference(session, programs, whole)
            except JmerError:
                raise
            except Exception as error:  # of either library, in many ways
                raise _refusal(network, error) from error
        if not worst <= CLOSE:
            raise JmerError(
                f"{network}: onnxruntime differs from JAX by {worst:.2g} of the "
                f"largest logit, where {CLOSE:g} is allowed: leave --onnx out."
            )
        written.append(f"{NETWORK}-{member}{ONNX}")
        write_bytes(folder / written[-1], content)
    return written


def _difference(
    session: Any, programs: Programs, whole: Callable[[Arrays], Any]
) -> float:
    worst = 0.0
    for count in (1, 3):
        clips = random_clips(programs.inputs, count, seed=count)
        found = session.run([LOGITS], clips)[0]
        wanted = np.asarray(jax.jit(whole)(clips))
        largest = max(1.0, float(np.abs(wanted).max()))
        worst = max(worst, float(np.abs(found - wanted).max()) / largest)
    return worst


def _refusal(network: str, error: Exception) -> JmerError:
    """Names the operation: the error does, or the file of jax2onnx that raised it."""
    said = " ".join(str(error).split())
    named = re.search(r"[Pp]rimitive[s]?:? '?\"?(\w+)|running (\w+) node", said)
    files = [
        Path(frame.filename).stem
        for frame in traceback.extract_tb(error.__traceback__)
        if "/jax2onnx/plugins/" in frame.filename
        and not Path(frame.filename).stem.startswith(("_", "plugin"))
    ]
    operation = (named[1] or named[2]) if named else files[-1] if files else ""
    return JmerError(
        f"{network} cannot be written as ONNX: jax2onnx has no operation "
        f"{operation or 'for part of it'} as it is used there ({said[:160]}). Leave "
        f"--onnx out."
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """jax2onnx and onnx-ir say much that nobody can do anything about."""
    loggers = [logging.getLogger(name) for name in ("onnx_ir", "jax2onnx")]
    before = [each.level for each in loggers]
    try:
        for each in loggers:
            each.setLevel(logging.CRITICAL)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for each, level in zip(loggers, before, strict=True):
            each.setLevel(level)


# --- operations as others

INLINED = {
    *("jit", "pjit", "closed_call", "core_call", "checkpoint", "remat2"),
    *("custom_jvp_call", "custom_vjp_call", "custom_vmap_call"),
}


def _evaluated(jaxpr: Any, consts: Sequence[Any], values: Sequence[Any]) -> list[Any]:
    """What a traced program returns, by operations that jax2onnx has."""
    known: dict[Any, Any] = {}

    def read(variable: Any) -> Any:
        literal = hasattr(variable, "val")
        return variable.val if literal else known[variable]

    known |= dict(zip(jaxpr.constvars, consts, strict=True))
    known |= dict(zip(jaxpr.invars, values, strict=True))
    for step in jaxpr.eqns:
        name, given = step.primitive.name, [read(v) for v in step.invars]
        inner = step.params.get("jaxpr", step.params.get("call_jaxpr"))
        made: Any
        if name in INLINED and inner is not None:
            closed = hasattr(inner, "consts")
            body, fixed = (inner.jaxpr, inner.consts) if closed else (inner, ())
            made = _evaluated(body, fixed, given)
        elif name in RULES:
            made = [RULES[name](*given, **step.params)]
        else:
            made = step.primitive.bind(*given, **step.params)
            made = made if step.primitive.multiple_results else [made]
        known |= dict(zip(step.outvars, made, strict=True))
    return [read(v) for v in jaxpr.outvars]


def _pad(x: Any, value: Any, *, padding_config: Any, **_: Any) -> Any:
    """By joining, since jax2onnx pads no batch of unknown size."""
    for axis, (low, high, between) in enumerate(padding_config):
        if between:
            raise NotImplementedError("primitive 'pad' between elements")
        if low < 0 or high < 0:
            stop = x.shape[axis] - max(-high, 0)
            x = lax.slice_in_dim(x, max(-low, 0), stop, axis=axis)

        def filling(count: int, axis: int = axis, x: Any = x) -> list[Any]:
            shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
            return [jnp.broadcast_to(value, shape)] if count > 0 else []

        parts = [*filling(low), x, *filling(high)]
        x = lax.concatenate(parts, axis) if len(parts) > 1 else x
    return x


def _conv(
    x: Any,
    kernel: Any,
    *,
    window_strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int],
    rhs_dilation: Sequence[int],
    dimension_numbers: Any,
    feature_group_count: int,
    **_: Any,
) -> Any:
    """Channels first; along time as a sum of convolutions of images, one for each
    element of the kernel there."""
    x = x.transpose(dimension_numbers.lhs_spec)
    kernel = kernel.transpose(dimension_numbers.rhs_spec)
    options: dict[str, Any] = {"feature_group_count": feature_group_count}
    if any(n != 1 for n in lhs_dilation):
        raise NotImplementedError("primitive 'conv_general_dilated' of spread pixels")
    y: Any = 0
    if x.ndim != 5:
        names = ("NCW", "OIW", "NCW") if x.ndim == 3 else ("NCHW", "OIHW", "NCHW")
        y = lax.conv_general_dilated(
            x, kernel, window_strides, padding,
            rhs_dilation=rhs_dilation, dimension_numbers=names, **options,
        )  # fmt: skip
    else:
        x = _pad(x, x.dtype.type(0), padding_config=_only(2, padding[0], x.ndim))
        step, apart = window_strides[0], rhs_dilation[0]
        b, c, t, h, w = x.shape
        out = (t - (kernel.shape[2] - 1) * apart - 1) // step + 1
        for i in range(kernel.shape[2]):
            first = i * apart
            stop = first + (out - 1) * step + 1
            seen = lax.slice_in_dim(x, first, stop, step, axis=2)
            images = seen.transpose(0, 2, 1, 3, 4).reshape(b * out, c, h, w)
            y = y + lax.conv_general_dilated(
                images, kernel[:, :, i], window_strides[1:], padding[1:],
                rhs_dilation=rhs_dilation[1:],
                dimension_numbers=("NCHW", "OIHW", "NCHW"), **options,
            )  # fmt: skip
        y = y.reshape(b, out, *y.shape[1:]).transpose(0, 2, 1, 3, 4)
    return y.transpose(tuple(map(int, np.argsort(dimension_numbers.out_spec))))


def _only(axis: int, pads: tuple[int, int], rank: int) -> list[tuple[int, int, int]]:
    return [(*pads, 0) if i == axis else (0, 0, 0) for i in range(rank)]


def _pooled(join: Callable[[Any, Any], Any], fill: float) -> Callable[..., Any]:
    """Windows element by element, of any number of axes."""

    def pooled(
        x: Any,
        *,
        window_dimensions: Sequence[int],
        window_strides: Sequence[int],
        padding: Sequence[tuple[int, int]],
        base_dilation: Sequence[int],
        window_dilation: Sequence[int],
        **_: Any,
    ) -> Any:
        if any(n != 1 for n in base_dilation):
            raise NotImplementedError("primitive 'reduce_window' of spread pixels")
        pads = [(*pair, 0) for pair in padding]
        x = _pad(x, x.dtype.type(fill), padding_config=pads)
        parts = []
        for place in itertools.product(*map(range, window_dimensions)):
            part = x
            for axis, at in enumerate(place):
                size, step = window_dimensions[axis], window_strides[axis]
                if size == 1 and step == 1:
                    continue
                apart = window_dilation[axis]
                out = (x.shape[axis] - (size - 1) * apart - 1) // step + 1
                stop = at * apart + (out - 1) * step + 1
                part = lax.slice_in_dim(part, at * apart, stop, step, axis=axis)
            parts.append(part)
        found = parts[0]
        for part in parts[1:]:
            found = join(found, part)
        return found

    return pooled


RULES: dict[str, Callable[..., Any]] = {
    "pad": _pad,
    "conv_general_dilated": _conv,
    "reduce_window_max": _pooled(lax.max, -np.inf),
    "reduce_window_sum": _pooled(lax.add, 0.0),
}
