"""The benchmark command: what it measures, writes and compares."""

import functools
import importlib
import json
import os
import re
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from test_hosts import EXPERIMENT

from jmer import shipped
from jmer.bench import results, torch_loop
from jmer.bench.timing import bench_clips, interleave, memory_slope, spread
from jmer.bench.torch_loop import Loop, Variant, require_plain
from jmer.cli import main
from jmer.data.random_clips import RandomClips
from jmer.data.splits import make_folds
from jmer.errors import UsageError
from jmer.experiment import Experiment, load_experiment
from jmer.files import write_json
from jmer.files.seal import unsealed
from jmer.models.stanet import STANetConfig
from jmer.optim import AdamConfig
from jmer.train.probe import Layout

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("bench") / "tiny.py"
    path.write_text(EXPERIMENT)
    return path


@pytest.fixture(scope="module")
def written(file) -> Path:
    """One benchmark of two packs and two batch modes, on two devices."""
    out = file.parent / "out.json"
    grid = ["--packs", "2", "all", "--batches", "own", "shared", "--devices", "2"]
    assert main(["bench", str(file), *grid, "--rounds", "2", "--json", str(out)]) == 0
    return out


def test_a_benchmark_says_all_there_is_to_know(written):
    content = json.loads(written.read_text())
    assert content["network"] == "ststnet" and content["versions"]["jax"]
    assert content["ceilings"]["flops"] > 1e8
    found = {(c["folds"], c["batches"]) for c in content["cells"]}
    assert found == {(2, "own"), (5, "own"), (2, "shared"), (5, "shared")}
    for cell in content["cells"]:
        seconds = cell["seconds_per_fold_epoch"]
        assert len(seconds["rounds"]) == 2
        assert 0 < seconds["min"] <= seconds["median"] <= seconds["max"]
        # 5 subjects of 4 clips: a fold trains on 16.
        assert cell["clips_per_second"] == pytest.approx(16 / seconds["median"])
        assert cell["folds_per_hour"] == pytest.approx(1200 / seconds["median"])
        whole = seconds["median"] * 3 * cell["folds"]
        assert cell["full_protocol_seconds"] == pytest.approx(whole)
        assert cell["compile_seconds"] > 0 and cell["bytes"] > 1000
        assert 0 < cell["share_of_flops"] < 1
        assert cell["devices"] == 2 and cell["lowering"] == "patches"
    assert content["memory_bytes_per_task"] is not None


@pytest.mark.parametrize("name", ["stanet_casme2", "hsta_samm", "offapexnet_megc2019"])
def test_a_small_size_is_the_networks_own_with_few_clips(name):
    command = importlib.import_module("jmer.commands.bench")
    options = command._parser().parse_args([name, "--small"])
    file = shipped.find(Path(name))
    small = command._experiment(file, options)
    assert command._name(file, options) == f"{name}_small"
    for field, value in small.model.small_size.items():
        own = getattr(small.model, field)
        assert own == value or np.all(np.asarray(own) < np.asarray(value))
    clips = bench_clips(small).clips()
    assert len(clips) == 64 and small.batch_size == 8 and small.variants == ()
    assert len(make_folds(small.protocol, clips)) == 8
    for given, shape in zip(small.model.inputs, small.model.input_shapes, strict=True):
        assert clips.inputs[given].shape == (64, *shape)


def test_rounds_are_interleaved():
    """So that a slow moment meets all alike."""
    order = []

    class Part:
        def __init__(self, name):
            self.name = name

        def round(self):
            order.append(self.name)

        def epoch_seconds(self):
            order.append(self.name)
            return 1.0

    seconds = interleave(
        [Part("a"), Part("b")], [Part("torch")], rounds=2, say=lambda text: None
    )
    assert order == ["torch", "a", "b", "torch", "a", "b", "torch"]
    assert seconds == {"torch": [1.0, 1.0]}


def test_spread_keeps_every_round():
    assert spread([3.0, 1.0, 2.0]) == {
        "median": 2.0, "min": 1.0, "max": 3.0, "rounds": [3.0, 1.0, 2.0],
    }  # fmt: skip


# --- comparing


def changed(written: Path, tmp_path: Path, factor: float, cell: int = 0) -> Path:
    content = json.loads(written.read_text(encoding="utf-8"))
    values = [s * factor for s in (1.0, 1.01, 1.02)]
    content["cells"][cell]["seconds_per_fold_epoch"] = spread(values)
    file = tmp_path / f"times-{factor}.json"
    write_json(file, unsealed(content))
    return file


@pytest.mark.parametrize(("factor", "code"), [(1.0, 0), (1.05, 0), (0.5, 0), (1.3, 1)])
def test_a_comparison_flags_what_is_slower(written, tmp_path, capsys, factor, code):
    old, new = changed(written, tmp_path, 1.0), changed(written, tmp_path, factor)
    assert main(["bench", "--compare", str(old), str(new)]) == code
    text = capsys.readouterr().out
    assert text.count("slower") == code
    assert text.count("faster") == (factor == 0.5)


