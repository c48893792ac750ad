"""A network in a file of one's own: from its training to its explanation."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import jmer
from jmer.cli import main
from jmer.errors import JmerError
from jmer.models.origin import made_again, origin

ROOT = Path(__file__).resolve().parent.parent
FILE = """
import dataclasses
from typing import ClassVar

import jax.numpy as jnp
from flax import nnx

from beside import SIZE
from jmer.data.random_clips import RandomClips
from jmer.experiment import EngineConfig, Experiment
from jmer.models.base import NetworkConfig
from jmer.optim import SgdConfig


class Net(nnx.Module):
    def __init__(self, classes, rngs):
        self.head = nnx.Linear(3, classes, rngs=rngs)

    def __call__(self, apex_flow, *, train=False, key=None, weight=None):
        return self.head(apex_flow.astype(jnp.float32).mean((1, 2)))


@dataclasses.dataclass(frozen=True)
class MineConfig(NetworkConfig):
    name: ClassVar[str] = "mine"
    inputs: ClassVar[tuple[str, ...]] = ("apex_flow",)
    size: int = SIZE

    @property
    def input_shapes(self):
        return ((self.size, self.size, 3),)

    def build(self, classes, *, dtype, rngs):
        return Net(classes, rngs)


EXPERIMENT = Experiment(
    model=MineConfig(),
    data=RandomClips(shapes=(("apex_flow", (8, 8, 3)),), subjects=3, per_subject=4),
    optim=SgdConfig(lr=0.1),
    epochs=2,
    engine=EngineConfig(plan_seconds=0, devices=1, lowering="patches"),
)
"""


@pytest.fixture(name="run", scope="module")
def _run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    (folder / "mine.py").write_text(FILE)
    (folder / "beside.py").write_text("SIZE = 8\n")
    assert main(["run", str(folder / "mine.py"), "--run-dir", str(folder / "run")]) == 0
    return folder / "run"


def elsewhere(*words, code=None):
    """Another process, which has run no file of ours."""
    start = ["-c", code] if code else ["-m", "jmer.cli", *words]
    done = subprocess.run(
        [sys.executable, *start],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_where_its_code_is_stands_in_the_run(run):
    noted = json.loads((run / "experiment.json").read_text())["network"]
    # Of several files of one name, all but the first are called otherwise.
    assert re.fullmatch(r"experiment_mine(_[0-9a-f]{12})?:MineConfig", noted["kind"])
    assert noted["file"] == str(run.parent / "mine.py") and len(noted["hash"]) == 16


@pytest.mark.slow
def test_another_process_explains_it_if_told_where_it_is(run):
    code, said = elsewhere("explain", str(run))
    file = run.parent / "mine.py"
    assert code == 1 and said.count("\n") == 1
    assert re.search(rf"network mine is experiment_mine\S*:MineConfig \({file}\)", said)
    assert f"add --import {file}" in said
    code, said = elsewhere("explain", str(run), "--import", str(file))
    assert code == 0 and "has changed" not in said and "of them in" not in said


def test_it_is_read_where_its_file_was_run(run, capsys):
    """As in a notebook, after `jmer.load_experiment`."""
    jmer.load_experiment(run.parent / "mine.py")
    model = jmer.load_run(run).model(
        seed=0, subject=jmer.load_run(run).tasks[0].subject
    )
    assert type(model).__name__ == "Net"
    words = ["evaluate", str(run.parent / "mine.py"), "--weights", str(run)]
    assert main([*words, "--run-dir", str(run.parent / "again")]) == 0
    assert capsys.readouterr().err == ""


def test_its_bundle_needs_none_of_its_code(run, tmp_path):
    jmer.load_experiment(run.parent / "mine.py")
    words = ["export", str(run), "--import", str(run.parent / "mine.py"), "--out"]
    assert main([*words, str(tmp_path / "bundle")]) == 0
    found = jmer.load_run(run)
    flow = np.ones((2, 8, 8, 3), np.float32)
    bundle = jmer.load_bundle(tmp_path / "bundle")
    (first, *_) = bundle.folds
    wanted = found.model(subject=first, seed=0)(flow)
    np.testing.assert_allclose(bundle.logits(flow)[0], wanted, atol=1e-5)
    texts = [path.read_bytes() for path in (tmp_path / "bundle").iterdir()]
    assert not any(b"class Net" in text for text in texts)


@pytest.mark.slow
def test_another_process_exports_it_if_told_where_it_is(run, tmp_path):
    code, said = elsewhere("export", str(run), "--out", str(tmp_path / "b"))
    file = run.parent / "mine.py"
    assert code == 1 and f"add --import {file}" in said and said.count("\n") == 1
    words = ["export", str(run), "--out", str(tmp_path / "b"), "--import", str(file)]
    assert elsewhere(*words)[0] == 0
    place = str(tmp_path / "b")
    code, said = elsewhere(
        code=f"import jmer, numpy as np; bundle = jmer.load_bundle({place!r}); "
        f"print(bundle(np.zeros((2, 8, 8, 3), np.float32)).shape)"
    )
    assert (code, said) == (0, "(2, 3)\n")


def test_a_file_that_was_changed_is_told_of(run, capsys):
    file = run.parent / "mine.py"
    before = file.read_text()
    file.write_text(before + "\n# later\n")
    try:
        jmer.load_experiment(file)
        _ = jmer.load_run(run).weights
        told = capsys.readouterr().err
        assert told.count("\n") == 1 and f"note: {file} has changed since" in told
    finally:
        file.write_text(before)


@pytest.mark.parametrize(
    "kind",
    ["evil:Net", "experiment_evil:Net", "os:system", "__main__:Net", "json:loads"],
)
def test_a_strangers_file_is_not_run(kind, tmp_path, monkeypatch):
    """Neither what a run directory names, nor what lies beside."""
    evil = tmp_path / "evil.py"
    evil.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    monkeypatch.chdir(tmp_path)
    for noted in ({"kind": kind, "file": str(evil)}, {"kind": kind}):
        with pytest.raises(JmerError, match="is only run if you say so"):
            made_again("mine", {"size": 8}, noted, Path("run.json"), "model")
    assert not (tmp_path / "ran").exists()


def test_runs_of_before_know_the_network_by_its_name(run):
    jmer.load_experiment(run.parent / "mine.py")
    found = made_again("mine", {"size": 8}, {}, Path("run.json"), "model")
    assert type(found).__name__ == "MineConfig" and found.size == 8
    with pytest.raises(JmerError, match="no network is called 'mime'"):
        made_again("mime", {}, {}, Path("run.json"), "model")


def test_a_file_is_known_under_another_name_and_in_another_place(run, tmp_path):
    """But not another file that has a class of that name."""
    noted = {
        **json.loads((run / "experiment.json").read_text())["network"],
        "kind": "experiment_mine_0123456789ab:MineConfig",
    }
    jmer.load_experiment(run.parent / "mine.py")
    found = made_again("mine", {"size": 8}, noted, Path("run.json"), "model")
    assert type(found).__name__ == "MineConfig"
    moved = noted | {"file": str(tmp_path / "gone.py")}
    assert made_again("mine", {"size": 8}, moved, Path("run.json"), "model") == found
    other = moved | {"hash": "0" * 16}
    with pytest.raises(JmerError, match="which is no longer there"):
        made_again("mine", {"size": 8}, other, Path("run.json"), "model")


def test_two_networks_of_one_name_are_told_apart(run):
    """Ours and another's: what is noted decides."""
    ours = made_again("ststnet", {}, {}, Path("run.json"), "model")
    noted = origin(ours)
    assert noted == {"kind": "jmer.models.ststnet:STSTNetConfig"}
    assert made_again("ststnet", {}, noted, Path("run.json"), "model") == ours
    with pytest.raises(JmerError, match="is only run if you say so"):
        made_again("ststnet", {}, {"kind": "mine:STSTNet"}, Path("run.json"), "model")


