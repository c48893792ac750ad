"""`~` and variables in paths, at every door; machines where nobody has a home; names
whose letters are composed otherwise."""

import dataclasses
import os
from pathlib import Path

import pytest

from data_builders.casme2 import Casme2
from jmer.commands.parsing import parse, read_file
from jmer.commands.report import ReportOptions
from jmer.data.config import default_data_dir
from jmer.errors import UsageError
from jmer.files import places
from jmer.files.places import expand_fields, expanded, user_cache


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MINE", "x y")
    return tmp_path


@pytest.fixture
def nobody(monkeypatch):
    """No HOME, and a number that no account has."""
    for name in ("HOME", "TFDS_DATA_DIR", "JMER_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def unknown(_):
        raise KeyError

    monkeypatch.setattr("pwd.getpwuid", unknown)
    places._own_cache.cache_clear()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("~/a", "{home}/a"),
        ("$HOME/a", "{home}/a"),
        ("${HOME}/$MINE", "{home}/x y"),
        ("a/~/b", "a/~/b"),
        ("./~a", "~a"),
        ("/abs/$UNKNOWN_HERE", "/abs/$UNKNOWN_HERE"),
        ("r$1", "r$1"),
    ],
)
def test_places_are_written_out(home, written, meant):
    if written != "./~a":  # pathlib drops the dot
        assert str(expanded(Path(written))) == meant.format(home=home)


def test_options_of_every_depth_are(home):
    @dataclasses.dataclass(frozen=True)
    class Options:
        data: Casme2
        out: Path
        more: tuple[Path, ...] = ()

    words = ["--data.manual-dir", "~/c", "--out", "$HOME/o", "--more", "~/1", "b"]
    words += ["--data.align", "landmarks", "--data.landmarks", "~/l.csv"]
    found = parse(Options, "x", words)
    assert found.data.manual_dir == home / "c" and found.out == home / "o"
    assert found.more == (home / "1", Path("b"))
    assert found.data.landmarks == home / "l.csv"


def test_places_in_a_file_of_an_experiment_are_and_are_not_its_identity(home):
    from jmer.data.random_clips import RandomClips
    from jmer.experiment import Experiment
    from jmer.models.ststnet import STSTNetConfig
    from jmer.optim import AdamConfig

    def made(place, start):
        data = RandomClips(manual_dir=Path(place), data_dir=Path(place))
        return Experiment(
            STSTNetConfig(), data, AdamConfig(lr=1e-3), start_from=Path(start)
        )

    short, long = made("~/d", "$HOME/r"), made(f"{home}/d", f"{home}/r")
    assert short == long and short.start_from == home / "r"
    assert short.identity() == made("/elsewhere", "q").identity()


def test_a_file_of_an_experiment_may_lie_at_home(home):
    (home / "e.py").write_text("EXPERIMENT = 1\n", encoding="utf-8")
    assert read_file("run", ["~/e.py", "--x"]) == (home / "e.py", ["--x"])


@pytest.mark.parametrize("path", ["~nobody-of-that-name/r", os.fsdecode(b"r\xff")])
def test_what_stands_for_no_folder_is_refused(path, home):
    with pytest.raises(UsageError, match="runs="):
        parse(ReportOptions, "x", [path])


def test_variables_may_begin_at_home(home, monkeypatch):
    from jmer.runner.plan import cache_folder

    monkeypatch.setenv("TFDS_DATA_DIR", "~/t")
    monkeypatch.setenv("JMER_CACHE", "$HOME/c")
    assert (default_data_dir(), cache_folder()) == (home / "t", home / "c")
    monkeypatch.delenv("JMER_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "~/x")
    assert cache_folder() == home / "x/jmer"
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")  # which its rules ignore
    assert cache_folder() == home / ".cache/jmer"


def test_without_a_home_there_is_a_cache_of_ones_own(nobody):
    folder = user_cache()
    assert folder.is_dir() and user_cache() == folder
    assert folder.stat().st_mode & 0o777 == 0o700


def test_without_a_home_a_place_for_sets_is_asked_for(nobody):
    from jmer.data import check

    config = Casme2()
    assert str(config.data_dir) == "~/tensorflow_datasets"
    expand_fields(config)
    with pytest.raises(UsageError, match="lie with --data-dir DIR, or set TFDS"):
        check(config)
    assert not Path("~").exists()


@pytest.mark.parametrize(
    ("sheet", "disk"),
    [("sub\u00e9", "sube\u0301"), ("한", "\u1112\u1161\u11ab"), ("Å", "\u212b")],
)
def test_names_match_however_letters_are_composed(sheet, disk, tmp_path):
    from data_builders.disk import Disk

    (tmp_path / disk / "a").mkdir(parents=True)
    assert Disk().child(tmp_path, sheet) == tmp_path / disk
    assert Disk().find_root(tmp_path, [sheet], lambda p: p != tmp_path)


def test_cells_are_composed_as_the_names_of_folders(tmp_path):
    from openpyxl import Workbook

    from jmer.data.tables import read_tables

    (tmp_path / "a.csv").write_text("subject,clip\nsube\u0301,1\n", encoding="utf-8")
    book = Workbook()
    book.active.append(["sube\u0301", "\u212b"])
    book.save(tmp_path / "a.xlsx")
    assert read_tables(tmp_path / "a.csv")[0].rows[1] == ["sub\u00e9", "1"]
    assert read_tables(tmp_path / "a.xlsx")[0].rows[0] == ["sub\u00e9", "\u00c5"]
