"""HSTA against its plain PyTorch twin, tiny; its counts at the paper's size."""

import dataclasses
import functools
from argparse import Namespace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from numeric import close, first_of
from numpy.testing import assert_allclose, assert_array_equal
from small_hsta import TINY

import jmer
from data_builders.casme_cubed import CasmeCubed
from jmer import keys
from jmer.cli import main
from jmer.errors import JmerError, UsageError
from jmer.experiment import load_experiment
from jmer.losses import squared_error, weighted_mean
from jmer.models.base import describe, network
from jmer.models.hsta import HstaConfig, Stream
from jmer.nn.frames import drawn, spread
from jmer.preprocess.temporal import uniform
from jmer.runs.importers import Reading, import_torch
from jmer.train.checkpoint import flatten, unflatten

EXPERIMENTS = Path(__file__).resolve().parent.parent / "experiments"
PAPER = HstaConfig()
SWITCHES = {
    "two layers": {"depth": (2, 1, 2)},
    "more special": {"depth": (1, 2, 1)},
    "a1": {"depth": (1, 0, 0), "csta": False},
    "a2": {"depth": (1, 0, 0)},
    "a3": {"depth": (1, 0, 1), "csta": False},
    "a4": {"depth": (1, 1, 0), "csta": False},
    "a5": {"csta": False},
    "clip alone": {"streams": "v", "csta": False},
    "special alone": {"streams": "s", "csta": False},
    "without perceptron": {"usta_mlp": False},
    "equal widths": {"dim_s": 12, "patch_s": 4},
    "larger special": {"special_size": 18, "streams": "s", "csta": False},
    "smaller special": {"special_size": 7},
    "squared error": {"objective": "mse", "streams": "v", "csta": False},
}
RNG = np.random.default_rng(0)
CLIPS = 5
CLIP = RNG.integers(0, 256, (CLIPS, 4, 13, 13, 3), dtype=np.uint8)
SPECIAL = RNG.integers(0, 256, (CLIPS, 2, 13, 13, 3), dtype=np.uint8)
LABEL = np.int32([0, 3, 1, 4, 2])
ONES = np.ones(CLIPS, np.float32)
KEY = keys.named(keys.seed_key(0), "s1")


def switched(name):
    return dataclasses.replace(TINY, **SWITCHES[name])


@pytest.fixture(scope="module")
def twins():
    """PyTorch networks under the names of the authors' code; skips without PyTorch."""
    pytest.importorskip("torch")
    from twins import hsta

    return hsta


@functools.cache
def split(config=TINY, dtype=jnp.float32):
    """A network whose arrays are random, and none of them trivial."""
    model = nnx.eval_shape(
        lambda: config.build(5, dtype=dtype, rngs=nnx.Rngs(params=0))
    )
    graphdef, params, stats = nnx.split(model, nnx.Param, nnx.BatchStat)
    rng = np.random.default_rng(1)
    params = jax.tree.map(
        lambda x: rng.normal(size=x.shape).astype(x.dtype) * x.shape[0] ** -0.5, params
    )
    return graphdef, params, stats


def split_of(twin, twins, config):
    """jmer's network with a twin's arrays."""
    graphdef, params, stats = split(config)
    flat = config.from_torch(twins.arrays(twin.state_dict()))
    template = {"params": params}
    assert set(flat) == set(flatten(template))
    for path, value in flatten(template).items():
        assert (flat[path].shape, flat[path].dtype) == (value.shape, value.dtype), path
    return graphdef, unflatten(template, flat, Path("twin"))["params"], stats


@functools.partial(jax.jit, static_argnums=0, static_argnames="train")
def forward(graphdef, params, stats, clip, special, *, train=False, key=None):
    model = nnx.merge(graphdef, params, stats)
    return model(clip, special, train=train, key=key)


@functools.partial(jax.jit, static_argnums=(0, 1))
def loss_gradients(config, graphdef, params, stats, clip, special, weight, key=KEY):
    """Loss and logits in training, and gradients."""
    inputs = {"clip": clip, "special": special}

    def objective(params):
        model = nnx.merge(graphdef, params, stats, copy=True)
        loss = config.loss(model, inputs, LABEL, weight=weight, key=key)
        return loss, config.apply(model, inputs, train=True, key=key)

    return jax.value_and_grad(objective, has_aux=True)(params)


