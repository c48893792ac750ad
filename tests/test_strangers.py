"""A run from a stranger reads, writes and changes nothing outside its folder, and what
is wrong with it is one error that names the file."""

import itertools
import json
import os
import shlex
import shutil
import stat
import sys
from pathlib import Path

import pytest
from fabricated import make_run

import jmer
from data_builders.synthetic import Synthetic
from data_builders.synthetic.synthetic_dataset_builder import Builder
from jmer.cli import main
from jmer.data.asking import command_for
from jmer.errors import JmerError
from jmer.files import inside, read_json, write_json
from jmer.files.recorded import made_from
from jmer.own.origin import is_ours
from jmer.report.pictures import pictures
from jmer.report.sweep import cells_of, write_sweep
from jmer.runs.explain import data_of
from jmer.runs.run import Run, read_run

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c6360f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    return make_run(
        tmp_path_factory.mktemp("plain") / "run", name="plain", wrong_every=3
    )


@pytest.fixture
def run(plain, tmp_path) -> Path:
    """A stranger's run, beside a secret and a folder that must stay as they are."""
    folder = shutil.copytree(plain, tmp_path / "given" / "run")
    secret = tmp_path / "secret.txt"
    secret.write_text("do not tell")
    secret.chmod(0o600)
    victim = tmp_path / "victim"
    (victim / "synthetic").mkdir(parents=True, mode=0o700)
    for name in ("precious", "synthetic/precious.png", "report.md"):
        (victim / name).write_bytes(PIXEL)
        (victim / name).chmod(0o640)
    of_set(folder, data_dir=str(victim))
    about = json.loads((folder / "experiment.json").read_text())["experiment"]["data"]
    fields = {n: v for n, v in about.items() if n not in ("name", "data_dir")}
    # Just where the set would be prepared.
    place = victim / "synthetic" / Synthetic(**fields).config_name
    (place / Builder.VERSION).mkdir(parents=True)
    (place / Builder.VERSION / "mine.txt").write_text("precious")
    return folder


def outside(run: Path) -> dict[str, tuple]:
    """Content, mode and time of all beside the run; of a folder, its names."""
    root, found = run.parent.parent, {}
    for path in sorted(root.rglob("*")):
        if path == run or run in path.parents or path == run.parent:
            continue
        about = path.lstat()
        content = path.read_bytes() if path.is_file() else sorted(os.listdir(path))  # noqa: PTH208
        found[str(path)] = (content, about.st_mode, about.st_mtime_ns)
    return found


def explained(run: Path, path: object) -> Path:
    """The run with an explanation that names a figure."""
    folder = run / "explain" / "clip"
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    about = {
        "title": "clip",
        "answers": [],
        "figures": [{"path": path, "alt": "a", "caption": "c"}],
    }
    (folder / "explain.json").write_text(json.dumps(about))
    return folder


OUT = [
    "{secret}",
    "../../../../secret.txt",
    "figures/../../../../../secret.txt",
    "file://{secret}",
    "~/secret.txt",
    "..\\..\\secret.txt",
    "C:\\secret.txt",
    "//{secret}",
    "figures/a\0.png",
    "figures/a\n.png",
    ".",
    "",
    None,
    7,
    ["figures"],
]


@pytest.mark.parametrize("path", OUT, ids=ascii)
def test_figures_come_from_beside_their_explanation(run, path):
    secret = run.parent.parent / "secret.txt"
    if isinstance(path, str):
        path = path.replace("{secret}", str(secret))
    file = explained(run, path) / "explain.json"
    before = outside(run)
    with pytest.raises(JmerError, match=r"figures\[0\]\.path is ") as caught:
        list(pictures(run))
    assert str(file) in str(caught.value)
    assert outside(run) == before


