"""STANet against its plain PyTorch twin, small, and its numbers at the paper's size."""

import dataclasses
import functools

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from numeric import close, filled, first_of, normal
from numpy.testing import assert_allclose, assert_array_equal

from jmer import keys, trees
from jmer.augment import corner_crop
from jmer.errors import UsageError
from jmer.losses import cross_entropy, weighted_mean
from jmer.models.base import describe
from jmer.models.stanet import STANetConfig, frame_weight
from jmer.optim import AdamConfig
from jmer.train.checkpoint import flatten
from jmer.train.variants import parse_variant, with_values

SMALL = STANetConfig(frames=3, size=29, width=4, lstm=6, levels=1, lambda_l1=1e-3)
COLOURS = dataclasses.replace(SMALL, input="rgb")
CLASSES = 5
FLOW = normal(0, 7, 3, 29, 29, 2)
LABEL = np.arange(7, dtype=np.int32) % CLASSES
ONES = np.ones(7, np.float32)
KEY = keys.seed_key(0)
VERSION = jnp.zeros(7, int)
# Together they have every switch on and off; each costs seconds to compile.
ABLATIONS = {
    "paper": SMALL,
    "no-sab": dataclasses.replace(
        SMALL, sab=False, input="rgb", affinity_scale="rsqrt", summary="state"
    ),
    "no-tab": dataclasses.replace(SMALL, tab=False, mask="one", summary="last"),
    "forward": dataclasses.replace(
        SMALL, attended=3, directions="forward", affinity_scale="rsqrt"
    ),
}


@pytest.fixture(scope="module")
def twins():
    pytest.importorskip("torch")
    from twins import stanet

    return stanet


def split(config=SMALL, dtype=jnp.float32, seed=0):
    model = config.build(CLASSES, dtype=dtype, rngs=nnx.Rngs(params=seed))
    return nnx.split(model, nnx.Param, nnx.BatchStat)


def split_of(config, flat):
    """jmer's network with a twin's arrays."""
    return filled(*split(config), flat)


@functools.partial(jax.jit, static_argnums=0, static_argnames="train")
def explain(graphdef, params, stats, flow, *, train=False, weight=None):
    """Logits, what they came from, and the statistics afterwards."""
    model = nnx.merge(graphdef, params, stats, copy=True)
    logits, shown = model.explain(flow, train=train, weight=weight)
    return logits, shown, nnx.state(model, nnx.BatchStat)


@functools.partial(jax.jit, static_argnums=(0, 1))
def loss_gradients(config, graphdef, params, stats, flow, weight):
    """The loss and what the network gave it, and the gradients."""

    def objective(params):
        model = nnx.merge(graphdef, params, stats, copy=True)
        given = []

        class Seen:
            """The network, with its logits put aside."""

            def explain(self, *inputs, **options):
                given.append(model.explain(*inputs, **options))
                return given[-1]

        inputs = {"flow": flow}
        loss = config.loss(Seen(), inputs, LABEL, weight=weight, key=KEY)
        return loss, (*given[0], nnx.state(model, nnx.BatchStat))

    (loss, aux), gradients = jax.value_and_grad(objective, has_aux=True)(params)
    return loss, gradients, aux


@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        ({}, 12_883_332),
        ({"sab": False}, 12_883_332 - 1_050_496),
        ({"tab": False}, 12_883_332 - 657_408),
        ({"sab": False, "tab": False}, 11_175_428),
        ({"input": "rgb"}, 12_883_332 + 64 * 49),
    ],
)
def test_has_the_parameters_of_our_reading(options, parameters):
    """The paper prints no total. A ResNet-18 without head has 11,176,512; two channels
    in place of three are 3,136 fewer, and the head of four classes 2,052."""
    record = describe(STANetConfig(**options))
    assert record["parameters"] == record["trained"] == parameters
    assert record["input"] == "flow 19x192x192x2"


def test_twin_has_the_parameters_of_our_reading(twins):
    twin = STANetConfig().peer(4)
    assert sum(p.numel() for p in twin.parameters()) == 12_883_332


