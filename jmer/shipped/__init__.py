"""The experiments that come with jmer, by name.

A name is the path below `experiments/` without its ending: `quickstart`,
`synthetic/hsta`. They lie in the checkout, or in an installed jmer beside this file.
"""

import ast
import re
from pathlib import Path

from jmer.errors import UsageError
from jmer.text import did_you_mean

_HERE = Path(__file__).resolve().parent


def folder() -> Path:
    """Where they lie. Built distributions have a copy (`setup.py`)."""
    copy = _HERE / "experiments"
    return copy if copy.is_dir() else _HERE.parents[1] / "experiments"


def experiments_in(place: Path) -> dict[str, Path]:
    """The experiment files below a folder by name, in its order; none is run."""
    files = {f.relative_to(place).with_suffix(""): f for f in place.rglob("*.py")}
    return {
        name.as_posix(): file
        for name, file in sorted(files.items())
        # Others are programs of their own, such as the benchmark of optical flow.
        if re.search(r"^(EXPERIMENT|SWEEP)\b.*=", file.read_text("utf-8"), re.MULTILINE)
    }


def find(experiment: Path | str) -> Path:
    """The file of an experiment: a file that exists, or else one that comes with jmer.

    Raises: UsageError if it is neither; it says what may have been meant.
    """
    path, known = Path(experiment), experiments_in(folder())
    if path.is_file():
        return path
    if path.as_posix() in known:
        return known[path.as_posix()]
    near = path.as_posix().removeprefix("experiments/").removesuffix(".py")
    more = "`jmer list experiments` shows those that come with jmer."
    if path.suffix == ".py":
        raise UsageError(
            f"experiment file {path} does not exist{did_you_mean(near, known)}; {more}"
        )
    raise UsageError(
        f"no experiment is called {str(path)!r}, and it is no file"
        f"{did_you_mean(near, known)}; {more}"
    )


def first_line(file: Path) -> str:
    """The first line of a file's docstring, without running it; "" without one."""
    doc = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or ""
    return doc.partition("\n")[0]
