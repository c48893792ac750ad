"""Figures are the same whatever notebooks, files and variables tell Matplotlib."""

import ast
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from jmer.report.draw.confusion import confusion_png
from jmer.report.draw.learning import learning_png
from jmer.report.draw.settings import own_settings

ROOT = Path(__file__).resolve().parent.parent
ODD = [
    {"text.usetex": True},
    {"font.family": "monospace", "font.size": 31, "font.weight": "bold"},
    {"figure.dpi": 900, "savefig.dpi": 700, "savefig.bbox": "tight"},
    {"figure.constrained_layout.use": False, "figure.autolayout": True},
    {"image.lut": 3, "image.cmap": "hot", "axes.unicode_minus": False},
    {"axes.prop_cycle": matplotlib.cycler(color=["red"]), "lines.linewidth": 9},
    {"axes.formatter.use_locale": True, "savefig.transparent": True},
    {"axes.grid": True, "xtick.labelsize": 30, "path.sketch": (5, 10, 2)},
]
DRAW = """
import hashlib, sys
import numpy as np
from jmer.errors import JmerError
from jmer.report.draw.confusion import confusion_png
try:
    png = confusion_png(np.array([[3, 1], [0, 2]]), ["a", "b"])
except JmerError as error:
    sys.exit(f"error: {error}")
print(hashlib.sha256(png).hexdigest())
"""


def drawn():
    confusion = confusion_png(np.array([[3, 1], [0, 2]]), ["a", "b"])
    curve = np.array([1, 2, 3]), np.array([0.9, 0.5, 0.7])
    return confusion, learning_png({"loss": curve})


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: next(iter(odd)))
def test_settings_of_a_user_change_no_figure_and_stay_theirs(odd):
    plain = drawn()
    with matplotlib.rc_context(odd):
        before = dict(matplotlib.rcParams)
        assert drawn() == plain
        assert dict(matplotlib.rcParams) == before


def test_a_failure_leaves_the_users_settings():
    with matplotlib.rc_context({"lines.linewidth": 9}):
        with pytest.raises(ZeroDivisionError), own_settings():
            assert matplotlib.rcParams["lines.linewidth"] != 9
            raise ZeroDivisionError
        assert matplotlib.rcParams["lines.linewidth"] == 9


def test_whatever_draws_does_so_under_our_settings():
    """`png` and `new_figure` are called by functions that say so, and their helpers."""
    for file in sorted((ROOT / "jmer/report").rglob("*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if not isinstance(node, ast.FunctionDef):
                continue
            called = {
                call.func.id
                for call in ast.walk(node)
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
            }
            if {"png", "new_figure"} & called:
                said = [ast.unparse(one) for one in node.decorator_list]
                assert said == ["own_settings()"], f"{file}: {node.name}"


def damaged(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    return str(tmp_path)


@pytest.mark.parametrize(
    "told",
    [
        lambda tmp: {"MPLBACKEND": "module://matplotlib_inline.backend_inline"},
        lambda tmp: {"MPLBACKEND": "nonsense", "MPLCONFIGDIR": "/proc/nowhere"},
        lambda tmp: {"MPLCONFIGDIR": damaged(tmp, "matplotlibrc", b"\xff\xfe")},
        lambda tmp: {"MPLCONFIGDIR": damaged(tmp, "fontlist-v390.json", b"{")},
    ],
    ids=["backend of a notebook", "nonsense", "no UTF-8", "cache of fonts"],
)
def test_what_matplotlib_reads_ends_no_figure(told, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", DRAW],
        env={**os.environ, "PYTHONPATH": str(ROOT), **told(tmp_path)},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == hashlib.sha256(drawn()[0]).hexdigest()


def test_a_file_that_ends_the_import_is_named(tmp_path):
    damaged(tmp_path, "matplotlibrc", b"\xff\xfe")
    done = subprocess.run(
        [sys.executable, "-c", DRAW],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"{tmp_path / 'matplotlibrc'} is there, mend or rename it" in done.stderr