def test_shapes_at_the_size_of_the_paper():
    config = STANetConfig()

    def run(flow):
        model = config.build(4, dtype=jnp.bfloat16, rngs=nnx.Rngs(params=0))
        return model.explain(flow, train=True)

    shape = jax.ShapeDtypeStruct((2, *config.input_shapes[0]), jnp.float16)
    logits, shown = jax.eval_shape(run, shape)
    assert (logits.shape, logits.dtype) == ((2, 4), jnp.float32)
    assert shown["mask"].shape == shown["features"].shape == (2, 19, 24, 24, 128)
    assert shown["frame_weight"].shape == (2, 19)


def agree(found, expected, config):
    """The logits, mask and weights of both."""
    (logits, shown), (wanted, mask, weight) = found, expected
    close(logits, wanted.detach().numpy())
    assert ("mask" in shown) == config.sab
    assert ("frame_weight" in shown) == config.tab
    if config.sab:
        mask = mask.detach().movedim(1, -1).numpy()
        close(shown["mask"], mask.reshape(shown["mask"].shape))
    if config.tab:
        close(shown["frame_weight"], weight.detach().numpy())


@pytest.mark.parametrize("name", first_of(ABLATIONS, "paper"))
def test_evaluates_as_its_twin(twins, name):
    config = ABLATIONS[name]
    twin = twins.random_twin(config, CLASSES, seed=1)
    ours = split_of(config, twins.ours(twin.state_dict()))
    found, shown, stats = explain(*ours, FLOW)
    agree((found, shown), twin.explain(twins.channels_first(FLOW)), config)
    jax.tree.map(assert_array_equal, stats, ours[2])


@pytest.mark.parametrize("name", first_of(ABLATIONS, "paper"))
def test_trains_as_its_twin(twins, name):
    """Output, running statistics and gradients of a step.

    The twin computes in float64: in float32 its own rounding moves a value across a
    ReLU's kink in some runs, and its gradient by percents.
    """
    import torch

    config = ABLATIONS[name]
    twin = twins.random_twin(config, CLASSES, seed=2).train()
    ours = split_of(config, twins.ours(twin.state_dict()))
    loss, gradients, (*found, stats) = loss_gradients(config, *ours, FLOW, ONES)
    twin = twin.double()
    wanted = twin.explain(twins.channels_first(FLOW).double())
    agree(found, wanted, config)
    logits, mask, _ = wanted
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor(LABEL).long())
    if config.sab:
        expected = expected + config.lambda_l1 * mask.sum() / len(FLOW)
    expected.backward()
    assert_allclose(loss, expected.item(), rtol=1e-5)
    # Reordering is linear: a gradient goes through the import as its weight does.
    state = dict(twin.state_dict()) | {n: p.grad for n, p in twin.named_parameters()}
    wanted = twins.ours(state)
    found = flatten({"params": gradients, "stats": stats})
    assert found.keys() == wanted.keys()
    for path, value in found.items():
        rtol = 1e-4 if path.startswith("params.") else 1e-5
        atol = rtol * np.abs(wanted[path]).max()
        assert_allclose(value, wanted[path], rtol, atol, err_msg=path)


@pytest.mark.parametrize("kind", ["uv", "rgb"])
def test_the_trunk_starts_from_torchvisions(twins, kind):
    """The twin of coloured flow has torchvision's names and shapes of ResNet-18."""
    config = dataclasses.replace(SMALL, input=kind)
    twin = twins.random_twin(COLOURS, 1000, seed=3)
    state = {n: v for n, v in twins.arrays(twin.state_dict()).items() if "." in n}
    flat = config.trunk_from_torch(state)
    _, params, stats = split(config)
    template = flatten({"params": params, "stats": stats})
    trunk = {path for path in template if ".trunk." in path}
    assert set(flat) == trunk
    for path in trunk:
        assert flat[path].shape == template[path].shape
    whole = twins.ours(twin.state_dict())
    first = "params.trunk.stem.conv.kernel"
    for path in trunk - {first}:
        assert_array_equal(flat[path], whole[path])
    if kind == "rgb":
        assert_array_equal(flat[first], whole[first])
    else:
        mean = state["conv1.weight"].mean(1).transpose(1, 2, 0)
        for component in (0, 1):
            assert_allclose(flat[first][:, :, component], mean, rtol=1e-6, atol=1e-7)


