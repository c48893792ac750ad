"""Bundles: what `jmer export` writes, read again with JAX and NumPy alone."""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx
from numpy.testing import assert_allclose
from remedies import commands
from test_explain import RUNS
from untrained import write_untrained_run

import jmer
from jmer.bundle.layout import MANIFEST, WEIGHTS, ArraySpec
from jmer.bundle.safetensors import packed, unpacked
from jmer.cli import main
from jmer.data.random_clips import RandomClips
from jmer.errors import JmerError
from jmer.files import read_json, write_json
from jmer.files.remains import folder_aside
from jmer.runs.bundles import BundleOptions, write_bundle
from jmer.runs.folder import DESCRIPTION
from jmer.runs.programs import random_clips
from jmer.train.tasks import Task

ROOT = Path(__file__).resolve().parent.parent
SLOW = ("stanet", "aman", "meranet", "visual_memory", "hsta", "resnet3d")


def untrained(folder, name, seeds=(0,), subjects=3):
    """A run of a tiny network on random clips; nothing is prepared."""
    network = RUNS[name][0]
    shapes = tuple(zip(network.inputs, network.input_shapes, strict=True))
    kind = "float16" if "flow" in network.inputs[0] else "uint8"
    data = RandomClips(shapes=shapes, subjects=subjects, per_subject=4, dtype=kind)
    write_untrained_run(folder, network, data, data.clips(), seeds)
    told = read_json(folder / DESCRIPTION)
    write_json(folder / DESCRIPTION, {**told, "data": told["data"] | data.origin})
    return folder


@pytest.fixture(name="run", scope="module")
def _run(tmp_path_factory):
    return untrained(tmp_path_factory.mktemp("bundle") / "run", "ststnet", (0, 3))


@pytest.fixture(name="whole", scope="module")
def _whole(run):
    assert main(["export", str(run), "--out", str(run.parent / "whole")]) == 0
    return run.parent / "whole"


@pytest.fixture(name="bundle")
def _bundle(whole, tmp_path):
    """A copy to be damaged."""
    return Path(shutil.copytree(whole, tmp_path / "bundle"))


def assert_agrees(run, bundle, counts=(1, 3, 7)):
    """Logits of every member are those of its training, in batches of any size."""
    loaded, found = jmer.load_bundle(bundle), jmer.load_run(run)
    network, (graphdef, states) = found.weights.config, found.weights.states()
    tasks = found.weights.tasks
    rows = [tasks.index(Task(0, fold)) for fold in loaded.folds]

    @jax.jit
    def predict(state, inputs):
        return network.predict(nnx.merge(graphdef, *state), inputs)

    for count in counts:
        clips = random_clips(loaded.inputs, count, seed=count)
        unseen = {
            name: np.zeros((count, *shape), np.float32)
            for name, shape in zip(network.inputs, network.input_shapes, strict=True)
        }
        wanted = np.stack(
            [
                predict(jax.tree.map(lambda x, i=i: x[i], states), {**unseen, **clips})
                for i in rows
            ]
        )
        largest = max(1.0, np.abs(wanted).max())
        close = {"atol": 1e-5, "rtol": 0}
        assert_allclose(loaded.logits(**clips) / largest, wanted / largest, **close)
        answer = loaded(**clips)
        assert answer.dtype == np.float32
        assert_allclose(answer, np.asarray(jax.nn.softmax(wanted)).mean(0), **close)
        assert_allclose(answer.sum(1), 1, atol=1e-6)
    return loaded


def test_an_ensemble_agrees_with_the_run(run, whole):
    loaded = assert_agrees(run, whole)
    assert loaded.folds == ("s000", "s001", "s002")
    assert loaded.classes == ("negative", "positive", "surprise")


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_every_network_agrees(name, tmp_path):
    run = untrained(tmp_path / "run", name, subjects=2)
    assert main(["export", str(run), "--out", str(tmp_path / "b")]) == 0
    loaded = assert_agrees(run, tmp_path / "b")
    assert "intensity" not in [spec.name for spec in loaded.inputs]
    if name == "visual_memory":
        found = loaded.outputs(**random_clips(loaded.inputs, 2))
        assert found["intensity"].shape == (2, 11)


