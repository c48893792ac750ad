"""Networks and data sets that installed packages bring, by their entry points."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from test_own_set import BUILDER, CONFIG

from jmer.cli import main
from jmer.data import load
from jmer.errors import JmerError
from jmer.models.base import network_class
from jmer.models.origin import made_again, origin
from jmer.own.packages import DATASETS, NETWORKS, brought, one_called

NETWORK = '''
import dataclasses
from typing import ClassVar

import jax.numpy as jnp
from flax import nnx

from jmer.models.base import NetworkConfig


class Mean(nnx.Module):
    def __init__(self, classes, rngs):
        self.head = nnx.Linear(3, classes, rngs=rngs)

    def __call__(self, apex_flow, *, train=False, key=None, weight=None):
        return self.head(apex_flow.astype(jnp.float32).mean((1, 2)))


@dataclasses.dataclass(frozen=True)
class MeanConfig(NetworkConfig):
    """The mean flow."""

    name: ClassVar[str] = "mean"
    paper: ClassVar[str] = "Nobody 2026"
    inputs: ClassVar[tuple[str, ...]] = ("apex_flow",)
    paper_classes: ClassVar[tuple[str, ...]] = ("low", "high")
    size: int = 12

    @property
    def input_shapes(self):
        return ((self.size, self.size, 3),)

    def build(self, classes, *, dtype, rngs):
        return Mean(classes, rngs)
'''
POINTS = """
[jmer.networks]
mean = theirs.nets:MeanConfig

[jmer.datasets]
waves = theirs.waves:Waves
"""


def install(site: Path, points: str, name="theirs-of-jmer", version="1.2") -> None:
    """The metadata of an installed package."""
    about = site / f"{name.replace('-', '_')}-{version}.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
    (about / "entry_points.txt").write_text(points)


def forget() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "theirs"]:
        del sys.modules[name]


@pytest.fixture(name="site")
def _site(tmp_path, monkeypatch):
    """A folder with a package that brings a network and a data set."""
    site = tmp_path / "site"
    (site / "theirs" / "waves").mkdir(parents=True)
    (site / "theirs" / "__init__.py").touch()
    (site / "theirs" / "nets.py").write_text(NETWORK)
    (site / "theirs" / "waves" / "__init__.py").write_text(CONFIG)
    (site / "theirs" / "waves" / "waves_dataset_builder.py").write_text(BUILDER)
    install(site, POINTS)
    monkeypatch.syspath_prepend(site)
    yield site
    forget()


def listed(what, capsys):
    assert main(["list", what, "--json"]) == 0
    return {each["name"]: each for each in json.loads(capsys.readouterr().out)}


def test_lists_say_where_each_is_from(site, capsys):
    models = listed("models", capsys)
    assert models["ststnet"]["from"] == "jmer"
    mean = models["mean"]
    assert mean["from"] == "theirs-of-jmer 1.2 (theirs.nets:MeanConfig)"
    assert (mean["parameters"], mean["input"]) == (8, "apex_flow 12x12x3")
    sets = listed("datasets", capsys)
    assert sets["casme2"]["from"] == "jmer"
    assert sets["waves"]["what"] == "Waves of four people."
    assert sets["waves"]["from"].startswith("theirs-of-jmer 1.2")
    assert main(["list", "datasets"]) == 0
    assert "theirs.waves:Waves" in "".join(capsys.readouterr().out.split())


def test_they_are_found_by_name(site, tmp_path, capsys):
    assert network_class("mean").__module__ == "theirs.nets"
    with pytest.raises(JmerError, match=r"called 'maen' .*did you mean 'mean'"):
        network_class("maen")
    words = ["data", "prepare", "waves", "--data-dir", str(tmp_path / "made")]
    assert main([*words, "--size", "14"]) == 0
    assert "8 clips, 4 subjects (4 low, 4 high)" in capsys.readouterr().out
    kind = one_called("waves", DATASETS).load(object)
    clips = load(kind(size=14, data_dir=tmp_path / "made"))
    np.testing.assert_array_equal(clips.inputs["apex_flow"][:, 0, 0, 0], np.arange(8))
    assert main(["data", "prepare", "wawes"]) == 2
    assert "did you mean 'waves'?" in capsys.readouterr().err


def test_a_run_finds_them_where_nothing_imported_them(site):
    noted = origin(network_class("mean")())
    assert noted["kind"] == noted["import"] + ":MeanConfig" == "theirs.nets:MeanConfig"
    forget()
    found = made_again("mean", {"size": 8}, noted, Path("run.json"), "model")
    assert found.size == 8 and found.input_shapes == ((8, 8, 3),)
    # Another class of the package is none that it announces.
    forget()
    other = {"kind": "theirs.nets:Mean", "import": "theirs.nets"}
    with pytest.raises(JmerError, match=r"add --import theirs\.nets"):
        made_again("mean", {"size": 8}, other, Path("run.json"), "model")
    assert "theirs.nets" not in sys.modules


@pytest.mark.parametrize(
    "points, source, words",
    [
        ("mean = theirs.nets:MeanConfig", "1 / 0", "ZeroDivisionError"),
        ("mean = theirs.nets:MeanConfig", "raise SystemExit(3)", "SystemExit"),
        ("mean = theirs.none:MeanConfig", "", "No module named 'theirs.none'"),
        ("mean = theirs.nets:Mean", NETWORK, "is no NetworkConfig"),
        ("mean = theirs.nets", NETWORK, "is no NetworkConfig"),
        ("average = theirs.nets:MeanConfig", NETWORK, "calls itself 'mean'"),
    ],
)
def test_a_package_that_is_broken_stops_nobody_else(
    site, points, source, words, capsys
):
    (site / "theirs/nets.py").write_text(source)
    install(site, f"[jmer.networks]\n{points}\n", version="1.1")
    (site / "theirs_of_jmer-1.2.dist-info/entry_points.txt").write_text("")
    name = points.split()[0]
    models = listed("models", capsys)
    assert words in models[name]["input"] and "cannot be used" in models[name]["input"]
    assert models["ststnet"]["parameters"] == 1683
    with pytest.raises(JmerError, match="pip uninstall theirs-of-jmer") as why:
        network_class(name)
    assert words in str(why.value) and "\n" not in str(why.value)


def test_names_of_ours_stay_ours(site, capsys):
    install(site, "[jmer.networks]\nststnet = theirs.nets:MeanConfig\n", "other")
    assert network_class("ststnet").__module__ == "jmer.models.ststnet"
    assert main(["list", "models", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    ours, theirs = (each["from"] for each in said if each["name"] == "ststnet")
    assert ours == "jmer" and "jmer has one of that name" in theirs


def test_two_packages_of_one_name_are_told_of(site):
    install(site, "[jmer.networks]\nmean = others:Mean\n", "other-of-jmer", "3")
    with pytest.raises(JmerError, match=r"others:Mean of other-of-jmer 3, theirs\."):
        network_class("mean")


def test_what_lies_in_the_folder_of_work_is_not_installed(tmp_path, monkeypatch):
    """Such as in a stranger's run, with Python's own `-m` or `--import` used there."""
    monkeypatch.chdir(tmp_path)
    install(tmp_path, "[jmer.networks]\nmean = theirs.nets:MeanConfig\n")
    for entry in ("", ".", str(tmp_path), f"{tmp_path}/."):
        monkeypatch.setattr(sys, "path", [entry, *sys.path])
    assert brought(NETWORKS) == [] and one_called("mean", NETWORKS) is None
