"""A backend that does not start is one line that says why, and what to type."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from jmer import cli
from jmer.train.backend import explain

ROOT = Path(__file__).resolve().parent.parent
UNABLE = "Unable to initialize backend '{}': {} (set JAX_PLATFORMS='' to automatically "
UNKNOWN = "Backend '{}' is not in the list of known backends: ['cpu', 'tpu']."


@pytest.fixture(autouse=True)
def _no_platform(monkeypatch):
    for name in ("JAX_PLATFORMS", "JAX_PLATFORM_NAME"):
        monkeypatch.delenv(name, raising=False)


def said(monkeypatch, asked: str, name: str, text: str) -> str:
    if asked:
        monkeypatch.setenv("JAX_PLATFORMS", asked)
    line = explain(RuntimeError(UNABLE.format(name, text)))
    assert line is not None and "\n" not in line and "set JAX_PLATFORMS=''" not in line
    # Something that can be typed as it stands.
    typed = re.findall("`([^`]+)`", line)
    assert typed and all(shlex.split(command) for command in typed)
    return line


@pytest.mark.parametrize(
    ("asked", "near"),
    [
        ("cpuu", "cpu"),
        ("CPU", "cpu"),
        ("cud", "cuda"),
        ("tpus", "tpu"),
        ("rcom", "rocm"),
    ],
)
def test_a_misspelt_name_is_guessed(monkeypatch, asked, near):
    line = said(monkeypatch, asked, asked, UNKNOWN.format(asked))
    assert line.startswith(f"JAX_PLATFORMS={asked}: JAX has no backend '{asked}'")
    assert f"(did you mean '{near}'?)" in line and "`unset JAX_PLATFORMS`" in line


def test_a_name_of_its_own_is_not_guessed(monkeypatch):
    line = said(monkeypatch, "metal", "metal", UNKNOWN.format("metal"))
    assert "did you mean" not in line and "others are cuda, tpu, rocm" in line


@pytest.mark.parametrize(
    ("asked", "name", "text", "expected"),
    [
        ("gpu", "rocm", UNKNOWN.format("rocm"), "installed without CUDA"),
        ("rocm", "rocm", UNKNOWN.format("rocm"), "installed without ROCm"),
        ("tpu", "tpu", "INTERNAL: Failed to open libtpu.so", "libtpu is not installed"),
        (
            "",
            "tpu",
            "ABORTED: Internal error when accessing libtpu multi-process lockfile. Run "
            '"$ sudo rm /tmp/libtpu_lockfile".',
            "the TPU is held by another process",
        ),
        (
            "",
            "tpu",
            "UNKNOWN: TPU initialization failed: open(/dev/vfio/0): Device or resource "
            "busy",
            "the TPU is held by another process",
        ),
        (
            "cuda",
            "cuda",
            "INTERNAL: CUDA driver version is insufficient for CUDA runtime version",
            "NVIDIA driver is too old",
        ),
        (
            "",
            "cuda",
            "INTERNAL: cuDevicePrimaryCtxRetain: CUDA_ERROR_OUT_OF_MEMORY",
            "the device has no room left",
        ),
        ("cuda", "cuda", "FAILED_PRECONDITION: something new", "cannot be used"),
    ],
)
def test_what_is_wrong_with_a_device(monkeypatch, asked, name, text, expected):
    assert expected in said(monkeypatch, asked, name, text)


def test_no_room_while_it_works():
    text = "RESOURCE_EXHAUSTED: Out of memory trying to allocate 8589934592 bytes."
    line = explain(jax.errors.JaxRuntimeError(text))
    assert "8589934592 bytes" in line and "nvidia-smi" in line


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("an error of ours"),
        ValueError("RESOURCE_EXHAUSTED"),
        AssertionError(),
        jax.errors.JaxRuntimeError("INTERNAL: nothing of the kind"),
    ],
)
def test_other_errors_are_left_alone(error):
    assert explain(error) is None


def test_every_command_says_it(monkeypatch, capsys):
    def failing(words):
        raise RuntimeError(UNABLE.format("tpu", "INTERNAL: Failed to open libtpu.so"))

    monkeypatch.setattr(cli, "_command", failing)
    assert cli.main(["whatever"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: the backend 'tpu' cannot be used: ")
    assert error.count("\n") == 1
    with pytest.raises(RuntimeError):
        cli.main(["whatever", "--debug"])


@pytest.mark.slow
@pytest.mark.parametrize("platform", ["cuda", "cpuu"])
@pytest.mark.parametrize(
    "words", [["run", "quickstart"], ["bench", "quickstart"], ["pretrain", "magnet"]]
)
def test_commands_without_a_device(tmp_path, platform, words):
    if shutil.which("nvidia-smi"):
        pytest.skip("there is a GPU here")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": platform}
    done = subprocess.run(
        [sys.executable, "-m", "jmer", *words],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert f"error: JAX_PLATFORMS={platform}" in done.stderr
    assert "Traceback" not in done.stderr