@pytest.mark.parametrize("kind", ["link", "text", "svg", "huge", "pipe", "folder"])
def test_figures_are_pictures(run, kind):
    place = explained(run, "figures/a.png") / "figures/a.png"
    secret = run.parent.parent / "secret.txt"
    if kind == "link":
        place.symlink_to(secret)
    elif kind == "pipe":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    else:
        claimed = PIXEL[:16] + b"\0\1\0\0\0\1\0\0" + PIXEL[24:]
        made = {"text": b"root:x:0", "svg": b"<svg onload='x'/>", "huge": claimed}
        place.write_bytes(made[kind])
    before = outside(run)
    assert main(["report", str(run)]) == (0 if kind == "folder" else 1)
    assert outside(run) == before
    if (run / "report.html").exists():
        assert "do not tell" not in (run / "report.html").read_text()


def test_a_figure_that_is_there_stays_as_it_is(run):
    place = explained(run, "figures/a.png") / "figures/a.png"
    place.write_bytes(PIXEL)
    place.chmod(0o400)
    before = place.stat()
    assert main(["report", str(run)]) == 0
    after = place.stat()
    assert (after.st_mode, after.st_mtime_ns) == (before.st_mode, before.st_mtime_ns)
    assert "explain/clip/figures/a.png" in (run / "report.md").read_text()


LINKS = (
    "figures",
    "explain",
    "checkpoints",
    "predictions.csv",
    "report.md",
    "spotting",
)


@pytest.mark.parametrize("name", LINKS)
def test_a_link_out_of_a_run_is_refused(run, name, capsys):
    place, victim = run / name, run.parent.parent / "victim"
    if place.exists():
        shutil.rmtree(place) if place.is_dir() else place.unlink()
    place.symlink_to(victim / "precious" if "." in name else victim)
    before = outside(run)
    for words in (["report"], ["audit"], ["explain"], ["spot"], ["report", str(run)]):
        assert main([*words, str(run)]) == 1
        error = capsys.readouterr().err
        assert f"{name} is a link out of" in error and error.count("\n") == 1
    with pytest.raises(JmerError, match="is a link out of"):
        jmer.load_run(run)
    with pytest.raises(JmerError, match="is a link out of"):
        jmer.compare(run, run)
    assert outside(run) == before


def test_links_within_a_run_are_its_own(run):
    (run / "more").symlink_to("checkpoints")
    (run / "curve").symlink_to(run / "progress.jsonl")
    (run / "alias").symlink_to(run)
    read_run(run)
    (run.parent / "latest").symlink_to(run)
    read_run(run.parent / "latest")


