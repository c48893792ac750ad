"""What frozen parts make of clips is computed once, kept, and never silently wrong."""

import dataclasses
import re
import threading
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from test_session import Silent
from toy import clips_for

from jmer.data.random_clips import RandomClips
from jmer.data.splits import make_folds
from jmer.errors import JmerError
from jmer.experiment import Experiment
from jmer.models.ststnet import STSTNetConfig
from jmer.optim import SgdConfig
from jmer.runner import run as runs
from jmer.runner.features import _about, _write, seen_by_tasks
from jmer.runner.session import Session
from jmer.runs.opening import open_run


@dataclasses.dataclass(frozen=True)
class Frozen(STSTNetConfig):
    """STSTNet on flow that a frozen part has scaled."""

    name = "frozen"
    files: ClassVar = ("weights",)
    computed: ClassVar[list] = []

    times: float = 2.0
    weights: str | None = None
    kind: str = "bfloat16"

    def prefix(self, inputs):
        self.computed.append(self.times)
        return {"apex_flow": (self.times * inputs["apex_flow"]).astype(self.kind)}


CONFIG = Frozen(size=7, filters=(2,))
CLIPS = clips_for(CONFIG)
DATA = RandomClips()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JMER_CACHE", str(tmp_path / "cache"))
    Frozen.computed.clear()
    return tmp_path / "cache/features"


def seen(config=CONFIG, clips=CLIPS):
    said = []
    inputs = seen_by_tasks(config, clips, "backend", said.append)
    return inputs["apex_flow"], said


def test_features_are_computed_once_and_then_read(cache):
    first, (line,) = seen()
    size = first.nbytes / 1e6
    assert line.startswith(
        f"frozen: features of {len(CLIPS)} clips, {size:.0f} MB bfloat16, computed once"
    )
    (file,) = cache.iterdir()
    second, (line,) = seen()
    assert f"read from {file}" in line
    assert Frozen.computed == [2.0]
    assert second.dtype == first.dtype == jnp.bfloat16
    assert_array_equal(second, first)
    expected = (2.0 * jnp.asarray(CLIPS.inputs["apex_flow"])).astype(jnp.bfloat16)
    assert_array_equal(first, expected)


def test_other_features_are_others(cache, tmp_path):
    weights = tmp_path / "w"
    weights.write_text("a")
    given = dataclasses.replace(CONFIG, weights=str(weights))
    other = {"apex_flow": CLIPS.inputs["apex_flow"] + 1}
    changed = [
        (dataclasses.replace(CONFIG, times=3.0), CLIPS),
        (CONFIG, dataclasses.replace(CLIPS, inputs=other)),
        (given, CLIPS),
    ]
    for count, (config, clips) in enumerate([(CONFIG, CLIPS), *changed], start=1):
        seen(config, clips)
        assert len(list(cache.iterdir())) == count
    weights.write_text("b")
    seen(given)
    assert len(list(cache.iterdir())) == 5
    moved = weights.rename(tmp_path / "moved")  # its place does not matter
    seen(dataclasses.replace(CONFIG, weights=str(moved)))
    assert len(list(cache.iterdir())) == 5
    with pytest.raises(JmerError, match=f"cannot read {weights}: No such file"):
        seen(given)


def test_a_damaged_file_is_named(cache):
    seen()
    (file,) = cache.iterdir()
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 255
    for damaged in (content, content[:-100], b""):
        file.write_bytes(bytes(damaged))
        with pytest.raises(JmerError, match=f"{file} is damaged .*: remove it"):
            seen()
    file.unlink()
    assert "computed once" in seen()[1][0]


def test_features_that_are_not_finite_name_their_clip(cache):
    subject, clip = CLIPS.subject[4], CLIPS.clip_id[4]
    named = f"Of clip {clip} of subject {subject}, the features of apex_flow are not"
    flow = CLIPS.inputs["apex_flow"].astype(np.float32)
    flow[4, 0, 0, 0] = 1e5
    large = dataclasses.replace(CLIPS, inputs={"apex_flow": flow})
    narrow = dataclasses.replace(CONFIG, kind="float16")
    with pytest.raises(JmerError, match=rf"frozen: .*float32\. {named}"):
        seen(narrow, large)
    assert not cache.exists()
    seen()
    (file,) = cache.iterdir()
    bad = seen()[0].copy()
    bad[4, 0, 0, 0] = np.nan
    _write(file, {"apex_flow": bad}, _about(CONFIG, CLIPS))
    with pytest.raises(JmerError, match=rf"{file} is damaged: remove it\. {named}"):
        seen()


def test_without_room_they_are_used_and_not_kept(cache):
    cache.parent.write_text("no folder")
    first, lines = seen()
    assert len(first) == len(CLIPS)
    assert re.match(r"features are not kept: cannot write .*cache", lines[1])


def test_networks_without_a_frozen_part_see_the_clips(cache):
    found, lines = seen(STSTNetConfig(size=7, filters=(2,)))
    assert found is CLIPS.inputs["apex_flow"]
    assert not lines and not cache.exists()


def test_a_run_says_what_was_computed(cache):
    said = []
    experiment = Experiment(model=CONFIG, data=DATA, optim=SgdConfig(), epochs=1)
    folds = make_folds(experiment.protocol, CLIPS)
    found = seen_by_tasks(CONFIG, CLIPS, "patches", said.append)
    session = Session(experiment, CLIPS, folds, found)
    assert len(said) == 1 and "computed once" in said[0]
    assert session.data.inputs["apex_flow"].dtype == jnp.bfloat16


def test_another_run_is_refused_before_anything_is_computed(cache, tmp_path):
    folder = tmp_path / "run"
    open_run(folder, {"identity": {"epochs": 9}}, overwrite=False)
    (folder / "checkpoints").mkdir()
    experiment = Experiment(model=CONFIG, data=DATA, optim=SgdConfig(), epochs=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "load", lambda data, **options: CLIPS)
        with pytest.raises(JmerError, match="is the run of another experiment"):
            runs.run(
                experiment,
                name="frozen",
                command="jmer run frozen.py",
                run_dir=folder,
                overwrite=False,
                view=Silent(),
            )
    assert not Frozen.computed and not cache.exists()


def test_files_of_weights_are_no_part_of_an_experiment():
    one, other = (
        Experiment(
            model=dataclasses.replace(CONFIG, weights=place),
            data=DATA,
            optim=SgdConfig(),
        ).identity()
        for place in ("a", "b")
    )
    assert one == other
    assert "weights" not in one["model"] and one["model"]["times"] == 2.0


def test_of_two_cold_starts_one_computes(cache):
    """The second waits for the first, and reads what it has written."""
    ready, go = threading.Event(), threading.Event()

    class Slow(type(CONFIG)):
        def prefix(self, inputs):
            ready.set()
            go.wait()
            return super().prefix(inputs)

    slow = Slow(size=7, filters=(2,))
    results = []
    first = threading.Thread(target=lambda: results.append(seen(slow)))
    first.start()
    ready.wait()
    told = []

    def say(text):
        told.append(text)
        go.set()

    second = seen_by_tasks(slow, CLIPS, "backend", say)
    first.join()
    assert "waiting for it to end" in told[0] and "read from" in told[1]
    assert Frozen.computed == [2.0]
    ((mine, _),) = results
    assert_array_equal(mine, second["apex_flow"])
    assert [path.suffix for path in cache.iterdir()] == [".npz"]
