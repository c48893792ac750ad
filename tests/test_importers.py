"""Published PyTorch checkpoints: read faithfully, or refused without running code."""

import hashlib
import pickle
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import jmer
from jmer.cli import main
from jmer.errors import JmerError
from jmer.models.stanet import STANetConfig
from jmer.runs.held_out import kept_from_weights
from jmer.runs.importers import import_torch, read_trunk
from jmer.weights.torch_files import read_checkpoint

FLOW = np.random.default_rng(0).normal(size=(5, 28, 28, 3)).astype(np.float32)
SUBJECTS = ("006", "s15", "sub01")


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


@pytest.fixture(scope="module")
def twins(torch):
    """PyTorch networks of known weights, by subject."""
    from twins import ststnet

    return {name: ststnet.random_twin(i) for i, name in enumerate(SUBJECTS)}


@pytest.fixture
def folder(torch, twins, tmp_path):
    """The twins' checkpoints, each in another of the usual forms."""
    plain, wrapped, parallel = (twins[name].state_dict() for name in SUBJECTS)
    parallel = {f"module.{name}": value for name, value in parallel.items()}
    torch.save(plain, tmp_path / "006.pth")
    torch.save({"epoch": 7, "state_dict": wrapped}, tmp_path / "s15.pt")
    legacy = {"_use_new_zipfile_serialization": False}
    torch.save({"state_dict": parallel}, tmp_path / "sub01.pth.tar", **legacy)
    (tmp_path / "README.md").write_text("not a checkpoint")
    return tmp_path


def test_models_give_their_twins_logits(folder, twins, tmp_path):
    from twins.ststnet import image

    import_torch("ststnet", folder).save(tmp_path / "weights")
    weights = jmer.load_model(tmp_path / "weights")
    assert [task.fold for task in weights.tasks] == list(SUBJECTS)
    assert weights.classes == ("negative", "positive", "surprise")
    for subject in SUBJECTS:
        logits = weights.model(subject=subject)(FLOW)
        expected = twins[subject](image(FLOW)).detach().numpy()
        assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)


FORMS = {
    "under model": lambda state: {"model": state, "epoch": 149},
    "under any key": lambda state: {"net": state},
    "with an optimiser": lambda state: {
        "model": state,
        "optimizer": {"state": {0: {"exp_avg": state["fc.weight"]}}},
        "scaler": {"scale": 65536.0},
        "best": state["fc.bias"].sum(),
    },
    "with arguments": lambda state: {"model": state, "args": Namespace(lr=1e-3, k=[2])},
}


@pytest.mark.parametrize("form", FORMS)
def test_states_lie_where_scripts_put_them(torch, twins, tmp_path, form):
    state = twins["006"].state_dict()
    torch.save(FORMS[form](state), tmp_path / "006.pth")
    found = import_torch("ststnet", tmp_path).arrays["params.head.bias"][0]
    assert_array_equal(found, state["fc.bias"].numpy())


def test_arguments_beside_a_state_are_told(torch, tmp_path):
    said = Namespace(num_frames=6, name="a")
    torch.save({"model": {"x": torch.ones(2)}, "args": said}, tmp_path / "a.pth")
    found = read_checkpoint(tmp_path / "a.pth")
    assert found.told == {"num_frames": 6, "name": "a"}
    assert_array_equal(found.state["x"], [1, 1])


class Args(Namespace):
    """As a script may define its own."""


def test_arguments_of_a_kind_of_ones_own_are_refused(torch, twins, tmp_path):
    state = twins["006"].state_dict()
    torch.save({"model": state, "args": Args(lr=1e-3)}, tmp_path / "006.pth")
    with pytest.raises(JmerError, match=r"006\.pth cannot be read.* never run") as why:
        import_torch("ststnet", tmp_path)
    # PyTorch advises to run the file's code.
    assert "set `weights_only`" not in str(why.value) and "\x1b" not in str(why.value)
    assert "test_importers.Args" in str(why.value)


