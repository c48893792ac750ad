"""ResNet-18 against its plain PyTorch twin, and on its way to AMAN."""

import copy
import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from numeric import close
from numpy.testing import assert_allclose, assert_array_equal

import jmer
from jmer import keys
from jmer.cli import main
from jmer.errors import JmerError, UsageError
from jmer.models.aman import AmanConfig
from jmer.models.base import describe
from jmer.models.resnet18 import Resnet18Config
from jmer.models.ststnet import STSTNetConfig
from jmer.nn import use_lowering
from jmer.nn.resnet18 import load_lower, read_resnet18
from jmer.runs.exporters import export_torch
from jmer.runs.weights import Weights
from jmer.train.checkpoint import flatten
from jmer.train.tasks import Task
from jmer.weights import torch_names

ROOT = Path(__file__).resolve().parent.parent
SMALL = Resnet18Config(size=11, shown=37, width=2)
CLASSES = 5
RNG = np.random.default_rng(2)
IMAGE = RNG.integers(0, 256, (7, 11, 11, 1)).astype(np.uint8)
LABEL = np.arange(7, dtype=np.int32) % CLASSES
ONES = np.ones(7, np.float32)


@pytest.fixture(scope="module")
def twin():
    pytest.importorskip("torch")
    from twins.stanet import randomise

    return randomise(SMALL.peer(CLASSES), seed=1)


def ours(state) -> dict:
    """jmer's arrays by path, of a twin's state (or gradients by the same names)."""
    from twins.stanet import arrays

    state = arrays(state)
    return torch_names.resnet18(state) | torch_names.linear(state, "fc", "head")


def split_of(flat):
    model = SMALL.build(CLASSES, dtype=jnp.float32, rngs=nnx.Rngs(params=0))
    graphdef, params, stats = nnx.split(model, nnx.Param, nnx.BatchStat)
    tree = {"params": params, "stats": stats}
    template = flatten(tree)
    assert set(template) == set(flat)
    leaves = [jnp.asarray(flat[path]) for path in template]
    tree = jax.tree.unflatten(jax.tree.structure(tree), leaves)
    return graphdef, tree["params"], tree["stats"]


def test_has_the_parameters_of_the_paper(twin):
    assert describe(Resnet18Config())["parameters"] == 11_176_512 + 513 * 7
    import torch

    with torch.device("meta"):
        count = sum(p.numel() for p in Resnet18Config().peer(7).parameters())
    assert count == 11_180_103


def test_is_its_twin(twin):
    """Logits, then loss, statistics and gradients of a step; the twin's in float64."""
    import torch

    graphdef, params, stats = split_of(ours(twin.state_dict()))

    @jax.jit
    def run(params, stats, image):
        model = nnx.merge(graphdef, params, stats)
        with use_lowering("backend"):
            return model(image)

    @jax.jit
    def step(params, stats, image):
        def objective(params):
            model = nnx.merge(graphdef, params, stats, copy=True)
            with use_lowering("backend"):
                loss = SMALL.loss(
                    *(model, {"image": image}, LABEL),
                    weight=ONES,
                    key=keys.seed_key(0),
                )
            return loss, nnx.state(model, nnx.BatchStat)

        return jax.value_and_grad(objective, has_aux=True)(params)

    wide = copy.deepcopy(twin).double()
    image = torch.tensor(IMAGE).movedim(-1, 1)
    close(run(params, stats, IMAGE), wide(image).detach().numpy())
    (loss, after), gradients = step(params, stats, IMAGE)
    wanted = torch.nn.functional.cross_entropy(
        wide.train()(image), torch.tensor(LABEL).long()
    )
    wanted.backward()
    assert_allclose(loss, wanted.item(), rtol=1e-5)
    slopes = {name: p.grad for name, p in wide.named_parameters()}
    expected = ours(dict(wide.state_dict()) | slopes)
    found = flatten({"params": gradients, "stats": after})
    assert found.keys() == expected.keys()
    for path, value in found.items():
        rtol = 1e-4 if path.startswith("params.") else 1e-5
        atol = rtol * np.abs(expected[path]).max()
        assert_allclose(value, expected[path], rtol, atol, err_msg=path)