def test_one_fold_of_one_seed(run, tmp_path):
    words = ["export", str(run), "--fold", "s001", "--seed", "3"]
    assert main([*words, "--out", str(tmp_path / "one")]) == 0
    loaded = jmer.load_bundle(tmp_path / "one")
    model = jmer.load_run(run).model(subject="s001", seed=3)
    flow = random_clips(loaded.inputs, 2)["apex_flow"]
    assert loaded.folds == ("s001",)
    assert_allclose(loaded.logits(flow)[0], model(flow), atol=2e-5)


def test_the_manifest_says_what_it_is(run, whole):
    told = json.loads((whole / MANIFEST).read_text())
    assert told["inputs"][0]["shape"] == ["b", 8, 8, 3]
    assert told["inputs"][0]["dtype"] == "float16"
    assert (
        told["data"]["fingerprint"]
        == jmer.load_run(run).experiment["data"]["fingerprint"]
    )
    assert told["scores"]["uf1"] == jmer.load_run(run).metrics["uf1"]
    assert told["platforms"] == ["cpu", "cuda", "tpu"]
    assert [m["fold"] for m in told["ensemble"]["members"]] == ["s000", "s001", "s002"]
    assert {"jax", "jmer", "numpy"} <= told["versions"].keys()
    assert told["licence"]["code"] == "Apache-2.0"
    assert told["agreement"] <= 1e-5
    there = {path.name for path in whole.iterdir()}
    assert there == {*told["files"], MANIFEST}


def test_weights_are_safetensors(run, whole):
    arrays = unpacked((whole / WEIGHTS).read_bytes())
    trained = jmer.load_run(run).weights
    rows = [i for i, task in enumerate(trained.tasks) if task.seed == 0]
    assert arrays.keys() == trained.arrays.keys()
    for path, value in arrays.items():
        assert np.array_equal(value, trained.arrays[path][rows])
    library = pytest.importorskip("safetensors.numpy")
    for path, value in library.load_file(whole / WEIGHTS).items():
        assert np.array_equal(value, arrays[path])


@pytest.mark.parametrize("kind", ["float32", "float16", "uint8", "int64", "bool"])
def test_arrays_come_back_from_safetensors(kind):
    arrays = {
        "b": np.arange(6).reshape(2, 3).astype(kind),
        "a.é": np.zeros((0, 2), kind),
        "scalar": np.array(1, kind),
    }
    for name, value in unpacked(packed(arrays, {"x": "y"})).items():
        assert value.dtype == arrays[name].dtype
        assert np.array_equal(value, arrays[name])
    library = pytest.importorskip("safetensors.numpy")
    assert library.load(packed(arrays, {})).keys() == arrays.keys()


def cut(path):
    path.write_bytes(path.read_bytes()[:-5])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", [MANIFEST, WEIGHTS, "network.stablehlo"])
@pytest.mark.parametrize("damage", [Path.unlink, cut, flip])
def test_damage_is_one_clear_error(bundle, name, damage):
    damage(bundle / name)
    with pytest.raises(JmerError) as caught:
        jmer.load_bundle(bundle)
    said = str(caught.value)
    assert "jmer export" in said and "\n" not in said
    assert (name in said) or (name == MANIFEST and str(bundle) in said)


def rewritten(place, **fields):
    """A bundle whose manifest says something else, and is sealed."""
    told = read_json(place / MANIFEST)
    write_json(place / MANIFEST, {**told, **fields})


def test_what_this_jax_cannot_read_is_said(bundle, monkeypatch):
    from jax import export

    told = json.loads((bundle / MANIFEST).read_text())
    assert told["programs"]["network"]["calling_convention"] > 5
    version = "maximum_supported_calling_convention_version"
    monkeypatch.setattr(export, version, 5)
    monkeypatch.setattr(export, "minimum_supported_calling_convention_version", 4)
    made = told["versions"]["jax"]
    with pytest.raises(JmerError, match=rf"pip install 'jax=={made}'"):
        jmer.load_bundle(bundle)