# --- counts and shapes


def test_describes_the_network_of_the_authors_code():
    """The paper prints no total; this one is of their network, built and counted."""
    record = describe(PAPER)
    assert record["parameters"] == record["trained"] == 81_887_623
    assert record["input"] == "clip 6x224x224x3, special 2x224x224x3"
    assert "Hao" in record["paper"]


@functools.cache
def sizes(config):
    """Parameters of each part, by the first names of its path."""
    model = nnx.eval_shape(
        lambda: config.build(7, dtype=jnp.float32, rngs=nnx.Rngs(params=0))
    )
    return {path: leaf.size for path, leaf in nnx.to_flat_state(nnx.state(model))}


@pytest.mark.parametrize(
    ("part", "count"),
    [
        (("layers", 0, "usta", "special", 0), 1_774_080),
        (("layers", 0, "usta", "video", 1), 7_087_104),
        (("layers", 3, "csta"), 4_142_592),
        (("streams", "special", "embed"), 332_160),
        (("streams", "video", "embed"), 1_180_416),
        (("streams", "video", "token"), 768),
        (("head",), 1152 * 7 + 7),
    ],
    ids=str,
)
def test_parameters_of_each_part(part, count):
    found = [n for path, n in sizes(PAPER).items() if path[: len(part)] == part]
    assert sum(found) == count


@pytest.mark.parametrize(
    ("fields", "count"),
    [
        ({"dim_s": 768, "patch_s": 16}, 115_806_727),
        ({"dim_v": 384, "patch_s": 16}, 29_591_815),
        # 8 d^2 + 5 d of two linear layers, 2 d of a norm, for each unit.
        ({"usta_mlp": False}, 81_887_623 - 8 * 4_723_968 - 4 * 1_182_336),
        ({"csta": False}, 81_887_623 - 4 * 4_142_592),
    ],
    ids=str,
)
def test_parameters_of_the_options(fields, count):
    assert describe(HstaConfig(**fields))["parameters"] == count


@pytest.mark.parametrize(
    "fields", [{}, {"special_size": 240, "depth": (1, 1, 2)}], ids=str
)
def test_shapes_at_the_papers_size(fields):
    config = HstaConfig(**fields)

    def explained(clip, special):
        model = config.build(7, dtype=jnp.bfloat16, rngs=nnx.Rngs(params=0))
        return model.explain(clip, special)

    shapes = [jax.ShapeDtypeStruct((2, *s), jnp.uint8) for s in config.input_shapes]
    logits, maps = jax.eval_shape(explained, *shapes)
    assert (logits.shape, logits.dtype) == ((2, 7), jnp.float32)
    n, side = config.layers, 20 if fields else 18
    assert {place: m.shape for place, m in maps.items()} == {
        "special": (2, n, 12, 1, side, side),
        "video": (2, 2 * n, 12, 3, 14, 14),
        "special_over_video": (2, n, 12, 3, 14, 14),
        "video_over_special": (2, n, 12, 1, side, side),
    }
    assert {m.dtype for m in maps.values()} == {jnp.dtype(jnp.float32)}


def test_starts_as_the_authors_network_does():
    """Narrow weights, no biases, norms of scale 1; patches as PyTorch's convolution."""
    config = dataclasses.replace(TINY, dim_v=24, dim_s=36)
    params = jax.jit(
        lambda: nnx.state(config.build(5, dtype=jnp.float32, rngs=nnx.Rngs(params=0)))
    )()
    for path, value in flatten({"params": params}).items():
        if "embed" in path:
            bound = (2 * 16 * 3 if "video" in path else 2 * 36 * 3) ** -0.5
            assert 0.9 * bound < abs(value).max() <= bound, path
        elif path.endswith(("kernel", "token")):
            assert 0.01 < value.std() < 0.03, path
        else:
            assert_array_equal(value, float(path.endswith("scale")), path)


# --- parity


@pytest.mark.parametrize("switch", ["two layers", "smaller special", "a2"])
def test_evaluates_as_its_twin(twins, switch):
    config = switched(switch)
    twin = twins.random_twin(config, 1)
    logits = forward(*split_of(twin, twins, config), CLIP, SPECIAL)
    expected = twin(twins.seen(CLIP), twins.seen(SPECIAL)).detach().numpy()
    close(logits, expected, 1e-5)


