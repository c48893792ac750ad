"""Eight CPU devices, checked shapes, and data sets small enough to train in seconds."""

import os
import tempfile

# Before JAX is imported anywhere: the backend reads them once.
os.environ["JMER_TYPECHECK"] = "1"
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["JMER_CACHE"] = tempfile.mkdtemp(prefix="jmer-cache-")
# Many tests make the same small program: of each process, one compiles it.
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
os.environ["XLA_FLAGS"] = " ".join(
    (
        os.environ.get("XLA_FLAGS", ""),
        "--xla_force_host_platform_device_count=8",
        # Programs this small take longer to optimise than to run.
        "--xla_backend_optimization_level=0",
        "--xla_llvm_disable_expensive_passes=true",
    )
)

import atexit
import gc
import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import jax
import pytest
from engine import forget_programs
from hypothesis import HealthCheck, settings
from toy import make_clips

from jmer.data.clips import ClipSet
from jmer.runner import progress
from jmer.train import compiling

# No test fails because the machine is slow, or busy with something else.
settings.register_profile(
    "jmer", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("jmer")
atexit.register(shutil.rmtree, os.environ["JMER_CACHE"], ignore_errors=True)
jax.config.update("jax_compilation_cache_dir", os.environ["JMER_CACHE"] + "/programs")
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(autouse=True, scope="module")
def _no_more_programs_than_a_module_needs() -> Iterator[None]:
    """A process may map some 65,000 regions of memory, and compiled programs take them
    up: LLVM aborts at the end of them.
    """
    yield
    forget_programs()
    jax.clear_caches()
    gc.collect()


@pytest.fixture(autouse=True, scope="session")
def _no_line_says_that_it_takes_long() -> Iterator[None]:
    """Tests compare what commands print, and lines of progress come after seconds."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(progress, "PAUSE", math.inf)
        yield


@pytest.fixture(autouse=True, scope="session")
def _first_states_are_optimised_no_more_than_all_else() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.delitem(compiling.ONCE, "cpu")
        yield


@pytest.fixture
def clips() -> ClipSet:
    return make_clips()


@pytest.fixture(scope="session")
def flow28() -> Path:
    """The published flow images; tests that need them skip where they are absent."""
    folder = SHARED / "megc2019_flow28"
    if not folder.is_dir():
        pytest.skip("the MEGC 2019 flow images are not on this machine")
    return folder


@pytest.fixture(scope="session")
def ststnet_checkpoints() -> Path:
    """The published STSTNet checkpoints; absent elsewhere, as above."""
    pytest.importorskip("torch")
    folder = SHARED / "ststnet_weights"
    if not folder.is_dir():
        pytest.skip("the published STSTNet checkpoints are not on this machine")
    return folder


@pytest.fixture(scope="session")
def magnification() -> Path:
    """The published magnification weights, with images; absent elsewhere, as above."""
    pytest.importorskip("torch")
    folder = SHARED / "magnification"
    if not folder.is_dir():
        pytest.skip("the published magnification weights are not on this machine")
    return folder
