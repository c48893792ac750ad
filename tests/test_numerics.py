"""Settings of JAX and XLA that would change numbers: set aside, or on record."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmer.errors import JmerError, UsageError
from jmer.runs.folder import CHECKPOINTS
from jmer.runs.opening import open_run
from jmer.train import numerics
from jmer.train.numerics import (
    BITS_BY_KERNEL,
    PINNED,
    bits_by_kernel,
    clean_environment,
    explain_setting,
    flags,
    pinned,
)

SETTINGS = {
    "jax_enable_x64": True,
    "jax_default_prng_impl": "rbg",
    "jax_threefry_partitionable": False,
    "jax_numpy_dtype_promotion": "strict",
    "jax_default_matmul_precision": "bfloat16",
    "jax_debug_nans": True,
    "jax_random_seed_offset": 7,
}


def plain(value):
    return getattr(value, "value", value)


def test_what_is_pinned_is_what_jax_does_by_default():
    assert {n: plain(getattr(jax.config, n)) for n in PINNED} == PINNED


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_are_ours_inside_and_theirs_afterwards(name):
    before = plain(getattr(jax.config, name))
    try:
        jax.config.update(name, SETTINGS[name])
        with pinned():
            assert plain(getattr(jax.config, name)) == PINNED[name]
        assert plain(getattr(jax.config, name)) == SETTINGS[name]
    finally:
        jax.config.update(name, before)


def test_keys_and_types_are_those_of_a_plain_process():
    expected = jax.random.normal(jax.random.key(3), (5,))
    try:
        for name in ("jax_enable_x64", "jax_default_prng_impl"):
            jax.config.update(name, SETTINGS[name])
        with pinned():
            found = jax.random.normal(jax.random.key(3), (5,))
    finally:
        jax.config.update("jax_enable_x64", False)
        jax.config.update("jax_default_prng_impl", "threefry2x32")
    assert found.dtype == expected.dtype and (found == expected).all()


def test_random_bits_are_by_a_kernel_inside_and_as_before_afterwards():
    for before in (False, True):
        try:
            jax.config.update(BITS_BY_KERNEL, before)
            with contextlib.suppress(ValueError), bits_by_kernel():
                assert plain(getattr(jax.config, BITS_BY_KERNEL)) is True
                raise ValueError
            assert plain(getattr(jax.config, BITS_BY_KERNEL)) is before
        finally:
            jax.config.update(BITS_BY_KERNEL, False)


def test_variables_are_taken_out_and_named():
    said: list[str] = []
    environment = {
        "JAX_ENABLE_X64": "1",
        "JAX_DEBUG_NANS": "true",
        "JAX_DEFAULT_PRNG_IMPL": "rbg",
        "JAX_DISABLE_JIT": "0",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_dump_to=x",
    }
    clean_environment(environment, said.append)
    assert set(environment) == {"JAX_PLATFORMS", "XLA_FLAGS"}
    assert [line.partition(" ")[0] for line in said] == [
        "JAX_ENABLE_X64=1",
        "JAX_DEFAULT_PRNG_IMPL=rbg",
        "JAX_DEBUG_NANS=true",
    ]


def test_flags_that_may_change_a_number_are_those_on_record(monkeypatch):
    monkeypatch.setenv(
        "XLA_FLAGS",
        "--xla_force_host_platform_device_count=4 --xla_dump_to=/tmp/x "
        "--xla_cpu_enable_fast_math=true --xla_backend_optimization_level=1",
    )
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    assert flags() == [
        "--xla_backend_optimization_level=1",
        "--xla_cpu_enable_fast_math=true",
        "NVIDIA_TF32_OVERRIDE=0",
    ]


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("--xla_bad=1", "--xla_bad=1"),
        ("--xla_cpu_enable_fast_math=true --xla_oops", "--xla_oops"),
    ],
)
def test_flags_that_end_the_process_are_one_error(value, named, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", value)
    with pytest.raises(UsageError, match=named):
        numerics.require_known_flags()


def test_known_flags_pass(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    numerics.require_known_flags()


def test_a_run_goes_on_under_its_own_flags_only(tmp_path):
    def opened(flags, overwrite=False):
        about = {"identity": {"a": 1}, "flags": flags}
        open_run(tmp_path / "r", about, overwrite=overwrite)

    fast = ["--xla_cpu_enable_fast_math=true"]
    opened(fast)
    opened([])  # nothing is trained yet
    (tmp_path / "r" / CHECKPOINTS / "pack").mkdir(parents=True)
    opened([])
    with pytest.raises(JmerError, match="begun with XLA_FLAGS='', and this"):
        opened(fast)
    opened(fast, overwrite=True)


def test_a_run_of_an_older_version_goes_on(tmp_path):
    open_run(tmp_path / "r", {"identity": {}}, overwrite=False)
    (tmp_path / "r" / CHECKPOINTS / "pack").mkdir(parents=True)
    open_run(tmp_path / "r", {"identity": {}, "flags": ["--a"]}, overwrite=False)


@pytest.mark.parametrize("how", ["config", "block"])
def test_64_bits_of_a_notebook_are_set_aside(how):
    def on():
        if how == "block":
            return jax.enable_x64(True)
        jax.config.update("jax_enable_x64", True)
        return contextlib.nullcontext()

    try:
        with on():
            with pinned():
                assert jnp.asarray(np.zeros(2)).dtype == jnp.float32
            assert jnp.asarray(np.zeros(2)).dtype == jnp.float64
        if how == "block":
            assert jnp.asarray(np.zeros(2)).dtype == jnp.float32
    finally:
        jax.config.update("jax_enable_x64", False)


BAD = {
    "JAX_LOG_COMPILES": "zz",
    "JAX_TRANSFER_GUARD": "sometimes",
    "JAX_SERIALIZATION_VERSION": "four",
    "JAX_COMPILATION_CACHE_MAX_SIZE": "big",
    "JAX_EXPLAIN_CACHE_MISSES": "per haps",
}


READ_AGAIN = """
import importlib.util, json, os, sys
from jmer.train.numerics import explain_setting