@pytest.mark.parametrize("switch", first_of(SWITCHES, "two layers"))
def test_trains_as_its_twin(twins, switch):
    """Logits, loss and gradients of a step, without dropout."""
    import torch

    config = switched(switch)
    twin = twins.random_twin(config, 2)
    graphdef, *states = split_of(twin, twins, config)
    (loss, ours), gradients = loss_gradients(
        config, graphdef, *states, CLIP, SPECIAL, ONES
    )
    logits = twin.train()(twins.seen(CLIP), twins.seen(SPECIAL))
    label = torch.tensor(LABEL).long()
    if config.objective == "mse":
        one_hot = torch.nn.functional.one_hot(label, 5).float()
        expected = torch.nn.functional.mse_loss(logits.softmax(-1), one_hot)
    else:
        expected = torch.nn.functional.cross_entropy(logits, label)
    expected.backward()
    close(ours, logits.detach().numpy(), 1e-5)
    assert_allclose(loss, expected.item(), rtol=1e-5)
    # Reordering is linear: a gradient goes through the import as its weight does. What
    # no class token depends on has none.
    state = {
        name: torch.zeros_like(p) if p.grad is None else p.grad
        for name, p in twin.named_parameters()
    }
    flat = config.from_torch(twins.arrays(state))
    whole = max(np.abs(value).max() for value in flat.values())
    for path, value in flatten({"params": gradients}).items():
        # A bias of keys has a gradient of 0, of which rounding remains.
        atol = 1e-4 * np.abs(flat[path]).max() + 1e-7 * whole
        assert_allclose(value, flat[path], 1e-4, atol, err_msg=path)


def test_a_checkpoint_of_the_authors_code_is_read(twins):
    """The names of their file, written out here, not taken from the twin."""
    config = switched("two layers")
    arrays = twins.arrays(twins.random_twin(config, 3).state_dict())
    unit = ["norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias"]
    unit += ["attn.qkv.weight", "attn.q_bias", "attn.v_bias"]
    unit += ["attn.proj.weight", "attn.proj.bias"]
    unit += [f"mlp.fc{i}.{kind}" for i in (1, 2) for kind in ("weight", "bias")]
    names = {"head.weight", "head.bias"}
    for branch, units in ((0, 1), (1, 2)):
        names |= {f"cls_token.{branch}"}
        for kind in ("weight", "bias"):
            names |= {f"patch_embed.{branch}.proj.{kind}", f"norm.{branch}.{kind}"}
        for n in range(2):
            blocks = f"blocks.{n}"
            for i in range(units):
                names |= {f"{blocks}.blocks.{branch}.{i}.{name}" for name in unit}
            for kind in ("weight", "bias"):
                for place in ("projs", "revert_projs"):
                    names |= {f"{blocks}.{place}.{branch}.{i}.{kind}" for i in (0, 2)}
                fusion = f"{blocks}.fusion.{branch}"
                names |= {f"{fusion}.norm1.{kind}"}
                for name in ("wq", "wk", "wv", "proj"):
                    names |= {f"{fusion}.attn.{name}.{kind}"}
    assert set(arrays) == names
    assert set(config.from_torch(arrays)) == set(flatten({"params": split(config)[1]}))
    del arrays["blocks.1.projs.0.2.weight"]
    with pytest.raises(KeyError):
        config.from_torch(arrays)


OFFICIAL = {
    "1 1 2": ({"depth": (1, 1, 2)}, ["--model.heads", "3"]),
    "2 1 2": ({"depth": (2, 1, 2)}, ["--model.heads", "3"]),
    "3 2 1": ({"depth": (3, 2, 1)}, ["--model.heads=3"]),
    # 64 features a head, as in all of the authors' networks: nothing is asked for.
    "2 1 2 wide": (
        {"depth": (2, 1, 2), "dim_v": 64, "dim_s": 64, "heads": 1, "mlp_ratio": 3},
        [],
    ),
}