def test_no_mlir_is_said_too(bundle):
    import hashlib

    file = bundle / "network.stablehlo"
    file.write_bytes(b"ML\xefRnonsense")
    told = json.loads((bundle / MANIFEST).read_text())
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    size = file.stat().st_size
    files = {**told["files"], file.name: {"bytes": size, "sha256": digest}}
    rewritten(bundle, files=files)
    with pytest.raises(JmerError, match="cannot read it"):
        jmer.load_bundle(bundle)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"bundle": 99}, "has format 99"),
        ({"bundle": "1"}, "is not the manifest of a bundle"),
        ({"programs": {}}, "does not say what a manifest says"),
        ({"files": {}}, "has no checksum of"),
        ({"inputs": [{"name": "x"}]}, "does not say what a manifest says"),
        ({"classes": None}, "does not say what a manifest says"),
    ],
)
def test_a_manifest_of_something_else(bundle, fields, said):
    rewritten(bundle, **fields)
    with pytest.raises(JmerError, match=said):
        jmer.load_bundle(bundle)


def test_arrays_that_do_not_fit_are_named(whole):
    loaded = jmer.load_bundle(whole)
    flow = np.zeros((2, 8, 8, 3), np.float32)
    assert loaded(flow).shape == (2, 3)
    assert_allclose(loaded(flow), loaded(apex_flow=flow.astype(np.float64)))
    for given, said in [
        ((flow[0],), r"apex_flow has shape \[8, 8, 3\]; of one clip, give apex_flow"),
        ((flow[:, :4],), r"takes apex_flow \[b, 8, 8, 3\] float16"),
        ((flow.astype(np.uint8),), "convert it with .astype"),
        ((flow[:0],), "no clips were given"),
        ((), "takes apex_flow"),
        ((flow, flow), "2 arrays by place"),
        ((np.full_like(flow, np.nan),), "not finite"),
        ((np.full_like(flow, 1e6),), "not finite"),
        ((np.array([["a"]]),), "has shape"),
    ]:
        with pytest.raises(JmerError, match=said):
            loaded(*given)
    with pytest.raises(JmerError, match="frames by name"):
        loaded(frames=flow)


def test_whole_pixels_are_asked_for():
    from jmer.bundle.load import _fitting

    with pytest.raises(JmerError, match="whole pixels of 0 to 255"):
        _fitting(ArraySpec("clip", (2,), "uint8"), np.zeros((1, 2), np.float32))


def test_a_place_is_kept(run, whole, tmp_path, capsys):
    words = ["export", str(run), "--out"]
    before = (whole / WEIGHTS).stat().st_mtime_ns
    assert main([*words, str(whole)]) == 2
    assert "add --overwrite to replace it" in capsys.readouterr().err
    assert (whole / WEIGHTS).stat().st_mtime_ns == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    for extra in ([], ["--overwrite"]):
        assert main([*words, str(tmp_path / "mine"), *extra]) == 2
        assert "that is no bundle" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]
    copy = Path(shutil.copytree(whole, tmp_path / "copy"))
    (copy / WEIGHTS).unlink()
    assert main([*words, str(copy), "--overwrite"]) == 0
    assert jmer.load_bundle(copy).folds == ("s000", "s001", "s002")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "mine"]


def test_nothing_is_left_of_an_export_that_fails(run, tmp_path, monkeypatch, capsys):
    from jmer.runs import bundles

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundles, "packed", full)
    assert main(["export", str(run), "--out", str(tmp_path / "b")]) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