def test_exported_weights_are_the_twins(twin, tmp_path):
    state = twin.state_dict()
    flat = ours(state)
    weights = Weights(
        SMALL,
        tuple("abcde"),
        (Task(0, "half"), Task(1, "half")),
        {path: np.stack([value, 2 * value]) for path, value in flat.items()},
    )
    weights.save(tmp_path / "weights")
    file = tmp_path / "out.pth"
    words = ["weights", "export", str(tmp_path / "weights"), "--fold", "half"]
    assert main([*words, "--out", str(file), "--seed", "1"]) == 0
    import torch

    found = torch.load(file, weights_only=True)
    counts = {name for name in state if name.endswith("num_batches_tracked")}
    assert set(found) == set(state) - counts
    for name, value in found.items():
        assert_array_equal(value.numpy(), 2 * state[name].numpy())
    SMALL.peer(CLASSES).load_state_dict(found)
    assert main([*words, "--out", str(file)]) == 1  # which seed?
    assert main([*words, "--out", str(tmp_path / "out.bin")]) == 2
    with pytest.raises(JmerError, match="0 trainings have subject='other'"):
        export_torch(tmp_path / "weights", file, "other")


def test_networks_without_names_in_pytorch_are_not_exported():
    with pytest.raises(JmerError, match="ststnet has no names in PyTorch"):
        STSTNetConfig().to_torch({})


@pytest.mark.slow
def test_from_faces_to_aman(tmp_path, monkeypatch):
    """Synthetic faces as FER2013, an epoch on them, and AMAN sees by what it left."""
    pytest.importorskip("torch")
    monkeypatch.setenv("JMER_CACHE", str(tmp_path / "cache"))
    faces, run_dir, file = tmp_path / "faces", tmp_path / "run", tmp_path / "fer.pth"
    size = ["--subjects", "2", "--clips", "20", "--size", "32"]
    place = ["--layout", "fer2013", "--out", str(faces)]
    assert main(["data", "synthesize", *place, *size]) == 0
    experiment = str(ROOT / "experiments/resnet18_fer2013.py")
    options = {
        "--run-dir": run_dir,
        "--data.manual-dir": faces,
        "--data.data-dir": tmp_path / "tfds",
        "--model.width": 2,
        "--model.shown": 33,
        "--epochs": 1,
        "--batch-size": 4,
    }
    words = [str(word) for pair in options.items() for word in pair]
    assert main(["run", experiment, *words]) == 0
    export = ["weights", "export", str(run_dir), "--fold", "privatetest"]
    assert main([*export, "--out", str(file)]) == 0
    run = jmer.load_run(run_dir)
    assert {task.subject for task in run.tasks} == {"publictest", "privatetest"}
    row = run.weights.index("privatetest")
    trained = {path: value[row] for path, value in run.weights.arrays.items()}
    read = read_resnet18(2, file)
    assert set(trained) - set(read) == {"params.head.kernel", "params.head.bias"}
    for path, value in read.items():
        assert_array_equal(value, trained[path])
    lower = flatten({"all": load_lower(2, file)[1]})
    stem = "all.stem.conv.kernel"
    assert_array_equal(lower[stem], trained["params.trunk.stem.conv.kernel"])
    config = AmanConfig(
        **{"k": 2, "n": 2, "frames": 3, "size": 33, "width": 2, "magnify": "linear"},
        backbone=str(file),
    )
    model = config.build(3, dtype=jnp.float32, rngs=nnx.Rngs(params=0))
    kernel = "first.conv.kernel"
    assert_array_equal(
        model.stage[0].first.conv.kernel[...],
        trained[f"params.trunk.stages.3.0.{kernel}"],
    )
    clip = RNG.integers(0, 256, (1, 3, 33, 33, 3)).astype(np.uint8)
    assert np.isfinite(model(config.features(clip))).all()


@pytest.mark.parametrize("field", ["size", "shown", "width"])
def test_bad_fields_are_refused(field):
    with pytest.raises(UsageError, match=rf"model\.{field}=0 must be at least 1"):
        dataclasses.replace(SMALL, **{field: 0})


def test_an_imagenet_trunk_of_another_width_is_refused(twin):
    state = {name: value.numpy() for name, value in twin.state_dict().items()}
    assert set(SMALL.trunk_from_torch(state)) == set(torch_names.resnet18(state))
    with pytest.raises(ValueError, match=r"conv1\.weight has shape"):
        Resnet18Config().trunk_from_torch(state)