@pytest.mark.parametrize("name", OFFICIAL)
def test_checkpoints_are_imported_as_their_authors_save_them(
    twins, tmp_path, capsys, name
):
    """`num_K/checkpoint-149.pth`, with the arguments of the script inside."""
    import torch

    fields, words = OFFICIAL[name]
    config = dataclasses.replace(TINY, **fields)
    made = [twins.random_twin(config, i, classes=7) for i in range(2)]
    args = Namespace(
        num_frames=4,
        short_side_size=13,
        drop=0.2,
        drop_path=0.2,
        model="cross_uni_hsta_base_224",
        opt_betas=[0.9, 0.999],
        use_emothion_or_objective_class_as_label="emothion",
    )
    for i, twin in enumerate(made):
        optimizer = torch.optim.AdamW(twin.parameters())
        twin(twins.seen(CLIP), twins.seen(SPECIAL)).sum().backward()
        optimizer.step()
        (tmp_path / "in" / f"num_{i}").mkdir(parents=True)
        torch.save(
            {
                "model": twin.state_dict(),
                "optimizer": optimizer.state_dict(),
                "epoch": 149,
                "scaler": {"scale": 65536.0, "_growth_tracker": 0},
                "args": args,
            },
            tmp_path / "in" / f"num_{i}" / "checkpoint-149.pth",
        )
    out = str(tmp_path / "out")
    command = ["weights", "import", "hsta", "--torch", str(tmp_path / "in")]
    if words:
        assert main([*command, "--out", out]) == 2
        assert "Say the rest with --model.FIELD, such as --model.heads" in (
            capsys.readouterr().err
        )
    assert main([*command, "--out", out, *words]) == 0
    weights = jmer.load_model(out)
    expected = dataclasses.replace(config, dropout=0.2, drop_path=0.2)
    assert weights.config == expected
    # The order of the authors' labels (`my_utils.py`).
    assert weights.classes == (
        *("others", "disgust", "surprise", "fear", "anger", "sad", "happy"),
    )
    for i, twin in enumerate(made):
        model = weights.model(subject=f"num_{i}")
        logits = forward(*nnx.split(model, nnx.Param, nnx.BatchStat), CLIP, SPECIAL)
        wanted = twin(twins.seen(CLIP), twins.seen(SPECIAL)).detach().numpy()
        close(logits, wanted, 1e-5)


@pytest.mark.parametrize("switch", SWITCHES)
def test_arrays_tell_every_size(twins, switch):
    config = switched(switch)
    state = twins.arrays(twins.random_twin(config, 1).state_dict())
    found = dataclasses.replace(TINY, **config.fields_of(state, {}))
    units = {"special": found.ls - config.ls, "video": found.lv - config.lv}
    assert found.layers == config.layers
    assert [units[name] for name in config.kept] == [0] * len(config.kept)
    assert found.kept == config.kept
    assert set(found.from_torch(state)) == set(config.from_torch(state))


@pytest.mark.parametrize(
    "extra",
    [
        "blocks.0.blocks.0.1.norm1.weight",  # a unit of which the rest is missing
        "blocks.7.fusion.0.norm1.bias",
        "pos_embed",
        "patch_embed.2.proj.weight",
        "head_dist.weight",
    ],
)
def test_what_hsta_has_no_place_for_is_refused(twins, tmp_path, extra):
    import torch

    state = twins.random_twin(TINY, 1, classes=7).state_dict()
    torch.save({"model": state | {extra: torch.ones(3)}}, tmp_path / "a.pth")
    fields = {"heads": 3, "size": 13, "num_frames": 4}
    with pytest.raises(JmerError, match=r"a\.pth is no checkpoint of hsta"):
        import_torch("hsta", tmp_path, Reading(fields))


def test_other_labels_of_a_checkpoint():
    """`get_casme3_label` of the authors' `my_utils.py`."""
    told = {"use_emothion_or_objective_class_as_label": "objective_class"}
    assert PAPER.classes_of(told) == ("I", "II", "III", "IV", "V", "VI", "VII")
    assert PAPER.classes_of({}) == CasmeCubed().class_names
    objective = CasmeCubed(classes="objective").class_names
    assert PAPER.classes_of(told) == objective


