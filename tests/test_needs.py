"""What is said to make no difference makes none; all else makes one."""

import dataclasses
import functools
import typing
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest
from own_folder import Mine
from programs import others, program
from small_aman import SMALL, pairs

from data_builders.folder import Folder
from data_builders.synthetic import Synthetic
from data_builders.synthetic.synthetic_dataset_builder import Builder
from jmer.baselines.mdmo import MdmoConfig
from jmer.baselines.svm import SvmConfig
from jmer.cli import main
from jmer.data.random_clips import RandomClips
from jmer.errors import UsageError
from jmer.experiment import Experiment
from jmer.models.aman import AmanConfig
from jmer.models.base import NetworkConfig, networks
from jmer.models.hsta import HstaConfig
from jmer.models.meranet import MeranetConfig
from jmer.models.stanet import STANetConfig
from jmer.models.ststnet import STSTNetConfig
from jmer.models.visual_memory import VisualMemoryConfig
from jmer.optim import AdamWConfig, Horizon, SgdConfig
from jmer.preprocess.clip_recipe import ClipRecipe
from jmer.preprocess.tensors import features
from jmer.sweep.fields import with_fields
from jmer.sweep.given import require_read
from jmer.sweep.small import made_small
from jmer.synthetic.rendering import render_clip

KINDS = {kind.name: kind for kind in (*networks(), MdmoConfig) if kind.paper_classes}
OTHER: dict[str, list[dict[str, Any]]] = {
    "hsta": [
        {"csta": False, "streams": "v"},
        {"csta": False, "streams": "s"},
        {"csta": False, "depth": (2, 0, 1)},
        {"csta": False, "depth": (2, 1, 0)},
        {"depth": (2, 0, 0)},
        {"depth": (1, 1, 1)},
        {"depth": (2, 2, 1), "drop_path": 0.0},
        {"depth": (2, 2, 1), "csta": False, "streams": "v"},
    ],
    "visual_memory": [{"phase": "memory", "temporal_net": False}],
    "aman": [{"n": 1, "ma": "single:5"}, {"n": 5}, {"ma": "single:5"}],
}
"""Settings beside those of one switch."""
as_program = functools.lru_cache(maxsize=None)(program)


@pytest.fixture(params=KINDS)
def network(request, tmp_path_factory) -> NetworkConfig:
    """A small size of each, with the files that it may ask for."""
    kind = KINDS[request.param]
    if request.param == "aman":
        paper = pairs(tmp_path_factory)("paper")[0]
        files = {name: getattr(paper, name) for name in kind.files}
        return dataclasses.replace(SMALL, **files)
    small = dataclasses.replace(kind(), **kind().small_size)
    return dataclasses.replace(small, depth=(2, 1, 2)) if kind is HstaConfig else small


def settings(network: NetworkConfig) -> Iterator[NetworkConfig]:
    """The network, with each of its switches as they can be, and in other ways."""
    yield network
    for name, kind in typing.get_type_hints(type(network)).items():
        if kind is bool or typing.get_origin(kind) is Literal:
            yield from others(network, name)
    for fields in OTHER.get(network.name, []):
        yield dataclasses.replace(network, **fields)


def names(config: Any) -> list[str]:
    """Fields but those of a file, whose content counts."""
    every = [field.name for field in dataclasses.fields(config)]
    return [name for name in every if name not in getattr(config, "files", ())]


def differs(network: NetworkConfig, name: str) -> bool:
    """Whether some other value of a field makes another program."""
    every = others(network, name)
    return any(as_program(one) != as_program(network) for one in every)


def test_fields_of_networks_that_make_no_difference_make_none(network):
    """And they make one once they have what they need."""
    seen = set()
    for setting in settings(network):
        for name, needed in setting.needs.items():
            if "." in name or needed == {} or (name, str(needed)) in seen:
                continue
            seen.add((name, str(needed)))
            where = f"{network.name}: {name} of {setting}"
            made = [as_program(one) for one in others(setting, name)]
            assert made and {*made} == {as_program(setting)}, where
            if needed:
                enough = dataclasses.replace(setting, **needed)
                assert enough.needs[name] == {}, where
                assert name in enough.files or differs(enough, name), where
    assert seen or not network.needs


def test_all_other_fields_of_networks_make_one(network):
    for name in names(network):
        unread = network.needs.get(name, {}) != {}
        assert unread or differs(network, name) or not [*others(network, name)], name


