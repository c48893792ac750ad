"""Experiments by name: found, listed and copied, from a checkout and from a wheel."""

import configparser
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jmer import shipped
from jmer.cli import main
from jmer.commands.run import run
from jmer.errors import UsageError
from jmer.experiment import load_experiment
from jmer.sweep.cells import load_sweep

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = Path(shipped.__file__).parent
# Of the checkout, or of the wheel where that is what is tested.
HOME = (
    ROOT / "experiments"
    if PACKAGE.is_relative_to(ROOT / "jmer")
    else PACKAGE / "experiments"
)
NAMES = list(shipped.experiments_in(shipped.folder()))


def test_names_are_paths_below_the_folder():
    assert shipped.folder().samefile(HOME)
    assert {file.name for file in HOME.glob("*.py")} == {
        file.name for file in (ROOT / "experiments").glob("*.py")
    }
    assert "quickstart" in NAMES and "synthetic/hsta" in NAMES
    assert sorted(NAMES, key=lambda name: name.split("/")) == NAMES
    # A program of its own.
    assert "benchmarks/small_cnn" in NAMES and {
        "benchmarks/flow",
        "benchmarks/side_by_side",
    }.isdisjoint(NAMES)


def test_a_name_means_the_file_that_comes_with_jmer(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = HOME / "synthetic/hsta.py"
    assert shipped.find("synthetic/hsta") == file
    assert shipped.find("experiments/synthetic/hsta.py") == file
    assert load_experiment("quickstart") == load_experiment(shipped.find("quickstart"))


def test_a_file_that_exists_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "experiments/quickstart.py"
    own.parent.mkdir()
    own.write_text("EXPERIMENT = None")
    assert shipped.find("experiments/quickstart.py").samefile(own)
    assert shipped.find("quickstart") == HOME / "quickstart.py"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("quikstart", "called 'quikstart', and no file (did you mean 'quickstart'?)"),
        ("hsta", "called 'hsta', and no file (did you mean 'synthetic/hsta'?)"),
        ("quickstart.py", "quickstart.py does not exist (did you mean 'quickstart'?)"),
        ("experiments/quikstart.py", "does not exist (did you mean 'quickstart'?)"),
        ("zzz", "'zzz', and no file; `jmer list experiments` shows those that"),
    ],
)
def test_a_wrong_name_is_answered_with_a_near_one(asked, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        shipped.find(asked)
    assert said in str(caught.value)


@pytest.mark.parametrize("command", ["run", "bench", "evaluate"])
def test_commands_that_take_a_file_take_a_name(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([command, "quikstart"]) == 2
    assert "did you mean 'quickstart'?" in capsys.readouterr().err


def test_the_run_folder_has_the_name_of_the_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        run(["synthetic/hsta", "--help"])
    shown = capsys.readouterr().out
    assert stop.value.code == 0
    assert "usage: jmer run synthetic/hsta" in shown and "runs/hsta" in shown


def test_the_list_has_a_line_each(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiments").mkdir()
    text = '"""Mine.\n\nMore."""\nraise OSError\nSWEEP = 1\n'
    (tmp_path / "experiments/mine.py").write_text(text)
    assert main(["list", "experiments"]) == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert [name for name, _ in lines] == [*NAMES, "experiments/mine.py"]
    assert lines[-1][1] == "Mine."
    assert dict(lines)["quickstart"].startswith("STSTNet on the embedded synthetic")


def test_a_copy_is_the_same_experiment_and_replaces_nothing(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main(["new", "quickstart"]) == 0
    assert "`jmer run quickstart.py`" in capsys.readouterr().out
    assert load_experiment(Path("quickstart.py")) == load_experiment("quickstart")
    Path("quickstart.py").write_text("mine", encoding="utf-8")
    assert main(["new", "quickstart"]) == 2
    error = capsys.readouterr().err
    assert "quickstart.py is there already, and stays" in error and "--out" in error
    assert Path("quickstart.py").read_text(encoding="utf-8") == "mine"
    assert main(["new", "quickstart", "--out", "a/b.py"]) == 0
    assert load_experiment(Path("a/b.py")) == load_experiment("quickstart")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "the name of an experiment comes first"),
        (["synthetic/hst"], "did you mean 'synthetic/hsta'?"),
        (["quickstart", "--out", "mine.txt"], "out=mine.txt must end in .py"),
    ],
)
def test_what_cannot_be_copied(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["new", *words]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_every_copy_stands_alone(name, tmp_path, monkeypatch):
    """Also one that begins with another, which it asks for by name."""
    monkeypatch.chdir(tmp_path)
    assert main(["new", name, "--out", "mine.py"]) == 0
    copy, original = load_sweep(Path("mine.py")), load_sweep(shipped.find(name))
    if not name.startswith("benchmarks/"):  # they define classes of their own
        assert copy == original


def test_a_wheel_has_the_experiments(tmp_path):
    """Built as `pip wheel` does, and used where there is no checkout."""
    pytest.importorskip("setuptools")
    library = tmp_path / "library"
    subprocess.run(
        [sys.executable, "setup.py", "-q", "build_py", "--build-lib", str(library)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    built, source = library / "jmer/shipped/experiments", ROOT / "experiments"
    files = {f.relative_to(source) for f in source.rglob("*.py")}
    assert {f.relative_to(built) for f in built.rglob("*.py")} == files
    assert (library / "data_builders/py.typed").is_file()
    (tmp_path / "empty").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "jmer", "list", "experiments"],
        cwd=tmp_path / "empty",
        env={**os.environ, "PYTHONPATH": str(library)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert [line.split()[0] for line in done.stdout.splitlines()] == NAMES


def test_a_checkout_called_jmer_hides_nothing_from_a_script_beside_it(tmp_path):
    """An editable install puts the checkout on the path, and no finder behind it."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert setup["options"]["package_dir"].split() == ["=", "."]
    (tmp_path / "jmer").symlink_to(ROOT, target_is_directory=True)
    (tmp_path / "script.py").write_text("import jmer; print(jmer.__version__)")
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "jmer")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip()


def test_a_copy_says_how_it_is_run_itself(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["new", "synthetic/hsta", "--out", "sub dir/it's mine.py"]) == 0
    command = "jmer run 'sub dir/it'\"'\"'s mine.py'"
    assert f"edit it, then `{command}`" in capsys.readouterr().out
    copy = Path("sub dir/it's mine.py").read_text("utf-8")
    assert f"Run:    {command}\n" in copy and "run synthetic/hsta" not in copy
    assert main(["new", "stanet_casme_ablation"]) == 0
    copy = Path("stanet_casme_ablation.py").read_text("utf-8")
    assert "jmer run stanet_casme_ablation.py" in copy
    assert "jmer run stanet_casme_ablation " not in copy