def test_fused_attention_of_the_tuned_twin_is_the_same_function(twins):
    plain = twins.random_twin(TINY, 4)
    tuned = TINY.peer(5, tuned=True).eval()
    tuned.load_state_dict(plain.state_dict())
    seen = twins.seen(CLIP), twins.seen(SPECIAL)
    close(tuned(*seen).detach().numpy(), plain(*seen).detach().numpy(), 1e-5)


# --- what it is made of


def test_csta_replaces_the_class_token_and_leaves_patches_alone():
    graphdef, *state = split(dataclasses.replace(TINY, depth=(1, 0, 0)))
    shapes = {"special": (CLIPS, 5, 6), "video": (CLIPS, 19, 12)}
    tokens = {n: RNG.normal(size=s).astype(np.float32) for n, s in shapes.items()}

    @jax.jit
    def both(state, tokens):
        """What the layer makes of tokens, and what its part makes of the first ones."""
        layer = nnx.merge(graphdef, *state).layers[0]
        pairs = ("special", "video"), ("video", "special")
        alone = {a: layer.csta[a](tokens[a][:, :1], tokens[b]) for a, b in pairs}
        after = layer({name: Stream(x, None) for name, x in tokens.items()})
        return {name: stream.x for name, stream in after.items()}, alone

    after, alone = both(state, tokens)
    for name, expected in alone.items():
        assert_array_equal(after[name][:, 1:], tokens[name][:, 1:])
        # No residual: what becomes of it went through the other stream's width.
        assert_array_equal(after[name][:, :1], expected)
        assert (abs(expected - tokens[name][:, :1]) > 1e-3).any()


def test_without_attention_the_logits_are_constant():
    logits = forward(*split(switched("a1")), CLIP, SPECIAL)
    assert_array_equal(logits, np.broadcast_to(logits[:1], logits.shape))
    assert np.ptp(forward(*split(switched("a2")), CLIP, SPECIAL), axis=0).min() > 0


@pytest.mark.parametrize(
    ("switch", "changes", "same"),
    [("clip alone", CLIP, SPECIAL), ("special alone", SPECIAL, CLIP)],
    ids=["clip", "special"],
)
def test_a_stream_alone_sees_nothing_of_the_other(switch, changes, same):
    def logits(noisy):
        frames = [255 - f if f is noisy else f for f in (CLIP, SPECIAL)]
        return forward(*split(switched(switch)), *frames)

    before = forward(*split(switched(switch)), CLIP, SPECIAL)
    assert_array_equal(logits(same), before)
    assert (logits(changes) != before).any()


def test_layers_above_count_down_to_the_head():
    config = HstaConfig(depth=(3, 1, 2))
    expected = {"head": 0, "norms": 0}
    for path in sizes(config):
        if path[0] == "layers":
            wanted = {0: 3, 1: 2, 2: 1}[path[1]]
        elif path[0] == "streams":
            wanted = 0 if path[2] == "token" else 4
        else:
            wanted = expected[path[0]]
        assert config.layers_above(tuple(map(str, path))) == wanted, path


# By hand, after `VisionTransformer` and `MultiScaleBlock` of the authors' code: their
# list has a rate for each video unit; a layer takes as many of it as its longer stream
# has units, from where the last one stopped; a special unit without a rate empties the
# layer's list for the video too.
RATES = {
    "1 2": ((1, 2), [[0.0], [0.1], [0.2]], [[0, 0.05], [0.1, 0.15], [0.2, 0.25]]),
    "b8": ((2, 1), [[0, 0.125], [0.25, 0], [0, 0]], [[0], [0], [0]]),
    "b10": ((3, 1), [[0, 0.125, 0.25], [0] * 3, [0] * 3], [[0], [0], [0]]),
    "b11": (
        (3, 2),
        [[0, 0.05, 0.1], [0.15, 0.2, 0.25], [0, 0, 0]],
        [[0, 0.05], [0.15, 0.2], [0, 0]],
    ),
    "b3": ((1, 1), [[0], [0.125], [0.25]], [[0], [0.125], [0.25]]),
    "no video units": ((2, 0), [[0, 0]] * 3, [[]] * 3),
}


