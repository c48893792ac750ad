"""What the compiler is told for a GPU, and what it makes of it where it is there."""

import re

import jax
import jax.numpy as jnp
import pytest
from test_targets import machine_or_skip

from jmer import nn
from jmer.nn.conv import conv
from jmer.targets import machines
from jmer.train.compiling import compiler_options
from jmer.train.numerics import bits_by_kernel


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch):
    monkeypatch.setenv("TPU_SKIP_MDS_QUERY", "1")
    monkeypatch.setenv("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")


@pytest.mark.parametrize("platform", ["cpu", "tpu"])
@pytest.mark.parametrize("lowering", nn.LOWERINGS)
def test_other_compilers_are_left_alone(platform, lowering):
    assert compiler_options(platform, lowering, jnp.bfloat16) == {}


def compiled_for(name, lowering, dtype, *, told=True):
    """The text of a convolution in three dimensions there and back, of two tasks."""
    machine = machine_or_skip(name)
    assert machine is not None
    place = jax.sharding.SingleDeviceSharding(machines.devices(machine)[0])

    def gradients(x, kernel):
        with nn.use_lowering(lowering):
            y, pull = jax.vjp(
                lambda x, k: conv(x, k, (1, 1, 1), ((1, 1),) * 3, (1, 1, 1)),
                *(x, kernel),
            )
            return y, pull(y * y)

    shapes = [(2, 4, 8, 16, 16, 32), (2, 3, 3, 3, 32, 32)]
    arrays = [jax.ShapeDtypeStruct(shape, dtype, sharding=place) for shape in shapes]
    options = compiler_options("gpu", lowering, dtype) if told else {}
    lowered = jax.jit(jax.vmap(gradients)).lower(*arrays)
    return lowered.compile(options | machines.compiler_options(machine)).as_text()


def layouts(text):
    """Of the arrays of cuDNN's convolutions: where the channels (f) stand."""
    found = re.findall(r'dim_labels=(\w+?)_\w+->(\w+),.*"__cudnn\$conv', text)
    return {labels for pair in found for labels in pair}


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_convolutions_of_three_dimensions_have_channels_last_on_an_h100(dtype):
    assert layouts(compiled_for("h100", "gpu", dtype)) == {"b012f"}


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_others_are_laid_out_as_the_compiler_of_an_h100_likes(dtype):
    assert layouts(compiled_for("h100", "backend", dtype)) == {"bf012"}


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_no_triton_in_the_products_of_patches_on_an_h100(dtype):
    triton = re.compile("gemm_fusion_dot|triton_gemm")
    assert not triton.search(compiled_for("h100", "patches", dtype))
    assert triton.search(compiled_for("h100", "patches", dtype, told=False))


def test_random_bits_by_a_kernel_are_one_on_an_h100():
    """Not the twenty rounds of each array, which take long to compile."""
    machine = machine_or_skip("h100")
    place = jax.sharding.SingleDeviceSharding(machines.devices(machine)[0])

    def compiled():
        key = jax.ShapeDtypeStruct((2,), jnp.uint32, sharding=place)
        lowered = jax.jit(lambda key: jax.random.normal(key, (512,))).lower(key)
        return lowered.compile(machines.compiler_options(machine)).as_text()

    assert "threefry2x32" not in compiled()
    with bits_by_kernel():
        text = compiled()
    assert re.search(r'custom_call_target="\w*threefry2x32', text)
    assert text.count(" xor(") < 5