FRAMES = np.random.default_rng(5).integers(0, 256, (9, 20, 20, 3)).astype(np.uint8)
RECIPE = ClipRecipe(frames=16, size=12)
RECIPES = [
    *(RECIPE, *others(RECIPE, "modality"), *others(RECIPE, "resample")),
    *others(RECIPE, "special"),
    *others(dataclasses.replace(RECIPE, modality="apex-flow"), "resample"),
    dataclasses.replace(RECIPE, resample="whole", context=1, special="of"),
]


def arrays(made: tuple[dict[str, np.ndarray], Any]) -> Any:
    found = {name: (x.shape, x.dtype, x.tobytes()) for name, x in made[0].items()}
    return found, made[1]


def prepared(recipe: ClipRecipe) -> Any:
    """What is stored of a clip of fewer frames than the recipe asks for."""
    return arrays(features(recipe, FRAMES, (1, 4, 7), "clip")), recipe.shapes


def quick(recipe: ClipRecipe) -> bool:
    return recipe.flow in ("auto", "farneback", "dis")


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_fields_of_recipes_make_a_difference_or_none_as_is_said(recipe):
    for name in recipe.needs:
        if (needed := recipe.needs[name]) != {}:
            assert all(prepared(x) == prepared(recipe) for x in others(recipe, name))
            if needed is None:
                continue
            recipe = dataclasses.replace(recipe, **needed)
            assert recipe.needs[name] == {}
        found = [x for x in others(recipe, name) if quick(x)]
        assert not found or any(prepared(x) != prepared(recipe) for x in found), name


@pytest.mark.parametrize("modality", ["apex-flow", "clip", "flow"])
@pytest.mark.parametrize("resample", ["none", "linear", "apex-window"])
def test_so_they_do_in_the_synthetic_set(modality, resample):
    sizes = {"subjects": 2, "clips": 6, "length": 8, "size": 32, "flow_size": 12}
    config = Synthetic(modality=modality, resample=resample, **sizes)
    clip = render_clip(config.spec, 0)

    def stored(data: Synthetic) -> Any:
        return arrays(Builder._inputs(SimpleNamespace(data=data), clip))

    assert {"resize", "tracks"} <= {n for n, lack in config.needs.items() if lack != {}}
    for name, needed in config.needs.items():
        found = list(others(config, name))
        if needed != {}:
            assert all(stored(one) == stored(config) for one in found), name
        elif name == "flow_size":
            assert any(stored(one) != stored(config) for one in found), name


def test_so_they_do_in_a_table_of_ones_own(tmp_path):
    mine = Mine(tmp_path)
    mine.rows = [[*row[:3], 0.1, "", 0.5] for row in mine.rows[::2]]
    fields = {"modality": "clip", "times": "seconds", "fps": 10}
    other = {"numbering": "files-from-0", "missing_apex": "middle", "source": "x"}
    for name, value in other.items():
        assert Folder(**fields).needs[name] is None
        changed = mine.clips(**fields, **{name: value})
        np.testing.assert_equal(changed, mine.clips(**fields))
    counted = Folder(resample="apex-window").needs
    assert counted["missing_apex"] == counted["numbering"] == {}


def test_so_they_do_in_random_clips():
    some = RandomClips(shapes=(("x", (2,)),), sizes=(2, 3))
    for name in ("subjects", "per_subject"):
        found = list(others(some, name))
        assert found and some.needs[name]
        for one in found:
            assert one.clips().inputs["x"].tolist() == some.clips().inputs["x"].tolist()
        every = dataclasses.replace(some, **some.needs[name])
        assert every.needs[name] == {}
        assert all(len(x.clips()) != len(every.clips()) for x in others(every, name))


@pytest.mark.parametrize("config", [SgdConfig(), AdamWConfig(warmup_epochs=0)], ids=str)
def test_so_they_do_in_optimisers(config):
    horizon = Horizon(epochs=20, steps_per_epoch=2)

    def rates(optim: Any) -> list[float]:
        return [float(optim.rate(step, horizon)) for step in range(40)]

    for name, needed in config.needs.items():
        found = list(others(config, name))
        assert found and all(rates(one) == rates(config) for one in found)
        enough = dataclasses.replace(config, **needed)
        assert enough.needs[name] == {}
        assert any(rates(one) != rates(enough) for one in others(enough, name))