def test_noise_is_no_regression(written, tmp_path):
    """A slow median whose best round was as fast as before."""
    old = changed(written, tmp_path, 1.0)
    content = json.loads(old.read_text())
    content["cells"][0]["seconds_per_fold_epoch"] = spread([1.0, 1.5, 1.6])
    new = tmp_path / "noisy.json"
    write_json(new, unsealed(content))
    assert results.compare([old, new], Console(quiet=True)) == []


def test_files_without_a_common_program(written, tmp_path, capsys):
    (tmp_path / "other.json").write_text('{"cells": []}')
    other = str(tmp_path / "other.json")
    assert main(["bench", "--compare", str(written), other]) == 1
    assert "no benchmark of this version" in capsys.readouterr().err
    (tmp_path / "other.json").write_text('{"schema": 1, "cells": []}')
    assert main(["bench", "--compare", str(written), other]) == 1
    assert "no program in common" in capsys.readouterr().err


# --- usage


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "needs an experiment file"),
        (["FILE", "--packs", "few"], "numbers or all"),
        (["FILE", "--packs", "0"], "--packs must be at least 1"),
        (["FILE", "--rounds", "0"], "--rounds 0"),
        (["FILE", "--devices", "64"], "choose 1 to"),
        (["FILE", "--target", "v5e-1", "--rounds", "7"], "leave out --rounds"),
        (["FILE", "--target", "h100", "--plan-seconds", "0"], "leave out --plan-s"),
        (["FILE", "--target", "h100", "--peer", "torch"], "leave out --peer"),
        (["FILE", "--target", "h100-2", "--devices", "1", "3"], "h100-2 has 2"),
        (["FILE", "--target", "v5p-8", "--devices", "5"], "v5p-8 has 4"),
        (["missing.py"], "does not exist"),
    ],
    ids=str,
)
def test_mistakes_are_one_clear_error(file, capsys, words, message):
    words = [str(file) if word == "FILE" else word for word in words]
    assert main(["bench", *words]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["--target", "h100"], ["--target", "v5e-1"]])
def test_an_unusable_place_is_told_before_anything_is_compiled(file, capsys, words):
    for place in ("/proc/out.json", "/dev/null/out.json", str(file.parent)):
        assert main(["bench", str(file), *words, "--json", place]) != 0
        said = capsys.readouterr()
        assert place.removesuffix("/out.json") in said.err
        assert "compiling" not in said.out and "measuring" not in said.out


@pytest.mark.parametrize(
    ("cells", "slope"),
    [
        ([(1, 1, 1, 50), (4, 2, 2, 30)], None),  # laid out otherwise: says nothing
        ([(2, 1, 1, 20), (4, 1, 1, 30), (4, 2, 2, 9)], 5),
        ([(2, 2, 1, 20), (4, 2, 2, 30)], 10),
        ([(4, 1, 1, 20), (4, 1, 2, 30)], None),
    ],
)
def test_memory_grows_between_programs_that_are_laid_out_alike(cells, slope):
    """Packs, devices, chunks and bytes of each."""
    made = [
        types.SimpleNamespace(
            pack=pack,
            layout=Layout(devices, chunk, "patches"),
            batches="own",
            dtype="float32",
            probe=types.SimpleNamespace(bytes=size),
        )
        for pack, devices, chunk, size in cells
    ]
    found = memory_slope(made)
    assert found is None if slope is None else found == pytest.approx(slope)


# --- random clips


def test_random_clips_have_the_folds_of_the_real_set():
    experiment = load_experiment(ROOT / "experiments/ststnet_megc2019.py")
    clips = bench_clips(experiment).clips()
    assert len(clips) == 442 and len(np.unique(clips.subject)) == 68
    assert clips.inputs["apex_flow"].shape == (442, 28, 28, 3)
    assert clips.inputs["apex_flow"].dtype == np.uint8
    assert clips.inputs["apex_flow"].max() == 255
    assert len(make_folds(experiment.protocol, clips)) == 68


def test_empty_clips_have_the_shapes_and_folds_without_the_numbers():
    experiment = load_experiment(ROOT / "experiments/ststnet_megc2019.py")
    full, empty = bench_clips(experiment).clips(), bench_clips(experiment).empty()
    for name, array in full.inputs.items():
        assert empty.inputs[name].shape == array.shape
        assert empty.inputs[name].dtype == array.dtype
        assert empty.inputs[name].base.nbytes == array.itemsize  # one number in all
    np.testing.assert_array_equal(empty.subject, full.subject)


def test_random_clips_are_the_same_every_time():
    config = RandomClips(shapes=(("a", (2, 3)), ("b", (4,))), sizes=(1, 2, 5))
    one, two = config.clips(), config.clips()
    assert one.inputs["a"].shape == (8, 2, 3) and one.inputs["b"].shape == (8, 4)
    np.testing.assert_array_equal(one.inputs["b"], two.inputs["b"])
    assert np.unique(one.subject, return_counts=True)[1].tolist() == [1, 2, 5]
    with pytest.raises(UsageError, match="must be positive"):
        RandomClips(subjects=0)


# --- PyTorch


