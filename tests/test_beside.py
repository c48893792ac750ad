"""A module beside an experiment file is imported as `python FILE` would let it."""

import sys
from pathlib import Path

import pytest
from fabricated import make_run

from jmer.cli import main
from jmer.experiment import load_experiment
from jmer.shipped import beside, find
from jmer.sweep.cells import load_sweep

QUICKSTART = find("quickstart").read_text("utf-8")


def written(folder: Path, line: str, **siblings: str) -> Path:
    """An experiment whose first import is `line`, beside modules with these sources;
    its learning rate is `LR`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, source in siblings.items():
        file = folder.joinpath(*name.split("__in__")[::-1]).with_suffix(".py")
        file.parent.mkdir(exist_ok=True)
        file.write_text(source)
    file = folder / "mein Versuch.py"
    before, head, rest = QUICKSTART.partition("from data_builders")
    assert "lr=1e-3" in rest
    file.write_text(f"{before}{line}\n{head}{rest}".replace("lr=1e-3", "lr=LR"))
    return file


def _lies_in(folder: Path, name: str) -> bool:
    return str(getattr(sys.modules[name], "__file__", "")).startswith(str(folder))


@pytest.mark.parametrize(
    ("line", "siblings"),
    [
        ("from common import LR", {"common": "LR = 0.25"}),
        ("import common\nLR = common.LR", {"common": "LR = 0.25"}),
        ("import common as c\nLR = c.LR", {"common": "from other import LR"}),
        ("from common import *", {"common": "import other\nLR = other.LR"}),
        ("from pack.inner import LR", {"__init____in__pack": ""}),
        ("import pack.inner\nLR = pack.inner.LR", {"__init____in__pack": ""}),
        ("import pack.inner as p\nLR = p.LR", {}),  # a folder without __init__
        ("from pack import inner\nLR = inner.LR", {"__init____in__pack": ""}),
        ("from pack.outer import LR", {"outer__in__pack": "from .inner import LR"}),
        ("from pack.outer import LR", {"outer__in__pack": "from other import LR"}),
        ("def late():\n    from common import LR\n    return LR\nLR = late()", {}),
    ],
)
def test_it_is_imported(tmp_path, line, siblings):
    more = {"common": "LR = 0.25", "other": "LR = 0.25", "inner__in__pack": "LR=0.25"}
    path, known = list(sys.path), set(sys.modules)
    file = written(tmp_path / "ä b", line, **{**more, **siblings})
    assert load_experiment(file).optim.lr == 0.25
    new = [name for name in set(sys.modules) - known if _lies_in(file.parent, name)]
    assert all(name.startswith(("jmer_beside_", "experiment_mein")) for name in new)
    assert sys.path == path


def test_files_of_one_name_in_two_folders_stay_apart(tmp_path):
    line = "import common\nLR = common.lr()"
    source = "def lr():\n    from late import LR\n    return LR"
    files = [
        written(tmp_path / name, line, common=source, late=f"LR = {lr}")
        for name, lr in (("one", 0.125), ("two", 0.5))
    ]
    assert [load_experiment(file).optim.lr for file in files] == [0.125, 0.5]
    assert [load_sweep(file).base.optim.lr for file in files[::-1]] == [0.5, 0.125]


@pytest.mark.parametrize(
    "name",
    [
        "random",
        "json",
        "typing",
        "numpy",
        "jax",
        "optax",
        "jmer",
        "data_builders",
        "tyro",
        "rich",
        "xxhash",
        "orbax",
        "tensorflow_datasets",
        "cv2",
    ],
)
def test_jmer_stands_on_none_of_them(tmp_path, name):
    line = "import json, random, jax, numpy\nLR = 0.25"
    file = written(tmp_path, line, **{name: "raise RuntimeError('the wrong one')"})
    assert load_experiment(file).optim.lr == 0.25
    __import__("optax"), __import__("rich.table")
    assert "the wrong one" not in str(sys.modules.get(name))


def test_a_name_that_is_only_installed_is_that_of_the_folder(tmp_path):
    name = "this_is_not_installed"
    file = written(tmp_path, f"from {name} import LR", **{name: "LR = 0.5"})
    assert load_experiment(file).optim.lr == 0.5
    assert name not in sys.modules
    with pytest.raises(ModuleNotFoundError):
        __import__(name)


def test_what_everybody_imports_keeps_its_name(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    file = written(tmp_path, "from seen_by_all import LR", seen_by_all="LR = 0.5")
    assert load_experiment(file).optim.lr == 0.5
    assert Path(sys.modules.pop("seen_by_all").__file__ or "").parent == tmp_path


def test_a_mistake_beside_it_is_named(tmp_path, capsys):
    file = written(tmp_path, "from common import LR", common="1 / 0")
    assert main(["run", str(file)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: experiment file {file} fails: ZeroDivisionError")
    assert said.count("\n") == 1
    file = written(tmp_path, "from absent import LR")
    assert main(["run", str(file)]) == 2
    assert "No module named 'absent'" in capsys.readouterr().err


def test_plain_names():
    assert beside.plain_name("jmer_beside_0a1b.ours.waves") == "ours.waves"
    assert beside.plain_name("ours.waves") == "ours.waves"


def test_copies_and_help_have_it_too(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["new", "quickstart", "--out", "kopie.py"]) == 0
    copy, common = Path("kopie.py"), Path("common.py")
    common.write_text("LR = 0.25", encoding="utf-8")
    text = copy.read_text("utf-8").replace("lr=1e-3", "lr=LR")
    text = text.replace(
        "from data_builders", "from common import LR\nfrom data_builders"
    )
    copy.write_text(text, encoding="utf-8")
    for command in ("run", "evaluate", "data check"):
        with pytest.raises(SystemExit) as ended:
            main([*command.split(), "kopie.py", "--help"])
        assert ended.value.code == 0
    assert "0.25" in capsys.readouterr().out


def test_a_run_of_a_stranger_imports_nothing(tmp_path, monkeypatch, capsys):
    folder = make_run(tmp_path / "theirs", name="x", wrong_every=5)
    for name in ("random", "common", "experiment_x", "jax", "sitecustomize"):
        (folder / f"{name}.py").write_text("raise SystemExit(7)", encoding="utf-8")
    monkeypatch.chdir(folder)
    known, path = set(sys.modules), list(sys.path)
    assert main(["report", "."]) == 0
    main(["audit", ".", "--out", str(tmp_path / "audit")])
    main(["explain", "."])
    capsys.readouterr()
    new = [sys.modules[name] for name in set(sys.modules) - known]
    files = [str(getattr(module, "__file__", "")) for module in new]
    assert not [file for file in files if file.startswith(str(folder))]
    assert sys.path == path