def test_places_among_the_arguments_are_no_code(torch, twins, tmp_path):
    told = Namespace(out=Path("runs"), lr=1e-3)
    file = tmp_path / "006.pth"
    torch.save({"model": twins["006"].state_dict(), "args": told}, file)
    assert len(import_torch("ststnet", tmp_path).tasks) == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_is_refused_by_name(torch, twins, tmp_path, value):
    state = twins["006"].state_dict()
    name = next(n for n in state if n.endswith("weight"))
    state[name] = state[name].clone()
    state[name].view(-1)[1] = value
    torch.save(state, tmp_path / "006.pth")
    with pytest.raises(JmerError, match=rf"{name} has values that are not finite"):
        import_torch("ststnet", tmp_path)


@pytest.mark.parametrize(
    ("extra", "shown"),
    [
        (["conv4.weight"], "conv4.weight"),
        (["bn4.num_batches_tracked"], "bn4.num_batches_tracked"),
        (["fc2.weight", "fc2.bias"], "fc2.weight, fc2.bias"),
        ([f"more.{i}" for i in range(7)], "more.0, more.1, more.2, more.3 and 3 more"),
    ],
    ids=str,
)
def test_what_nothing_takes_is_refused_by_name(torch, twins, tmp_path, extra, shown):
    state = twins["006"].state_dict() | {name: torch.ones(2) for name in extra}
    torch.save(state, tmp_path / "006.pth")
    with pytest.raises(JmerError, match=rf"006\.pth .*nothing takes {shown}, so it"):
        import_torch("ststnet", tmp_path)


def test_two_networks_in_a_file_are_refused_until_one_is_chosen(
    torch, twins, tmp_path, capsys
):
    one, other = (twins[name].state_dict() for name in SUBJECTS[:2])
    (tmp_path / "in").mkdir()
    file = tmp_path / "in" / "006.pth"
    torch.save({"model": one, "model_ema": other}, file)
    words = ["weights", "import", "ststnet", "--torch", str(file.parent)]
    words += ["--out", str(tmp_path / "out")]
    assert main(words) == 1
    assert "several networks: model, model_ema. Choose one with --key model" in (
        capsys.readouterr().err
    )
    assert main([*words, *["--key", "model"]]) == 0
    found = jmer.load_model(tmp_path / "out").arrays["params.head.bias"][0]
    assert_array_equal(found, one["fc.bias"].numpy())
    assert main([*words, "--key", "ema"]) == 1
    assert "under key=ema; it has some under model, model_ema" in (
        capsys.readouterr().err
    )
    torch.save({"model": one, "more": torch.ones(3)}, file)
    with pytest.raises(JmerError, match="several networks: model, more"):
        import_torch("ststnet", file.parent)
    doubled = {"a": torch.ones(2), "module.a": torch.ones(2)}
    torch.save(doubled, file)
    with pytest.raises(JmerError, match=r"006\.pth holds a twice"):
        read_checkpoint(file)


def test_each_fold_has_a_folder(torch, twins, tmp_path, capsys):
    for i, name in enumerate(SUBJECTS):
        home = tmp_path / "in" / f"num_{i}"
        home.mkdir(parents=True)
        torch.save({"model": twins[name].state_dict()}, home / "checkpoint-149.pth")
    words = ["weights", "import", "ststnet", "--torch", str(tmp_path / "in")]
    words += ["--out", str(tmp_path / "out")]
    assert main(words) == 0
    weights = jmer.load_model(tmp_path / "out")
    assert [task.fold for task in weights.tasks] == ["num_0", "num_1", "num_2"]
    assert weights.sources[1].startswith("num_1/checkpoint-149.pth sha256 ")
    assert kept_from_weights(weights, tmp_path / "out").clips is None
    last = twins[SUBJECTS[2]].state_dict()["fc.bias"].numpy()
    assert_array_equal(weights.arrays["params.head.bias"][2], last)
    torch.save({}, tmp_path / "in" / "num_1" / "checkpoint-49.pth")
    capsys.readouterr()
    assert main(words) == 1
    told = capsys.readouterr().err
    assert "num_1 has 2 checkpoints, checkpoint-149.pth, checkpoint-49.pth" in told
    assert main([*words, "--file", "checkpoint-149.pth"]) == 0
    assert main([*words, "--file", "best.pth"]) == 1
    assert "no .pth, .pt or .tar file called best.pth" in capsys.readouterr().err