@pytest.fixture
def loop(file):
    pytest.importorskip("torch")
    experiment = load_experiment(file)
    clips = bench_clips(experiment).clips()
    folds = make_folds(experiment.protocol, clips)
    return lambda **options: Loop(experiment, clips, folds, Variant("x", **options))


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("loss", "loss=LossConfig(focal=2.0)"),
        ("ema", "ema=0.9"),
        ("patience", 'patience=3, selection="inner"'),
    ],
)
def test_what_the_torch_loop_has_not_is_refused(name, fields, tmp_path, capsys):
    asked = EXPERIMENT.replace("epochs=3,", f"epochs=3, {fields},")
    text = f"from jmer.train.objective import LossConfig\n{asked}"
    file = tmp_path / "asked.py"
    file.write_text(text)
    assert main(["bench", str(file), "--peer", "torch"]) == 2
    said = capsys.readouterr().err
    assert f"{file}: {name}=" in said and said.count("\n") == 1
    (remedy,) = re.findall(r"give the experiment (\S+)$", said.strip())
    file.write_text(text.replace(fields.split(", ")[0], remedy))
    require_plain(load_experiment(file), file)


@pytest.mark.parametrize(
    "options", [{}, {"channels_last": True}, {"tuned": True}], ids=str
)
def test_the_torch_loop_trains(loop, options):
    import torch

    running = loop(**options)
    model, _ = running._models[0]
    before = [p.clone() for p in model.parameters()]
    assert running.epoch_seconds() > 0
    for old, new in zip(before, model.parameters(), strict=True):
        assert torch.isfinite(new).all() and (old != new).any()


def test_a_long_epoch_of_the_torch_loop_is_timed_in_part(loop, monkeypatch):
    monkeypatch.setattr(torch_loop, "FEW_BATCHES", 0)
    monkeypatch.setattr(torch_loop, "PART", 1)
    running = loop()
    trained = []
    for model, optimiser in running._models:
        step = optimiser.step
        count = functools.partial(lambda step, m: trained.append(m) or step(), step)
        monkeypatch.setattr(optimiser, "step", functools.partial(count, model))
    assert running.epoch_seconds() > 0
    assert trained == [model for model, _ in running._models]
    # All of it counts: the clock ticks once for each part, of 1 s each.
    clips = [len(fold.train) for fold in running._folds]
    size = running._experiment.batch_size
    share = sum(min(size, many) for many in clips) / sum(clips)
    monkeypatch.setattr(running, "_seconds", lambda work: 1.0)
    assert running.epoch_seconds() == pytest.approx((1 / share + 1) / len(clips))


def test_kernels_of_two_ranks_go_channels_last():
    torch = pytest.importorskip("torch")
    network = STANetConfig(frames=3, size=33, width=2, levels=1, lstm=3)
    experiment = Experiment(
        model=network,
        data=RandomClips(shapes=(("flow", (3, 33, 33, 2)),), per_subject=3),
        optim=AdamConfig(),
        epochs=1,
    )
    clips = experiment.data.clips()
    folds = make_folds(experiment.protocol, clips)[:1]
    running = Loop(experiment, clips, folds, Variant("x", channels_last=True))
    kernels = [p for p in running._models[0][0].parameters() if p.ndim == 4]
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in kernels)
    assert running.epoch_seconds() > 0


def test_tuned_ststnet_is_the_same_function():
    torch = pytest.importorskip("torch")
    from jmer.models.ststnet import STSTNetConfig

    config = STSTNetConfig(size=13, filters=(2, 3))
    plain, tuned = config.peer(3).eval(), config.peer(3, tuned=True).eval()
    streams = [(plain.conv1, plain.bn1), (plain.conv2, plain.bn2)]
    with torch.no_grad():
        for name in ("weight", "bias"):
            joined = torch.cat([getattr(conv, name) for conv, _ in streams])
            getattr(tuned.streams[0], name).copy_(joined)
        for _, norm in streams:
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
        for name in ("weight", "bias", "running_mean", "running_var"):
            joined = torch.cat([getattr(norm, name) for _, norm in streams])
            getattr(tuned.streams[2], name).copy_(joined)
        tuned.fc.load_state_dict(plain.fc.state_dict())
        x = torch.randn(4, 3, 13, 13)
        np.testing.assert_allclose(tuned(x), plain(x), rtol=1e-4, atol=1e-5)


def test_it_runs_where_little_is_installed(file, tmp_path):
    """Without TFDS, tyro, matplotlib, OpenCV, Jinja2, TensorBoard or beartype."""
    absent = ["tensorflow_datasets", "tyro", "matplotlib", "cv2", "jinja2", "pandas"]
    absent += ["tensorboardX", "beartype", "jaxtyping", "array_record"]
    code = (
        "import sys\n"
        f"for name in {absent}: sys.modules[name] = None\n"
        "from jmer.cli import main\n"
        f"sys.exit(main(['bench', {str(file)!r}, '--rounds', '1', '--devices', '1']))"
    )
    environment = {k: v for k, v in os.environ.items() if k != "JMER_TYPECHECK"}
    environment |= {"PYTHONPATH": str(ROOT), "JMER_CACHE": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "ms a fold-epoch" in done.stdout
