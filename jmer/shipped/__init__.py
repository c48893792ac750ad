"""The experiments that come with jmer, by name.

A name is the path below `experiments/` without its ending: `quickstart`,
`synthetic/hsta`. They lie in the checkout, or in an installed jmer beside this file,
where `experiments/quickstart.py`, as one types it in a checkout, is a name as well.
"""

import ast
import re
from pathlib import Path

from jmer.errors import UsageError, shortened
from jmer.text import did_you_mean

_HERE = Path(__file__).resolve().parent


def folder() -> Path:
    """Where they lie. Built distributions have a copy (`setup.py`)."""
    copy = _HERE / "experiments"
    return copy if copy.is_dir() else _HERE.parents[1] / "experiments"


def experiments_in(place: Path) -> dict[str, Path]:
    """The experiment files below a folder by name, in their order; none is run."""
    files = {f.relative_to(place).with_suffix(""): f for f in place.rglob("*.py")}
    return {
        name.as_posix(): file
        for name, file in sorted(files.items())
        # Others are programs of their own, such as the benchmark of optical flow.
        if re.search(r"^(EXPERIMENT|SWEEP)\b.*=", file.read_text("utf-8"), re.MULTILINE)
    }


def find(experiment: Path | str) -> Path:
    """The file of an experiment: one that exists, or else one that comes with jmer.

    Raises: UsageError if it is neither; it says what may have been meant.
    """
    path = Path(experiment)
    if path.is_file():
        return path
    known = experiments_in(folder())
    long = re.fullmatch(r"experiments/(.+)\.py", path.as_posix())
    name = long[1] if long else path.as_posix()
    if name in known:
        return known[name]
    shown = shortened(str(path))
    what = f"no experiment is called {shown!r}, and no file"
    if path.suffix == ".py" or path.is_absolute():
        name = name.removesuffix(".py")
        what = f"experiment file {shown} does not exist"
    raise UsageError(
        f"{what}{did_you_mean(name, known)}; `jmer list experiments` shows those that "
        f"come with jmer."
    )


def first_line(file: Path) -> str:
    """The first line of a file's docstring, without running it; "" without one."""
    doc = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or ""
    return doc.partition("\n")[0]