def test_another_trunk_is_refused(twins):
    twin = twins.random_twin(COLOURS, CLASSES, seed=3)
    state = twins.arrays(twin.state_dict())
    deeper = state | {"layer1.2.conv1.weight": state["layer1.1.conv1.weight"]}
    with pytest.raises(ValueError, match="ResNet-18 of 4 channels"):
        SMALL.trunk_from_torch(deeper)
    with pytest.raises(ValueError, match="ResNet-18 of 64 channels"):
        STANetConfig().trunk_from_torch(state)


def test_frame_weights_are_equations_3_to_5():
    """Worked by hand: H^T H = [[1, 0, 1], [0, 4, 2], [1, 2, 2]], whose tanh has rows
    that sum to 2 tanh 1, tanh 4 + tanh 2 and tanh 1 + 2 tanh 2.
    """
    states = np.float32([[[1, 0], [0, 2], [1, 1]]])
    found = frame_weight(states, 1.0)
    assert_allclose(found, [[0.1735033, 0.2694452, 0.5570515]], rtol=1e-6)
    halved = frame_weight(states, 0.25)
    assert_allclose(halved, frame_weight(states / 2, 1.0), rtol=1e-6)
    assert_allclose(frame_weight(np.zeros((2, 5, 3), np.float32), 1.0), 0.2)


def test_a_frame_unlike_the_others_weighs_least_however_much_it_moves():
    states = np.float32([[[1, 0.1], [1, 0], [1, -0.1], [-3, 0]]])
    weight = frame_weight(states, 1.0)[0]
    assert weight.argmin() == 3
    longer = frame_weight(states * np.float32([[2], [1], [1], [1]]), 1.0)[0]
    assert longer.argmax() == 0


def test_a_constant_mask_costs_lambda_times_its_sum():
    logits = normal(1, 7, CLASSES)

    class Half:
        """A network whose mask is one half everywhere."""

        def explain(self, flow, **options):
            return logits, {"mask": jnp.full((7, 3, 4, 4, 8), 0.5)}

    def loss(weight, **fields):
        config = dataclasses.replace(SMALL, **fields)
        return config.loss(Half(), {"flow": FLOW}, LABEL, weight=weight, key=KEY)

    for weight in (ONES, np.float32([1, 0, 1, 1, 0, 0, 1])):
        entropy = weighted_mean(cross_entropy(logits, LABEL), weight)
        assert loss(weight, lambda_l1=0.0) == entropy
        assert loss(weight, sab=False) == entropy
        total = 3 * 4 * 4 * 8 / 2
        assert_allclose(loss(weight, lambda_l1=0.25), entropy + 0.25 * total, 1e-6)


@pytest.mark.parametrize("name", ["paper", "no-sab"])
def test_clips_of_another_subject_change_no_gradient(name):
    model = split(ABLATIONS[name])
    weight = np.float32([1, 0, 1, 1, 0, 1, 1])
    noisy = FLOW.copy()
    noisy[weight == 0] = 100 * FLOW[weight == 0] ** 3 + 7
    loss, gradients, (*_, stats) = loss_gradients(ABLATIONS[name], *model, FLOW, weight)
    others = loss_gradients(ABLATIONS[name], *model, noisy, weight)
    assert others[0] == loss
    jax.tree.map(assert_array_equal, others[1], gradients)
    jax.tree.map(assert_array_equal, others[2][-1], stats)


def test_order_of_clips_is_kept_and_changes_nothing():
    model = split()
    order = np.array([3, 0, 6, 1, 5, 2, 4])
    logits = explain(*model, FLOW)[0]
    assert_allclose(explain(*model, FLOW[order])[0], logits[order], 1e-5, 1e-6)


