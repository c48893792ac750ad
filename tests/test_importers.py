"""Published PyTorch checkpoints: read faithfully, or refused without running code."""

import hashlib
import pickle
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import jmer
from jmer.errors import JmerError
from jmer.models.stanet import STANetConfig
from jmer.runs.importers import import_torch, read_trunk

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


def test_a_trunk_is_read_by_its_network(torch, tmp_path):
    network = STANetConfig(frames=3, size=17, width=2, levels=1, lstm=3)
    state = replace(network, input="rgb").peer(3).state_dict()
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
