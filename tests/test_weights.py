"""Weights on disk: the same to the bit, or a clear refusal."""

import json

import jax
import numpy as np
import pytest
from flax import nnx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import jmer
from jmer.errors import JmerError
from jmer.files import write_json
from jmer.models.ststnet import STSTNetConfig
from jmer.runs.weights import ARRAYS, INDEX, Weights
from jmer.train.checkpoint import flatten
from jmer.train.tasks import Task

CONFIG = STSTNetConfig(size=7, filters=(2, 3), dropout=0.25)
TASKS = (Task(0, "s1"), Task(0, "s2"), Task(1, "s1"), Task(0, "s3"), Task(0, "s3", 1))
FLOW = np.random.default_rng(0).normal(size=(11, 7, 7, 3)).astype(np.float32)


def make_weights(config=CONFIG, classes=("a", "b")):
    rng = np.random.default_rng(0)
    model = config.build(len(classes), dtype=np.float32, rngs=nnx.Rngs(params=0))
    _, params, stats = nnx.split(model, nnx.Param, nnx.BatchStat)
    shapes = flatten({"params": params, "stats": stats})
    return Weights(
        config=config,
        classes=classes,
        tasks=TASKS,
        arrays={
            path: rng.uniform(0.1, 1, (len(TASKS), *v.shape)).astype(np.float32)
            for path, v in shapes.items()
        },
        sources=("made up",),
    )


@pytest.fixture
def folder(tmp_path):
    make_weights().save(tmp_path / "weights")
    return tmp_path / "weights"


def test_saving_and_loading_changes_no_bit(folder):
    saved, loaded = make_weights(), jmer.load_model(folder)
    assert list(loaded.arrays) == list(saved.arrays)
    for path, value in saved.arrays.items():
        assert loaded.arrays[path].dtype == value.dtype
        assert loaded.arrays[path].tobytes() == value.tobytes()
    for name in ("config", "classes", "tasks", "sources"):
        assert getattr(loaded, name) == getattr(saved, name)
    assert {f.name for f in folder.iterdir()} == {INDEX, ARRAYS}


def test_parameters_of_one_training_are_nested_arrays(folder):
    weights = jmer.load_model(str(folder))
    params = weights.params(subject="s1", seed=1)
    assert {name: set(part) for name, part in params.items()} == {
        "block": {"conv", "norm"},
        "head": {"kernel", "bias"},
    }
    assert {name: set(part) for name, part in params["block"].items()} == {
        "conv": {"kernel", "bias"},
        "norm": {"scale", "bias"},
    }
    assert isinstance(params["block"]["conv"]["kernel"], np.ndarray)
    assert_array_equal(
        params["block"]["conv"]["kernel"], weights.arrays["params.block.conv.kernel"][2]
    )


def test_a_model_is_its_own_trainings(folder):
    """Parameters and statistics are those of the row, whatever else is loaded."""
    weights = jmer.load_model(folder)
    for row, task in enumerate(weights.tasks):
        model = weights.model(subject=task.fold, seed=task.seed, variant=task.variant)
        logits = model(FLOW)
        assert (logits.shape, logits.dtype) == ((11, 2), np.float32)
        found = flatten(dict(zip(("params", "stats"), split(model), strict=True)))
        assert set(found) == set(weights.arrays)
        for path, value in found.items():
            assert_array_equal(value, weights.arrays[path][row])
    assert_array_equal(logits, model(FLOW))


def split(model):
    return nnx.split(model, nnx.Param, nnx.BatchStat)[1:]


def test_one_subject_of_several_seeds_needs_the_seed(folder):
    weights = jmer.load_model(folder)
    weights.params(subject="s2")
    weights.params(subject="s3", variant=1)
    with pytest.raises(
        JmerError, match=r"2 trainings have subject='s1'.*Seeds: \[0, 1\]"
    ):
        weights.params(subject="s1")


@pytest.mark.parametrize("method", ["params", "model"])
def test_unknown_subjects_are_answered_with_the_known(folder, method):
    with pytest.raises(JmerError, match=r"'nobody'.*Subjects: s1, s2, s3\."):
        getattr(jmer.load_model(folder), method)(subject="nobody")


@pytest.mark.parametrize("file", [INDEX, ARRAYS])
def test_missing_files_are_named_with_a_remedy(folder, file):
    (folder / file).unlink()
    with pytest.raises(JmerError, match=rf"{folder}.*import") as error:
        jmer.load_model(folder)
    assert file in str(error.value)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(JmerError, match="nowhere"):
        jmer.load_model(tmp_path / "nowhere")


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "an array"])
def test_damaged_arrays_are_named_with_a_remedy(folder, damage):
    file = folder / ARRAYS
    content = file.read_bytes()
    if damage == "an array":
        with file.open("wb") as stream:
            np.save(stream, np.ones(3))
    else:
        file.write_bytes({"cut": content[:-40], "empty": b"", "text": b"hello"}[damage])
    with pytest.raises(JmerError, match=rf"{folder}.*import them again"):
        jmer.load_model(folder)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_no_flipped_byte_gets_through_unseen(tmp_path, data):
    """Either an error that a user can read, or the arrays as they were."""
    weights = make_weights()
    weights.save(tmp_path)
    content = bytearray((tmp_path / ARRAYS).read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    (tmp_path / ARRAYS).write_bytes(content)
    try:
        loaded = jmer.load_model(tmp_path)
        loaded.states()
    except JmerError:
        return
    for path, value in weights.arrays.items():
        assert loaded.arrays[path].tobytes() == value.tobytes()


@pytest.mark.parametrize(
    "change",
    [
        {"network": "nonet"},
        {"fields": {"widths": 3}},
        {"fields": {"size": 1}},
        {"tasks": [{"seed": 0}]},
        {"tasks": None},
    ],
    ids=str,
)
def test_damaged_index_is_an_error_that_can_be_read(folder, change):
    index = json.loads((folder / INDEX).read_text())
    (folder / INDEX).write_text(json.dumps(index | change))
    with pytest.raises(JmerError):
        jmer.load_model(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "{}"])
def test_an_index_that_is_none_is_an_error_that_can_be_read(folder, text):
    (folder / INDEX).write_text(text)
    with pytest.raises(JmerError, match=str(folder)):
        jmer.load_model(folder)


def test_arrays_of_another_size_are_refused(folder):
    index = json.loads((folder / INDEX).read_text())
    index["fields"]["filters"] = [2, 5]
    write_json(folder / INDEX, index)
    with pytest.raises(JmerError, match=r"params\..* of another network or size"):
        jmer.load_model(folder).model(subject="s2")


def test_a_published_file_holds_no_code(folder):
    """Arrays of objects, which only a pickle can hold, are refused."""
    arrays = make_weights().arrays | {
        "params.block.conv.bias": np.array([print], object)
    }
    with (folder / ARRAYS).open("wb") as stream:
        np.savez(stream, **arrays)
    with pytest.raises(JmerError, match="pickle"):
        jmer.load_model(folder)


def test_models_run_inside_jit(folder):
    model = jmer.load_model(folder).model(subject="s2")
    graphdef, state = nnx.split(model)
    jitted = jax.jit(lambda state, flow: nnx.merge(graphdef, state)(flow))
    np.testing.assert_allclose(jitted(state, FLOW), model(FLOW), rtol=1e-5, atol=1e-6)
