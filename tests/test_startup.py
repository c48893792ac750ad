"""Help, mistakes and lists wait for no library of arrays, pictures or data sets."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jmer.cli import COMMANDS, OVERVIEW, main
from jmer.commands.bench import LOWERINGS
from jmer.commands.pretrain import DEMO, NAMES
from jmer.commands.stated import classes
from jmer.models.base import describe, networks
from jmer.synthetic.layouts import LAYOUTS

ROOT = Path(__file__).resolve().parent.parent
HEAVY = {"jax", "flax", "tensorflow_datasets", "cv2", "matplotlib", "scipy", "torch"}
LISTS = ("experiments", "models", "datasets", "layouts", "tables")
INVOCATIONS = [
    "",
    "--help",
    "--version",
    "dance",
    "data",
    "data chek",
    "run",
    "run quikstart",
    "bench quikstart",
    "list model",
    "list models --json",
    "data check casme3",
    "data check casme2 --help",
    "data prepare casme2 --help",
    "data show casme2 --help",
    "pretrain magnt",
    "new quikstart",
    *(f"{command} --help" for command in COMMANDS),
    *(f"list {what}" for what in LISTS),
]


@pytest.mark.parametrize("words", INVOCATIONS)
def test_answers_without_heavy_libraries(words, tmp_path):
    code = (
        "import sys\n"
        "from jmer.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print('LOADED', *sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words.split()],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    said, _, loaded = done.stdout.rpartition("LOADED")
    assert (said + done.stderr).strip()
    assert not {name.split(".")[0] for name in loaded.split()} & HEAVY


def test_the_overview_has_every_command():
    assert not [name for name in COMMANDS if f"\n  {name} " not in OVERVIEW]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rum", "quickstart"], "no command is called 'rum' (did you mean 'run'?)"),
        (["data", "prepar"], "called 'data prepar' (did you mean 'data prepare'?)"),
        (["list", "modles"], "called 'modles' (did you mean 'models'?); there are: "),
        (["list"], "usage: jmer list WHAT; experiments, models"),
        (["data", "check", "casmee2"], "called 'casmee2' (did you mean 'casme2'?)"),
        (["pretrain", "magnt"], "called 'magnt' (did you mean 'magnet'?)"),
        (["zzz"], "no command is called 'zzz'; there are: run, bench"),
    ],
)
def test_a_mistake_is_one_line_with_what_may_be_meant(words, said, capsys):
    assert main(words) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_networks_state_what_building_them_finds():
    stated = {one["name"]: one for one in classes("jmer.models") if one.get("paper")}
    assert list(stated) == [kind.name for kind in networks()]
    for kind in networks():
        said = {key: stated[kind.name][key] for key in ("name", "paper")}
        assert {**said, **stated[kind.name]["listed"]} == describe(kind())


def test_layouts_are_those_that_can_be_written():
    found = [one for one in classes("jmer.synthetic.layouts") if "name" in one]
    assert [one["name"] for one in found] == sorted(LAYOUTS)
    for one in found:
        first = (LAYOUTS[one["name"]].__doc__ or "").partition("\n")[0]
        assert one["__doc__"].partition("\n")[0] == first


def test_names_that_are_written_twice_agree():
    from jmer import nn
    from jmer.commands.recipes import RECIPES

    assert set(LOWERINGS) == set(nn.LOWERINGS)
    assert set(NAMES) == {*RECIPES, DEMO}