def test_tasks_together_are_tasks_alone():
    """Each with weights of its own, and clips of its own left out."""
    models = [split(seed=seed)[1:] for seed in range(2)]
    pack = jax.tree.map(lambda *leaves: jnp.stack(leaves), *models)
    weight = np.float32([[1, 0, 1, 1, 0, 1, 1], [1, 1, 0, 1, 1, 0, 1]])

    def run(states, weight):
        return explain(split()[0], *states, FLOW, train=True, weight=weight)

    together = jax.jit(jax.vmap(run))(pack, weight)
    for i, states in enumerate(models):
        close(trees.take(together, i), run(states, weight[i]), 1e-4)


def test_lowers_for_every_backend():
    graphdef, params, stats = split()
    step = functools.partial(loss_gradients, SMALL, graphdef)
    lowered = jax.export.export(jax.jit(step), platforms=("cpu", "cuda", "tpu"))
    shapes = jax.eval_shape(lambda: (params, stats))
    assert lowered(*shapes, FLOW, ONES).platforms == ("cpu", "cuda", "tpu")


@pytest.mark.parametrize("name", ["paper", "no-sab"])
@pytest.mark.parametrize("flow", [0 * FLOW, 1000 * FLOW], ids=["still", "wild"])
def test_gradients_are_finite(name, flow):
    config = ABLATIONS[name]
    loss, gradients, _ = loss_gradients(config, *split(config), flow, ONES)
    assert np.isfinite(loss)
    for path, value in flatten(gradients).items():
        assert np.isfinite(value).all(), path


def test_bfloat16_comes_near_float32():
    wide = explain(*split(), FLOW)[0]
    narrow = explain(*split(dtype=jnp.bfloat16), FLOW)[0]
    assert narrow.dtype == jnp.float32
    assert_allclose(narrow, wide, atol=0.05 * np.abs(wide).max())
    assert (narrow != wide).any()
    dtypes = {leaf.dtype for leaf in jax.tree.leaves(split(dtype=jnp.bfloat16)[1:])}
    assert dtypes == {jnp.dtype(jnp.float32)}


def test_training_sees_windows_of_the_clips():
    inputs = {"flow": FLOW}
    off = dataclasses.replace(SMALL, augmented=False)
    assert off.augment(inputs, KEY, VERSION) is inputs
    found = SMALL.augment(inputs, KEY, VERSION)["flow"]
    assert found.shape == FLOW.shape
    whole = dataclasses.replace(SMALL, crop=1.0, rescales=(1.0,))
    assert_array_equal(whole.augment(inputs, KEY, VERSION)["flow"], FLOW)
    turning = dataclasses.replace(whole, flip=True)
    mirrored = turning.augment(inputs, KEY, VERSION)["flow"]
    for clip, was in zip(mirrored, FLOW, strict=True):
        turned = was[:, :, ::-1] * np.float32([-1, 1])
        assert (clip == was).all() or (clip == turned).all()
    assert 0 < sum((clip != was).any() for clip, was in zip(mirrored, FLOW)) < 7  # noqa: B905


def test_every_crop_shows_each_window_once():
    config = dataclasses.replace(SMALL, every_crop=True)
    assert (SMALL.versions, config.versions) == (1, 15)
    one = np.broadcast_to(FLOW[:1], (15, *FLOW.shape[1:]))
    found = config.augment({"flow": one}, KEY, jnp.arange(15))["flow"]
    expected = [
        corner_crop(FLOW[:1], jnp.array([place]), 0.875, scale=scale, vectors=True)[0]
        for scale in (jnp.array([s]) for s in config.rescales)
        for place in range(5)
    ]
    assert_array_equal(found, expected)
    assert len({clip.tobytes() for clip in np.asarray(found)}) == 15


def test_every_crop_is_shown_mirrored_too():
    fields = {"every_crop": True, "flip": True, "rescales": (1.0,)}
    config = dataclasses.replace(SMALL, **fields)
    assert config.versions == 10
    one = np.broadcast_to(FLOW[:1], (10, *FLOW.shape[1:]))
    found = config.augment({"flow": one}, KEY, jnp.arange(10))["flow"]
    assert_array_equal(found[5:], found[:5, :, :, ::-1] * np.float32([-1, 1]))
    off = dataclasses.replace(config, augmented=False)
    assert off.versions == 1