@pytest.mark.parametrize("name", RATES)
def test_rates_of_stochastic_depth_are_those_of_the_authors_code(name):
    (ls, lv), special, video = RATES[name]
    config = HstaConfig(depth=(3, ls, lv), drop_path=0.25)
    for n in range(3):
        rates = config.depth_rates(n)
        assert_allclose(rates["special"], special[n], atol=1e-12)
        assert_allclose(rates["video"], video[n], atol=1e-12)


def test_other_rates_of_stochastic_depth():
    """Rows b8 and a stream alone, by other rules."""
    b8 = HstaConfig(depth=(3, 2, 1), drop_path=0.25, drop_path_rates="by-unit")
    found = [b8.depth_rates(n) for n in range(3)]
    special = [rates["special"] for rates in found]
    assert_allclose(special, [[0, 0.05], [0.1, 0.15], [0.2, 0.25]])
    assert_allclose([r["video"] for r in found], [[0], [0.1], [0.2]])
    before = dataclasses.replace(b8, drop_path_rates="video")
    found = [before.depth_rates(n) for n in range(3)]
    assert_allclose([r["special"] for r in found], [[0, 0], [0.125, 0], [0.25, 0]])
    assert_allclose([r["video"] for r in found], [[0], [0.125], [0.25]])
    alone = HstaConfig(depth=(1, 3, 0), csta=False, streams="s", drop_path=0.25)
    assert_allclose(alone.depth_rates(0)["special"], [0, 0.125, 0.25])
    before = dataclasses.replace(alone, drop_path_rates="video")
    assert_allclose(before.depth_rates(0)["special"], [0, 0, 0])


@pytest.mark.parametrize("rule", ["authors", "by-unit", "video"])
@pytest.mark.parametrize("depth", [(3, 2, 1), (2, 3, 2), (2, 1, 2), (1, 3, 0)])
def test_rates_are_the_twins(twins, depth, rule):
    alone = {"csta": False, "streams": "s"} if not depth[2] else {}
    config = dataclasses.replace(TINY, depth=depth, drop_path=0.4, **alone)
    config = dataclasses.replace(config, drop_path_rates=rule)
    for n, layer in enumerate(twins.random_twin(config, 1).blocks):
        rates = config.depth_rates(n)
        for name, branch in (("special", "0"), ("video", "1")):
            if name in config.kept:
                theirs = [unit.rate for unit in layer.blocks[branch]]
                assert_allclose(theirs, rates[name], atol=1e-12)


def test_runs_from_before_there_was_a_choice_go_on():
    """Their `experiment.json` has no such field, and neither has their identity."""
    fields = dataclasses.asdict(HstaConfig(depth=(3, 2, 1)))
    del fields["drop_path_rates"]
    old = network("hsta", fields)
    assert old.drop_path_rates == "video"
    experiment = load_experiment("hsta_table3")
    before = dataclasses.replace(experiment, model=old).identity()["model"]
    assert "drop_path_rates" not in before
    assert "drop_path_rates" not in experiment.identity()["model"]  # as many or more
    b8 = dataclasses.replace(experiment, model=HstaConfig(depth=(3, 2, 1)))
    assert b8.identity()["model"]["drop_path_rates"] == "authors"


def test_explains_its_own_logits(twins):
    """And the attention of the first video unit is the twin's."""
    import torch

    twin = twins.random_twin(TINY, 5)
    model = nnx.merge(*split_of(twin, twins, TINY))
    logits, maps = jax.jit(type(model).explain)(model, CLIP, SPECIAL)
    close(logits, twin(*map(twins.seen, (CLIP, SPECIAL))).detach().numpy(), 1e-5)
    assert {place: m.shape[1:] for place, m in maps.items()} == {
        "special": (1, 3, 1, 2, 2),
        "video": (1, 3, 2, 3, 3),
        "special_over_video": (1, 3, 2, 3, 3),
        "video_over_special": (1, 3, 1, 2, 2),
    }
    for place, weights in maps.items():
        total = weights.sum((-3, -2, -1))
        assert ((total > 0) & (total < 1)).all(), place
    with torch.no_grad():
        tokens = twin.embed("1", twin.frames(twins.seen(CLIP), 13))
        unit = twin.blocks[0].blocks["1"][0]
        q, k, _ = unit.attn.qkv(unit.norm1(tokens)).chunk(3, dim=-1)
        q = (q + unit.attn.q_bias)[:, 0].view(CLIPS, 3, 4)
        scores = torch.einsum("bhd,bshd->bhs", q, k.view(CLIPS, -1, 3, 4)) / 2
    expected = scores.softmax(-1)[..., 1:].reshape(CLIPS, 3, 2, 3, 3).numpy()
    close(maps["video"][:, 0], expected, 1e-5)