def experiment(model: NetworkConfig, **fields: Any) -> Experiment:
    fields = {"data": RandomClips(), "optim": SgdConfig(), **fields}
    return Experiment(model=model, **fields)


def told(given: str, *experiments: Experiment, varied: tuple[str, ...] = ()) -> str:
    """What is said of the fields that were given."""
    with pytest.raises(UsageError) as error:
        require_read(given.split(), experiments, varied)
    return str(error.value).partition(
        " makes no difference as the other options are: "
    )[2]


def test_what_is_needed_is_told_and_is_enough(network):
    for setting in settings(network):
        fitted = {"optim": SvmConfig(), "epochs": 1, "dtype": "float32"}
        made = experiment(setting, **(fitted if setting.fitted else {}))
        for name, needed in made.unread.items():
            if needed and all(part.startswith("model.") for part in needed):
                said = told(name, made)
                assert said.startswith("add --model.") and said.endswith("leave it out")
                require_read([name], [with_fields(made, needed)])


def test_a_switch_that_was_given_is_not_given():
    off = STANetConfig(sab=False, tab=False)
    assert told("model.mask", experiment(off)) == "add --model.sab, or leave it out"
    found = told("model.mask model.sab", experiment(off))
    assert found == "do without model.sab=False, or leave it out"
    still = VisualMemoryConfig(phase="spatial", contrast=False, context="gap")
    found = told("model.context_dilation model.contrast", experiment(still))
    assert found == (
        "do without model.contrast=False and add --model.phase joint --model.context "
        "dilated, or leave it out"
    )


def test_fields_are_judged_by_all_experiments_and_those_of_variants_too():
    off, on = experiment(STANetConfig(sab=False)), experiment(STANetConfig())
    require_read(["model.mask"], [off, on])
    require_read(["model.sab", "epochs"], [off])
    varied = ("model.lambda-l1=0", "model.lambda-l1=1")
    both = [dataclasses.replace(one, variants=varied) for one in (off, on)]
    assert told("variants", both[0]) == "add --model.sab, or leave it out"
    require_read(["variants"], both)
    require_read(["variants"], both[1:])


def test_what_a_sweep_sets_is_no_remedy():
    both = [experiment(MeranetConfig(attn=attn)) for attn in ("ca", "none")]
    assert told("model.st_kernel", *both) == "add --model.attn both, or leave it out"
    assert told("model.st_kernel", *both, varied=("model.attn",)) == "leave it out"


def test_a_small_size_is_judged_as_it_is_and_as_it_would_be(
    capsys, tmp_path, monkeypatch
):
    """It trains all of AMAN from the start, and a single unit of HSTA."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    trained = experiment(AmanConfig(pretrain="all", backbone="fer.pth"))
    assert told("model.init", trained).startswith("add --model.pretrain")
    require_read(["model.init"], [trained, made_small(trained)[0]])
    deep = experiment(HstaConfig())
    require_read(["model.drop_path"], [deep, made_small(deep)[0]])
    for words in (
        "aman_casme2 --model.init torch",
        "hsta_casme2 --model.drop-path 0.3",
    ):
        assert main(["run", *words.split(), "--small"]) == 1
        assert "data set casme2 is not prepared" in capsys.readouterr().err


def test_a_stream_that_is_left_out_asks_for_nothing():
    alone = {"csta": False, "heads": 5}
    HstaConfig(streams="v", dim_v=50, **alone)
    HstaConfig(streams="s", dim_s=50, size=12, **alone)
    with pytest.raises(UsageError, match=r"dim-s=384 must be a multiple of heads=5"):
        HstaConfig(streams="s", dim_v=50, **alone)


def test_options_of_one_part_that_need_another():
    fits = {"optim": SvmConfig(), "epochs": 1, "dtype": "float32"}
    planes = experiment(MdmoConfig(), **fits)
    assert told("optim.gamma", planes) == "add --model.kernel rbf, or leave it out"
    require_read(["optim.gamma"], [experiment(MdmoConfig(kernel="rbf"), **fits)])
    flat = experiment(STSTNetConfig(), optim=AdamWConfig())
    assert told("optim.layer_decay", flat) == "leave it out"
    require_read(["optim.layer_decay"], [dataclasses.replace(flat, model=HstaConfig())])