def test_a_window_enlarges_a_steady_motion():
    steady = {"flow": np.broadcast_to(np.float32([2, -1]), FLOW.shape)}
    config = dataclasses.replace(SMALL, rescales=(1.1,))
    found = config.augment(steady, KEY, VERSION)["flow"]
    expected = np.float32([2, -1]) * 1.1 / 0.875
    assert_allclose(found, np.broadcast_to(expected, FLOW.shape), rtol=1e-5)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("frames", 0),
        ("size", 56),
        ("width", 0),
        ("lstm", 0),
        ("levels", -1),
        ("lambda_l1", -1e-8),
        ("lambda_l1", float("nan")),
        ("affinity_scale", "half"),
        ("input", "grey"),
        ("mask", "two"),
        ("crop", 0.0),
        ("crop", 0.95),
        ("rescales", ()),
        ("rescales", (0.9, -1.0)),
    ],
)
def test_bad_fields_are_refused_by_the_name_of_the_option(field, value):
    option = field.replace("_", "-")
    with pytest.raises(UsageError, match=rf"model\.{option}="):
        STANetConfig(**{field: value})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        # A place of the mask is of 32 pixels, and is halved three times.
        ({"attended": 4}, "size=192 must be at least 225 pixels for .*attended=4"),
        ({"attended": 3, "size": 112}, "size=112 must be at least 113 pixels"),
        ({"attended": 1, "size": 28}, "size=28 must be at least 29 pixels"),
        ({"attended": 5}, "attended=5 must be one of"),
        ({"summary": "state", "tab": False}, "summary=state must not be state without"),
        ({"directions": "backward"}, "directions=backward must be one of"),
    ],
)
def test_readings_that_do_not_fit_are_refused(fields, words):
    with pytest.raises(UsageError, match=words):
        STANetConfig(**fields)
    STANetConfig(attended=3, size=113)


@pytest.mark.parametrize(
    ("fields", "parameters"),
    [
        # Of the third stage, 256 channels: seven convolutions of 3x3 with batch norm,
        # and the mask, 7 (9 * 256 * 256 + 512) + 256 * 257, where there were 1,050,496.
        ({"attended": 3}, 12_883_332 - 1_050_496 + 4_132_352 + 65_792),
        # Half of the LSTM's 657,408.
        ({"directions": "forward"}, 12_883_332 - 328_704),
        # A head of 256 values, not of 512, for four classes.
        ({"summary": "state"}, 12_883_332 - 4 * 256),
        ({"summary": "last"}, 12_883_332),
    ],
)
def test_other_readings_have_other_parameters(fields, parameters):
    assert describe(STANetConfig(**fields))["parameters"] == parameters


def test_the_smallest_frame_has_logits():
    config = dataclasses.replace(SMALL, size=9, frames=1)
    flow = FLOW[:, :1, :9, :9]
    assert np.isfinite(explain(*split(config), flow, train=True)[0]).all()


def test_variants_may_differ_in_the_penalty():
    class Known:
        """A network that gives the same logits and mask for whatever clips."""

        def explain(self, flow, **options):
            mask = jnp.full((2, 3, 4, 4, 8), 0.5)
            return jnp.zeros((2, CLASSES)), {"mask": mask}

    def loss(penalty):
        changed = with_values(SMALL, "model", {"model.lambda_l1": penalty})
        inputs = {"flow": FLOW[:2]}
        return changed.loss(Known(), inputs, LABEL[:2], weight=ONES[:2], key=KEY)

    found = jax.vmap(loss)(jnp.array([0.0, 1e-3]))
    assert_allclose(found[1] - found[0], 1e-3 * 0.5 * 3 * 4 * 4 * 8, rtol=1e-5)
    fields = {"optim": AdamConfig(lr=1.0), "model": SMALL}
    assert parse_variant("model.lambda-l1=1e-8", fields) == {"model.lambda_l1": 1e-8}