# --- frames that are drawn

MORE = dataclasses.replace(TINY, stored_frames=9)


def stored(*counts, size=3):
    """Clips of 9 frames that had fewer: the pixels of each are its number, from 1."""
    places = [np.clip(np.arange(9) - (9 - t) // 2, 0, t - 1) + 1 for t in counts]
    return np.stack(places).astype(np.uint8)[..., None, None, None] * np.ones(
        (1, 1, size, size, 3), np.uint8
    )


def numbers(clip):
    return np.asarray(clip)[..., 0, 0, 0]


def test_evaluation_sees_evenly_spread_frames_of_the_clip_itself():
    """Those that `resample=uniform` takes of it at once, whatever filled it up."""
    counts = range(1, 10)
    found = numbers(spread(stored(*counts), 4))
    for t, own in zip(counts, found, strict=True):
        assert_array_equal(own, uniform(1, t, 4))


def test_training_draws_frames_in_their_order_each_choice_as_likely():
    clips = stored(*[5] * 600, 3, 9)
    found = numbers(drawn(clips, 4, KEY))
    five = {tuple(row) for row in found[:600].tolist()}
    counts = [found[:600].tolist().count(list(row)) for row in five]
    # 600 draws of 5 equally likely choices: 120 each, give or take four deviations.
    assert five == {
        (1, 2, 3, 4),
        (1, 2, 3, 5),
        (1, 2, 4, 5),
        (1, 3, 4, 5),
        (2, 3, 4, 5),
    }
    assert max(abs(n - 120) for n in counts) < 4 * 9.8
    assert_array_equal(found[600], uniform(1, 3, 4))
    assert (np.diff(found[601].astype(int)) > 0).all()
    other = keys.named(KEY, "next epoch")
    assert (numbers(drawn(clips, 4, other)) != found).any()
    assert_array_equal(numbers(drawn(clips, 4, KEY)), found)


def test_frames_are_drawn_in_training_alone(twins):
    clip = RNG.integers(0, 256, (CLIPS, 9, 13, 13, 3), dtype=np.uint8)
    clip[0, 7:] = clip[0, 6:7]
    inputs = {"clip": clip, "special": SPECIAL}
    made = MORE.augment(inputs, KEY, np.zeros(CLIPS, int))
    assert made["clip"].shape == (CLIPS, 4, 13, 13, 3)
    assert made["special"] is SPECIAL
    assert TINY.augment(inputs, KEY, np.zeros(CLIPS, int)) is inputs
    twin = twins.random_twin(MORE, 8)
    model = split_of(twin, twins, MORE)
    expected = twin(twins.seen(clip), twins.seen(SPECIAL)).detach().numpy()
    close(forward(*model, clip, SPECIAL), expected, 1e-5)
    few = forward(*model, np.asarray(spread(clip, 4)), SPECIAL)
    close(few, expected, 1e-5)


# --- training


def test_clips_of_another_subject_change_no_gradient():
    config = dataclasses.replace(TINY, dropout=0.25, objective="mse")
    weight = np.float32([1, 0, 1, 1, 0])
    noisy = [frames.copy() for frames in (CLIP, SPECIAL)]
    for frames in noisy:
        frames[weight == 0] = RNG.integers(0, 256, frames[weight == 0].shape)
    ((loss, logits), gradients), ((other, others), same) = (
        loss_gradients(config, *split(config), *frames, weight)
        for frames in ((CLIP, SPECIAL), noisy)
    )
    jax.tree.map(assert_array_equal, (loss, gradients), (other, same))
    assert (logits != others)[weight == 0].all()
    assert_allclose(loss, weighted_mean(squared_error(logits, LABEL), weight), 1e-5)


def test_tasks_side_by_side_are_tasks_alone():
    """With dropout and stochastic depth, each from its task's own key."""
    config = dataclasses.replace(TINY, depth=(1, 0, 2), csta=False)
    config = dataclasses.replace(config, dropout=0.25, drop_path=0.5)
    graphdef, params, stats = split(config)
    tasks = jax.tree.map(lambda x: np.stack([x, 0.5 * x]), params)
    task_keys = jax.random.split(KEY, 2)

    def step(params, key):
        frames = CLIP, SPECIAL
        return loss_gradients(config, graphdef, params, stats, *frames, ONES, key)

    together = jax.jit(jax.vmap(step))(tasks, task_keys)
    for i in range(2):
        alone = step(jax.tree.map(lambda x, i=i: x[i], tasks), task_keys[i])
        close(jax.tree.map(lambda x, i=i: x[i], together), alone, 1e-4)


def test_order_of_clips_is_kept_and_changes_nothing():
    order = np.array([3, 0, 1, 4, 2])
    logits = forward(*split(), CLIP, SPECIAL)
    shuffled = forward(*split(), CLIP[order], SPECIAL[order])
    assert_allclose(shuffled, logits[order], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("value", [0, 255])
def test_gradients_are_finite(value):
    still = [np.full_like(frames, value) for frames in (CLIP, SPECIAL)]
    (loss, _), gradients = loss_gradients(TINY, *split(), *still, ONES)
    assert np.isfinite(loss)
    for path, gradient in flatten(gradients).items():
        assert np.isfinite(gradient).all(), path


def test_bfloat16_comes_near_float32(twins):
    twin = twins.random_twin(TINY, 6)
    _, params, stats = split_of(twin, twins, TINY)
    wide = forward(split()[0], params, stats, CLIP, SPECIAL)
    narrow = forward(split(dtype=jnp.bfloat16)[0], params, stats, CLIP, SPECIAL)
    assert narrow.dtype == jnp.float32
    assert_allclose(narrow, wide, atol=0.05 * np.abs(wide).max())
    assert (narrow != wide).any()
    dtypes = {x.dtype for x in jax.tree.leaves(split(dtype=jnp.bfloat16)[1])}
    assert dtypes == {jnp.dtype(jnp.float32)}


@pytest.mark.parametrize("fields", [{"dropout": 0.3}, {"drop_path": 0.6}], ids=str)
def test_randomness_depends_on_the_key_and_on_training(fields):
    model = split(dataclasses.replace(TINY, depth=(1, 0, 2), csta=False, **fields))
    other = keys.named(keys.seed_key(0), "s2")
    frames = CLIP, SPECIAL
    first = forward(*model, *frames, train=True, key=KEY)
    assert_array_equal(first, forward(*model, *frames, train=True, key=KEY))
    assert (first != forward(*model, *frames, train=True, key=other)).any()
    still = forward(*model, *frames)
    assert (first != still).any()
    assert_array_equal(forward(*model, *frames, key=KEY), still)
    assert_allclose(forward(*model, *frames, train=True), still, rtol=1e-6)


def test_the_synthetic_experiment_has_what_the_network_sees():
    experiment = load_experiment(EXPERIMENTS / "synthetic" / "hsta.py")
    stored = experiment.data.shapes
    for name, shape in zip(PAPER.inputs, experiment.model.input_shapes, strict=True):
        assert stored[name] == (shape, np.uint8)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("depth", (0, 1, 1)),
        ("depth", (1, -1, 1)),
        ("depth", (1, 1, -1)),
        ("num-frames", 3),
        ("num-frames", 0),
        ("stored-frames", 6),
        ("special-frames", 1),
        ("size", 15),
        ("special-size", 0),
        ("patch-v", 225),
        ("patch-s", 0),
        ("tubelet", 0),
        ("dim-v", 100),
        ("dim-s", 0),
        ("heads", 5),
        ("mlp-ratio", 0),
        ("dropout", 1.0),
        ("drop-path", float("nan")),
        ("streams", "v"),
    ],
)
def test_bad_fields_are_refused_by_the_name_of_the_option(field, value):
    blamed = {"size": "patch-v", "special-size": "special-side", "heads": "dim-v"}
    with pytest.raises(UsageError, match=rf"model\.{blamed.get(field, field)}="):
        HstaConfig(**{field.replace("-", "_"): value})