@pytest.mark.parametrize("name", ["metrics.json", "x", "checkpoints/pack-0000/x"])
def test_a_pipe_keeps_nobody_waiting(run, name, capsys):
    place = run / name
    place.unlink(missing_ok=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(place)
    for command in ("report", "audit", "explain", "spot"):
        assert main([command, str(run)]) == 1
        assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(JmerError, match="a device or a pipe"):
        read_json(place)


SYNTHETIC = {"name": "synthetic", "subjects": 2, "clips": 6, "size": 32, "length": 5}


def of_set(run: Path, **fields: object) -> None:
    """The run as one of a set that lies where `fields` say."""
    file = run / "experiment.json"
    about = json.loads(file.read_text())
    about["experiment"]["data"] = {**SYNTHETIC, **fields}
    about["experiment"]["protocol"] = {"kind": "Loso"}
    write_json(file, about)  # sealed, as a stranger would


@pytest.mark.parametrize("where", ["victim", "victim/new", "given/run/prepared"])
def test_nothing_is_prepared_for_a_run(run, where, capsys):
    of_set(run, data_dir=str(run.parent.parent / where))
    before, inner = outside(run), sorted(run.rglob("*"))
    assert main(["audit", str(run)]) == 1  # its predictions are made up
    said = capsys.readouterr().out
    assert "Cannot tell: the data set could not be read" in said
    place = run.parent.parent / where
    # What is recorded has no word of tracks: it is of before there was a choice.
    prepare = f"`jmer data prepare synthetic --data-dir {place} --size 32"
    assert f"{prepare} --tracks chained --subjects 2" in said
    for command in ("explain", "spot"):
        assert main([command, str(run)]) == 1
        assert "jmer data prepare synthetic" in capsys.readouterr().err
    assert outside(run) == before
    made = {path.name for path in set(run.rglob("*")) - set(inner)}
    assert made == {"audit.md", "audit.json"}


@pytest.mark.parametrize(
    ("field", "value"),
    [("size", "32"), ("clips", True), ("clips", [6]), ("data_dir", 3), ("odd", 1),
     ("flow", "../x"), ("subjects", None), ("subjects", -1), ("size", {"a": 1})],
    ids=ascii,
)  # fmt: skip
def test_a_set_of_odd_types_cannot_be_read(run, field, value, capsys):
    of_set(run, **{field: value})
    assert main(["explain", str(run)]) == 1
    error = capsys.readouterr().err
    assert str(run / "experiment.json") in error and error.count("\n") == 1
    assert f"data.{field}" in error or field.replace("_", "-") in error


def test_random_clips_of_a_stranger_do_not_fill_the_memory(run, capsys):
    of_set(run)
    file = run / "experiment.json"
    about = json.loads(file.read_text())
    about["experiment"]["data"] = {"name": "random", "shapes": [["x", [10**6, 10**6]]]}
    about["data"]["kind"] = "jmer.data.random_clips:RandomClips"
    write_json(file, about)
    assert main(["explain", str(run)]) == 1
    assert "GB, and are not made" in capsys.readouterr().err


@pytest.mark.parametrize("folder", ["../../victim", "{victim}", "~", "a/../../..", "l"])
def test_cells_of_a_sweep_lie_in_it(run, folder):
    victim = run.parent.parent / "victim"
    sweep = run.parent / "sweep"
    sweep.mkdir()
    (sweep / "l").symlink_to(victim)
    cell = {"name": "a", "folder": folder.replace("{victim}", str(victim))}
    (sweep / "sweep.json").write_text(json.dumps({"cells": [cell]}))
    before = outside(run)
    for read in (cells_of, write_sweep):
        with pytest.raises(JmerError, match=r"cells\[0\]\.folder is"):
            read(sweep)
    assert outside(run) == before


def changed(file: Path, where: str, value: object) -> None:
    content = json.loads(file.read_text(encoding="utf-8"))
    *path, last = [int(p) if p.isdigit() else p for p in where.split(".")]
    inner = content
    for part in path:
        inner = inner[part]
    inner[last] = value
    write_json(file, content)


ODD = [
    ("metrics.json", "uf1", "0.9"),
    ("metrics.json", "uf1", True),
    ("metrics.json", "uf1", 10**400),
    ("metrics.json", "uf1", -0.1),
    ("metrics.json", "classes", {}),
    ("metrics.json", "classes", []),
    ("metrics.json", "classes", ["a"] * 300),
    ("metrics.json", "seeds", [0.5]),
    ("metrics.json", "seeds", []),
    ("metrics.json", "confusion", [[1]]),
    ("metrics.json", "confusion.0", None),
    ("metrics.json", "confusion.0.0", -1),
    ("metrics.json", "per_class.surprise", 3),
    ("metrics.json", "per_class.surprise.n", "5"),
    ("metrics.json", "per_dataset.samm.n_samples", None),
    ("metrics.json", "per_subject.1.subject", ["s"]),
    ("metrics.json", "per_subject", "none"),
    ("metrics.json", "diverged", [{}]),
    ("metrics.json", "oracle", 0),
    ("metrics.json", "std.uf1", "x"),
    ("metrics.json", "wall_seconds", -1),
    ("metrics.json", "throughput", {"folds_per_hour": 1}),
    ("metrics.json", "variants", {"a": 1}),
    ("metrics.json", "protocol", 7),
    ("experiment.json", "name", None),
    ("experiment.json", "command", ["jmer"]),
    ("experiment.json", "versions", []),
    ("experiment.json", "versions", {"jax": 1}),
    ("experiment.json", "device.count", 1.5),
    ("experiment.json", "device", "cpu"),
    ("experiment.json", "data.fingerprint", 1),
    ("experiment.json", "experiment", []),
    ("experiment.json", "experiment.model", "ststnet"),
]


@pytest.mark.parametrize(("name", "where", "value"), ODD, ids=ascii)
def test_odd_types_are_one_error_that_names_the_field(run, name, where, value):
    changed(run / name, where, value)
    with pytest.raises(JmerError) as caught:
        read_run(run)
    first = where.split(".")[0]
    assert f"{run / name}: {first}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[" * 100_000 + "]" * 100_000, "nested too deep"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "nested too deep"),
        ('{"uf1": NaN}', "NaN is no number"),
        ('{"uf1": -Infinity}', "-Infinity is no number"),
        ('{"name": "\\ud800"}', "lone surrogate"),
        ("1" * 10_000, "digits"),
        (b"\xff\xfe{}", "utf-8"),
        ("[]", "must be an object"),
        ("null", "must be an object"),
    ],
    ids=range(9),
)
def test_json_that_python_would_choke_on(run, content, said):
    file = run / "metrics.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(JmerError, match=said) as caught:
        read_run(run)
    assert str(file) in str(caught.value)