import jax  # reads its settings once, in peace

spec = importlib.util.find_spec("jax._src.config")
lines = {}
for name, value in json.loads(sys.argv[1]).items():
    os.environ[name] = value
    try:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    except ValueError as error:
        lines[name] = explain_setting(error)
    del os.environ[name]
print(json.dumps(lines))
"""


@pytest.fixture(scope="module", name="lines")
def _lines():
    """What is said of each, in a process of its own: JAX's settings live in its library
    too, and one that has read them twice may not be able to trace any more."""
    words = [sys.executable, "-c", READ_AGAIN, json.dumps(BAD)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", BAD)
def test_a_setting_that_jax_cannot_read_is_named(name, lines):
    line = lines[name]
    assert line is not None and "\n" not in line
    assert line.startswith(f"{name}={BAD[name]} is a setting that JAX cannot read")
    assert f"`unset {name}`" in line


def test_other_errors_are_of_no_setting(monkeypatch):
    monkeypatch.setenv("JAX_LOG_COMPILES", "zz")
    assert explain_setting(ValueError("invalid truth value 'zz'")) is None


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["run", "quickstart", "--run-dir", "r"], "JAX_LOG_COMPILES", "zz"),
        (["explain", "nothing"], "JAX_TRANSFER_GUARD", "zz"),
        (["bench", "quickstart"], "JAX_NUM_CPU_DEVICES", "four"),
        (["run", "quickstart"], "JAX_TRACER_ERROR_NUM_TRACEBACK_FRAMES", "1.5"),
    ],
)
def test_commands_end_in_one_line_of_a_setting(words, name, value, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "jmer", *words],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, name: value, "PYTHONPATH": str(Path.cwd())},
    )
    lines = done.stderr.splitlines()
    assert done.returncode in (1, 2) and "Traceback" not in done.stderr
    assert len(lines) == 1 and lines[0].startswith(f"error: {name}={value} is")
