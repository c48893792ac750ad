"""The experiments that come with jmer, by name.

A name is the path below `experiments/` without its ending: `quickstart`,
`synthetic/hsta`. They lie in the checkout, or in an installed jmer beside this file,
where `experiments/quickstart.py`, as one types it in a checkout, is a name as well.
"""

import ast
import re
import shlex
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
        if is_experiment(file)
    }


def find(experiment: Path | str) -> Path:
    """The file of an experiment: one that exists, or else one that comes with jmer.

    Raises: UsageError if it is neither; it says what may have been meant.
    """
    path = Path(experiment)
    if path.is_file():
        return path
    known = experiments_in(folder())
    if path.is_dir() and path.as_posix() not in known:
        raise UsageError(_of_folder(path))
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


def _of_folder(path: Path) -> str:
    """Why a folder is no experiment, and what may have been meant."""
    what = f"{shortened(str(path))} is a folder, and no experiment file"
    if (path / "experiment.json").is_file():  # a run
        return (
            f"{what}, but a run: give the file that it is a run of, and the folder as "
            f"--run-dir {shlex.quote(str(path))}."
        )
    files = sorted(file for file in path.glob("*.py") if is_experiment(file))
    if files:
        names = ", ".join(shlex.quote(str(file)) for file in files[:4])
        return f"{what}: give one of those in it, {names}{' …' * (len(files) > 4)}."
    return f"{what}; `jmer list experiments` shows those that come with jmer."


def is_experiment(file: Path) -> bool:
    """Whether a file defines an experiment; it is not run, nor need it be Python."""
    defining = r"^(EXPERIMENT|SWEEP)\b.*="
    try:
        return bool(re.search(defining, file.read_text("utf-8"), re.MULTILINE))
    except (OSError, UnicodeDecodeError):
        return False


def first_line(file: Path) -> str:
    """The first line of a file's docstring, without running it; "" without one."""
    doc = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or ""
    return doc.partition("\n")[0]