def test_weights_in_a_folder_know_it_too(run, tmp_path):
    jmer.load_experiment(run.parent / "mine.py")
    jmer.load_run(run).weights.save(tmp_path / "w")
    subject = jmer.load_run(run).tasks[0].subject
    assert (
        type(jmer.load_model(tmp_path / "w").model(subject=subject)).__name__ == "Net"
    )


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        ("None", "a NoneType"),
        ("x, x", "a tuple"),
        ("x[:, None]", r"an array of \[\d+, 1, 3\]"),
        ("x.mean(1)", r"an array of \[\d+\]"),
        ("x[1:]", r"an array of \[\d+, 3\]"),
        ("jnp.concatenate([x, x], 1)", r"an array of \[\d+, 6\]"),
    ],
)
def test_what_are_no_logits_is_one_clear_error(tmp_path, capsys, returned, told):
    written = FILE.replace("from beside import SIZE", "SIZE = 8")
    call = "self.head(apex_flow.astype(jnp.float32).mean((1, 2)))"
    assert written.count(call) == 1
    file = tmp_path / "mine.py"
    file.write_text(written.replace(f"return {call}", f"x = {call}; return {returned}"))
    assert main(["run", str(file), "--run-dir", str(tmp_path / "run")]) == 1
    error = capsys.readouterr().err
    assert re.search(rf"error: Net returned {told}: a network returns logits", error)