def test_classes_can_be_named(torch, twins, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    torch.save(twins["006"].state_dict(), tmp_path / "in" / "006.pth")
    words = ["weights", "import", "ststnet", "--torch", str(tmp_path / "in")]
    words += ["--out", str(tmp_path / "out"), "--classes"]
    assert main([*words, "sad", "glad"]) == 1
    assert "ststnet with 3 classes, but 2 are named (sad, glad)" in (
        capsys.readouterr().err
    )
    assert main([*words, "sad", "glad", "else"]) == 0
    assert jmer.load_model(tmp_path / "out").classes == ("sad", "glad", "else")


def test_trunks_leave_their_head_and_nothing_else(torch, tmp_path):
    network = STANetConfig(frames=3, size=17, width=2, levels=1, lstm=3)
    state = replace(network, input="rgb").peer(3).state_dict()
    trunk = {n: v for n, v in state.items() if n.startswith(("conv1", "bn1", "layer"))}
    head = {"fc.weight": torch.ones(1000, 16), "fc.bias": torch.ones(1000)}
    torch.save(trunk | head, tmp_path / "trunk.pth")
    assert len(read_trunk(network, tmp_path / "trunk.pth")[0]) > 50
    for name in ("attention.weight", "layer5.0.conv1.weight", "fcn.weight"):
        torch.save(trunk | {name: torch.ones(2)}, tmp_path / "trunk.pth")
        with pytest.raises(JmerError, match=f"no trunk of stanet.*takes {name}"):
            read_trunk(network, tmp_path / "trunk.pth")


def test_a_trunk_is_read_by_its_network(torch, tmp_path):
    network = STANetConfig(frames=3, size=17, width=2, levels=1, lstm=3)
    state = replace(network, input="rgb").peer(3).state_dict()
    state = {n: v for n, v in state.items() if n.startswith(("conv1", "bn1", "layer"))}
    torch.save(state, tmp_path / "trunk.pth")
    arrays, digest = read_trunk(network, tmp_path / "trunk.pth")
    kernel = arrays["params.trunk.stages.1.0.first.conv.kernel"]
    expected = state["layer2.0.conv1.weight"].numpy().transpose(2, 3, 1, 0)
    assert_array_equal(kernel, expected)
    assert len(digest) == 16
    assert read_trunk(network, None) == ({}, "")
    torch.save({"fc.weight": state["bn1.weight"]}, tmp_path / "other.pth")
    with pytest.raises(JmerError, match=r"other.pth holds no trunk of stanet"):
        read_trunk(network, tmp_path / "other.pth")


def test_sources_name_each_file_and_its_content(folder):
    digest = hashlib.sha256((folder / "006.pth").read_bytes()).hexdigest()
    sources = import_torch("ststnet", folder).sources
    assert sources[0] == f"006.pth sha256 {digest}"
    assert len(sources) == len(set(sources)) == 3


class Trap:
    """Pickled code: creates a file when it is loaded as an object."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle", "hidden"])
def test_code_in_a_checkpoint_is_refused_and_does_not_run(torch, twins, tmp_path, form):
    sprung, file = tmp_path / "sprung", tmp_path / "006.pth"
    trap = Trap(sprung)
    if form == "pickle":
        file.write_bytes(pickle.dumps(trap, protocol=2))
    elif form == "hidden":
        torch.save(twins["006"].state_dict() | {"extra": trap}, file)
    else:
        torch.save(trap, file, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(JmerError, match=r"006\.pth cannot be read.* never run"):
        import_torch("ststnet", tmp_path)
    assert not sprung.exists()
    if form == "pickle":  # the trap is a real one
        pickle.loads(file.read_bytes())
        assert sprung.exists()


@pytest.mark.parametrize("keep", [0, 1, 10, 100, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("name", ["006.pth", "sub01.pth.tar"], ids=["zip", "legacy"])
def test_truncated_files_are_named(folder, name, keep):
    content = (folder / name).read_bytes()
    size = keep if isinstance(keep, int) else int(keep * len(content))
    (folder / name).write_bytes(content[:size])
    with pytest.raises(JmerError, match=f"{name} cannot be read.*damaged"):
        import_torch("ststnet", folder)


def test_bytes_that_are_no_checkpoint_are_named(torch, tmp_path):
    rng = np.random.default_rng(0)
    for size in range(3, 120):
        (tmp_path / "006.pth").write_bytes(rng.bytes(size))
        with pytest.raises(JmerError, match=r"006\.pth"):
            import_torch("ststnet", tmp_path)


def test_other_objects_are_no_checkpoint(torch, tmp_path):
    for content in (
        torch.ones(3),
        [torch.ones(3)],
        {},
        {"epoch": 3},
        7,
        {0: torch.ones(2)},
    ):
        torch.save(content, tmp_path / "006.pth")
        with pytest.raises(JmerError, match=r"006\.pth is no checkpoint of ststnet"):
            import_torch("ststnet", tmp_path)


def test_parameters_and_half_precision_become_float32_arrays(torch, twins, tmp_path):
    parameters = dict(twins["006"].named_parameters())  # these carry gradients
    torch.save(twins["006"].state_dict() | parameters, tmp_path / "006.pth")
    torch.save(twins["006"].state_dict(), tmp_path / "plain.pth")
    half = {k: v.bfloat16() for k, v in twins["006"].state_dict().items()}
    torch.save(half, tmp_path / "half.pth")
    for value in import_torch("ststnet", tmp_path).arrays.values():
        first, narrow, plain = value
        assert value.dtype == np.float32
        assert_array_equal(first, plain)
        assert_allclose(narrow, plain, rtol=2**-8)


def test_checkpoints_of_another_network_are_named(torch, tmp_path):
    torch.save(torch.nn.Linear(3, 2).state_dict(), tmp_path / "006.pth")
    with pytest.raises(
        JmerError, match=r"006\.pth is no checkpoint of ststnet.*weight"
    ):
        import_torch("ststnet", tmp_path)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("conv2.weight", (5, 3, 5, 5)),
        ("conv2.weight", (7, 3, 3, 3)),
        ("conv2.bias", (7,)),
        ("bn3.running_var", (8, 1)),
        ("fc.weight", (3, 399)),
        ("fc.weight", (7, 400)),
        ("fc.weight", (3, 16)),
        ("fc.weight", (3,)),
        ("fc.bias", (2,)),
    ],
    ids=str,
)
def test_tensors_of_a_wrong_shape_are_refused_by_file(
    torch, twins, folder, name, shape
):
    state = twins["006"].state_dict() | {name: torch.zeros(shape)}
    torch.save(state, folder / "006.pth")
    with pytest.raises(JmerError, match=r"006\.pth.* of (ststnet|another network)"):
        import_torch("ststnet", folder)


def test_all_streams_wider_are_another_network(torch, tmp_path):
    """Consistent in itself, and for a single file, but not of the paper's size."""
    from twins.ststnet import random_twin

    torch.save(random_twin(0, filters=(3, 5, 9)).state_dict(), tmp_path / "006.pth")
    with pytest.raises(JmerError, match=r"006\.pth.* of another network or size"):
        import_torch("ststnet", tmp_path)


def test_an_empty_folder_is_answered_with_what_to_give(tmp_path):
    with pytest.raises(JmerError, match=rf"{tmp_path} has no .pth.*006\.pth"):
        import_torch("ststnet", tmp_path)
    with pytest.raises(JmerError, match="nowhere"):
        import_torch("ststnet", tmp_path / "nowhere")


def test_an_unknown_network_is_answered_with_the_known(tmp_path):
    with pytest.raises(JmerError, match=r"'nonet'; there are: .*ststnet"):
        import_torch("nonet", tmp_path)


def test_a_missing_torch_is_answered_with_the_command(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "006.pth").write_bytes(b"")
    with pytest.raises(JmerError, match=r"pip install 'jmer\[torch\]'"):
        import_torch("ststnet", tmp_path)


def test_published_checkpoints_are_68_sets(ststnet_checkpoints, torch):
    weights = import_torch("ststnet", ststnet_checkpoints)
    assert len(weights.tasks) == len(weights.sources) == 68
    for path, value in weights.arrays.items():
        assert value.shape[0] == 68, path
        assert value.dtype == np.float32, path
        assert np.isfinite(value).all(), path
    per_task = [v[0].size for p, v in weights.arrays.items() if p.startswith("params.")]
    assert sum(per_task) == 1683
    assert weights.model(subject="006")(255 * abs(FLOW)).shape == (5, 3)