def test_what_a_killed_export_left_goes_with_the_next(run, tmp_path):
    code = (
        f"import os, sys; sys.path.insert(0, {str(ROOT)!r}); from pathlib import Path; "
        f"from jmer.files.remains import folder_aside; "
        f"(folder_aside(Path({str(tmp_path / 'b')!r})) / 'x').write_text('x'); "
        f"os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    assert len([*tmp_path.iterdir()]) == 1
    own = folder_aside(tmp_path / "b")  # of a process that lives
    out = ["--out", str(tmp_path / "b")]
    assert main(["export", str(run), "--fold", "s000", *out]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"b", own.name}


def test_what_differs_is_not_written(run, tmp_path, monkeypatch, capsys):
    from jmer.runs import bundles

    monkeypatch.setattr(bundles, "CLOSE", -1.0)
    assert main(["export", str(run), "--out", str(tmp_path / "b")]) == 1
    assert "nothing is written" in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


def test_a_folder_that_is_no_bundle(run, tmp_path):
    folder = tmp_path / "it's mine"
    with pytest.raises(JmerError, match="it is no bundle") as told:
        jmer.load_bundle(folder)
    (command,) = commands(str(told.value))
    assert main([str(run) if word == "RUN" else word for word in command]) == 0
    assert jmer.load_bundle(folder).folds == ("s000", "s001", "s002")


def test_a_run_is_no_bundle(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(JmerError, match="is a run, and no bundle") as told:
        jmer.load_bundle(run)
    (command,) = commands(str(told.value))
    assert main(command) == 0
    assert jmer.load_bundle("BUNDLE").folds == ("s000", "s001", "s002")
    with pytest.raises(JmerError, match="is a file: give the folder"):
        jmer.load_bundle(tmp_path / "BUNDLE" / "manifest.json")


def test_what_diverged_is_left_out(run, tmp_path):
    found, said = jmer.load_run(run), list[str]()
    tasks = [
        dataclasses.replace(task, diverged=task.subject == "s001")
        for task in found.tasks
    ]
    found.__dict__["tasks"] = tuple(tasks)
    write_bundle(found, tmp_path / "b", BundleOptions(), say=said.append)
    assert jmer.load_bundle(tmp_path / "b").folds == ("s000", "s002")
    assert any("without fold s001, whose training diverged" in line for line in said)
    with pytest.raises(JmerError, match=r"s001 diverged.* Choose another --fold"):
        write_bundle(found, tmp_path / "c", BundleOptions(fold="s001"))
    write_bundle(found, tmp_path / "c", BundleOptions(fold="s002"), say=said.append)
    assert jmer.load_bundle(tmp_path / "c").folds == ("s002",)


def test_what_is_no_run_or_no_fold(run, tmp_path, capsys):
    out = ["--out", str(tmp_path / "b")]
    for words, said in [
        ([str(tmp_path / "none")], "none"),
        ([str(run), "--fold", "nobody"], "Subjects: s000, s001, s002"),
        ([str(run), "--seed", "9"], "seed=9"),
    ]:
        assert main(["export", *words, *out]) in (1, 2)
        told = capsys.readouterr().err
        assert said in told and told.count("\n") == 1
    assert not (tmp_path / "b").exists()


def test_the_artifact_is_that_of_jax(whole):
    pytest.importorskip("flatbuffers")
    from jax import export

    read = export.deserialize(bytearray((whole / "network.jax_export").read_bytes()))
    assert read.platforms == ("cpu", "cuda", "tpu")
    loaded = jmer.load_bundle(whole)
    flow = random_clips(loaded.inputs, 5)
    own = {path: value[1] for path, value in loaded.weights.items()}
    found = read.call(own, flow)["logits"]
    assert np.array_equal(found, loaded.logits(**flow)[1])


def test_the_loader_on_the_page_needs_no_jmer(whole, monkeypatch):
    for library in ("flatbuffers", "safetensors"):
        pytest.importorskip(library)
    page = (ROOT / "docs/howto/export.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(import json.*?)```", page, re.DOTALL)
    assert "jmer" not in code
    monkeypatch.chdir(whole.parent)
    known: dict = {}
    code = code.replace('"bundle/', f'"{whole.name}/').replace("28, 28", "8, 8")
    exec(code, known)
    wanted = jmer.load_bundle(whole)(np.zeros((1, 8, 8, 3), np.float16))
    assert_allclose(known["probabilities"], wanted, atol=1e-6)


BARE = """
import sys, types

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked}:
            raise ImportError(name + " is not to be needed")

sys.meta_path.insert(0, Blocked())
import jmer, numpy as np
print(jmer.load_bundle({bundle!r})(np.ones((2, 8, 8, 3), np.float32)).tolist())
"""
HEAVY = {"flax", "orbax", "optax", "tyro", "rich", "scipy.stats", "matplotlib", "cv2"}
HEAVY |= {"absl", "jaxtyping", "tensorflow_datasets", "flatbuffers", "safetensors"}


def test_jax_and_numpy_are_enough(whole):
    """Everything else that jmer uses is kept from being imported."""
    code = BARE.format(blocked=HEAVY, bundle=str(whole))
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    flow = np.ones((2, 8, 8, 3), np.float32)
    assert_allclose(json.loads(done.stdout), jmer.load_bundle(whole)(flow), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ststnet", "hsta", "stanet", "resnet3d", "meranet"])
def test_onnx_agrees(name, tmp_path):
    pytest.importorskip("jax2onnx")
    runtime = pytest.importorskip("onnxruntime")
    run = untrained(tmp_path / "run", name, subjects=2)
    words = ["export", str(run), "--onnx", "--fold", "s001", "--out"]
    assert main([*words, str(tmp_path / "b")]) == 0
    loaded = jmer.load_bundle(tmp_path / "b")
    session = runtime.InferenceSession(tmp_path / "b/network-0.onnx")
    for count in (1, 3, 7):
        clips = random_clips(loaded.inputs, count, seed=9)
        found = session.run(["logits"], clips)[0]
        wanted = loaded.logits(**clips)[0]
        assert_allclose(found, wanted, atol=1e-5 * max(1, np.abs(wanted).max()))


@pytest.mark.slow
def test_what_onnx_lacks_is_named(tmp_path, capsys):
    pytest.importorskip("jax2onnx")
    run = untrained(tmp_path / "run", "aman", subjects=2)
    words = ["export", str(run), "--onnx", "--fold", "s001", "--out"]
    assert main([*words, str(tmp_path / "b")]) == 1
    said = capsys.readouterr().err
    assert "jax2onnx has no operation" in said and said.count("\n") == 1
    assert said.strip().endswith("Leave --onnx out.")
    assert not (tmp_path / "b").exists()
    words.remove("--onnx")
    assert main([*words, str(tmp_path / "b")]) == 0


def test_onnx_asks_for_its_libraries(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert main(["export", str(run), "--onnx", "--out", str(tmp_path / "b")]) == 1
    assert "pip install 'jmer[onnx]', or leave --onnx out" in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("shape", "strides", "pads", "apart"),
    [
        ((3, 3), (2, 1), ((1, 1), (0, 2)), (1, 1)),
        ((2, 3, 3), (2, 2, 1), ((1, 0), (1, 1), (2, 0)), (2, 1, 2)),
    ],
)
def test_operations_written_as_others_are_the_same(shape, strides, pads, apart):
    """What jax2onnx is given in place of what it lacks."""
    from jmer.runs.onnx import _evaluated

    rng = np.random.default_rng(1)
    rank = len(shape)
    x = rng.normal(size=(2, *(9, 7, 8)[:rank], 3)).astype(np.float32)
    kernel = rng.normal(size=(*shape, 3, 5)).astype(np.float32)
    space = "DHW"[-rank:]
    names = (f"N{space}C", f"{space}IO", f"N{space}C")

    @jax.jit
    def network(x):
        y = jax.lax.conv_general_dilated(
            *(x, kernel, strides, pads), rhs_dilation=apart, dimension_numbers=names
        )
        window = (1, *(2,) * (rank - 1), 1, 1)
        most = jax.lax.reduce_window(y, -np.inf, jax.lax.max, window, window, "SAME")
        total = jax.lax.reduce_window(
            most, 0.0, jax.lax.add, window, (1,) * (rank + 2), "VALID"
        )
        sides = [(1, 0, 0), *[(0, 2, 0)] * rank, (-1, 1, 0)]
        return jax.nn.relu(jax.lax.pad(total, np.float32(0.5), sides))

    traced = jax.make_jaxpr(network)(x)
    (found,) = _evaluated(traced.jaxpr, traced.consts, [x])
    assert_allclose(found, network(x), atol=1e-4)