def test_a_file_that_is_far_too_large_is_not_read(run, monkeypatch):
    file = run / "metrics.json"
    with file.open("ab") as opened:
        opened.truncate(inside.MOST_JSON + 1)  # which takes no room on the disk
    with pytest.raises(JmerError, match="more than the 64 MiB"):
        read_run(run)


def test_names_act_on_no_terminal_and_no_page(run, capsys):
    hostile = "\x1b[2J\x1b]0;x\x07\u202egnp.exe\n# forged<script>alert(1)</script>"
    changed(run / "experiment.json", "name", hostile)
    changed(run / "experiment.json", "command", hostile.replace("<", "("))
    changed(run / "metrics.json", "per_subject.0.subject", hostile)
    assert main(["report", str(run)]) == 0
    shown = capsys.readouterr().out
    for text in (
        shown,
        (run / "report.md").read_text(),
        (run / "report.html").read_text(),
        (run / "scores.tex").read_text(),
    ):
        assert not {"\x1b", "\x07", "\u202e"} & set(text)
        assert "<script>alert" not in text
    assert not any(line.startswith("# forged") for line in shown.splitlines()[:20])


def test_an_error_is_one_line_whatever_it_names(tmp_path, capsys):
    place = tmp_path / "a\x1b[31m\nerror: forged\u202e"
    assert main(["report", str(place)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "\x1b" not in error and "\u202e" not in error


def test_the_modes_of_inputs_stay(run):
    for name in ("metrics.json", "experiment.json", "predictions.csv"):
        (run / name).chmod(0o400)
    assert main(["report", str(run)]) == 0
    for name in ("metrics.json", "experiment.json", "predictions.csv"):
        assert stat.S_IMODE((run / name).stat().st_mode) == 0o400


def test_preparing_where_something_else_lies_removes_nothing(run, capsys):
    data = json.loads((run / "experiment.json").read_text(encoding="utf-8"))
    config = made_from(
        Synthetic,
        {n: v for n, v in data["experiment"]["data"].items() if n != "name"},
        run / "experiment.json",
        "experiment.data",
    )
    before = {n: x for n, x in outside(run).items() if n.endswith((".txt", ".png"))}
    assert main(shlex.split(command_for(config, "prepare"))[1:]) == 1
    assert "mine.txt is no part of a prepared set" in capsys.readouterr().err
    after = outside(run)
    assert {name: after[name] for name in before} == before


SENTINEL = "open({ran!r}, 'w').close()\n"
KINDS = [
    *("evil:Set", "experiment_evil:Set", "jmer_beside_0123456789ab.evil:Set"),
    *("evil.py:Set", "./evil.py:Set", "{run}/evil.py:Set", "jmer.evil:Set"),
    *("data_builders.evil:Set", "data_builders./../../evil.py:Set", "..evil:Set"),
    *("jmer.data.find:config_at", "os:system", "builtins:exec", "__main__:main"),
    *("sitecustomize:Set", ":", "evil", "evil:", "evil:Set\n", "-c:Set", ""),
]


def trapped(run: Path, ran: Path) -> None:
    """The run with files in it that tell if they are run, under names that something
    may look for, and with a package as if it were installed."""
    names = ("evil", "experiment_evil", "sitecustomize", "usercustomize", "matplotlib")
    for name in (*names, "evil_dataset_builder", "synthetic_dataset_builder"):
        (run / f"{name}.py").write_text(SENTINEL.format(ran=str(ran)))
    (run / "matplotlibrc").write_text("backend: module://evil\n")
    (run / "evil.pth").write_text("import evil\n")
    about = run / "evil-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Name: evil\nVersion: 1\n")
    points = "evil = evil:Set\nsynthetic = evil:Set\nststnet = evil:Set\n"
    (about / "entry_points.txt").write_text(
        f"[jmer.datasets]\n{points}[jmer.networks]\n{points}"
    )


def is_refused(read, run) -> bool:
    try:
        read(run)
    except JmerError:
        return True
    return False


def test_no_code_runs_because_a_run_names_it(run, tmp_path, monkeypatch, capsys):
    """Neither of files in it, nor of packages that lie in it as if installed."""
    ran, file = tmp_path / "ran", run / "experiment.json"
    trapped(run, ran)
    monkeypatch.chdir(run)
    for kind, (name, network) in itertools.product(
        KINDS, (("evil", "evil"), ("synthetic", "ststnet"))
    ):
        kind = kind.replace("{run}", str(run))
        of_set(run, name=name)
        content = json.loads(file.read_text())
        origin = {"kind": kind, "file": str(run / "evil.py"), "import": "evil"}
        content["data"] |= origin
        content["network"] = origin
        content["experiment"]["model"]["name"] = network
        write_json(file, content)
        found = jmer.load_run(run)
        refused = [is_refused(read, found) for read in (data_of, Run.weights.func)]
        assert is_ours(kind) or not kind or all(refused)
    monkeypatch.setattr(sys, "path", [*sys.path, str(run), ""])  # as of --import
    for words in (["report"], ["audit"], ["explain"], ["spot"]):
        main([*words, "."])
        error = capsys.readouterr().err
        assert all(line.startswith("error: ") for line in error.splitlines()), error
    assert not ran.exists()


def test_the_table_of_a_strangers_set_is_not_read(run, tmp_path, capsys):
    """Nor the files that it names, though a table in a run is where its clips are."""
    table = tmp_path / "victim" / "clips.csv"
    table.write_text("clip,subject,label\nprecious,me,do not tell\n")
    of_set(run)
    file = run / "experiment.json"
    content = json.loads(file.read_text())
    fields = {"table": str(table), "root": str(tmp_path), "modality": "clip"}
    content["experiment"]["data"] = {"name": "folder", **fields}
    content["data"]["kind"] = "data_builders.folder:Folder"
    write_json(file, content)
    set_ = data_of(jmer.load_run(run)).without_source()
    assert set_.manual_dir is None
    with pytest.raises(JmerError, match="is not looked at"):
        _ = set_.class_names
    before = outside(run)
    for command in ("audit", "explain"):
        assert main([command, str(run)]) == 1
        assert "do not tell" not in "".join(capsys.readouterr())
    assert outside(run) == before
