"""The command that begins an experiment of one's own."""

import dataclasses
import itertools
import re
import shlex
from pathlib import Path

import tyro

from jmer import shipped
from jmer.commands.parsing import parse
from jmer.errors import UsageError
from jmer.files import write_text
from jmer.text import did_you_mean


@dataclasses.dataclass(frozen=True)
class NewOptions:
    """Copy an experiment that comes with jmer, to edit and run. Nothing is replaced."""

    name: tyro.conf.Positional[str]
    """Its name, as `jmer list experiments` prints it."""
    out: Path | None = None
    """File to write (.py; default: its name, in this folder)."""

    def __post_init__(self) -> None:
        if self.out is not None and self.out.suffix != ".py":
            raise UsageError(f"out={self.out} must end in .py")


def new(words: list[str]) -> int:
    if not words:
        raise UsageError(
            "the name of an experiment comes first, as `jmer list experiments` prints "
            "it. usage: jmer new NAME [--out FILE]"
        )
    options = parse(NewOptions, "jmer new", words)
    known = shipped.experiments_in(shipped.folder())
    if options.name not in known:
        raise UsageError(
            f"no experiment is called {options.name!r}"
            f"{did_you_mean(options.name, known)}; `jmer list experiments` shows those "
            f"that come with jmer."
        )
    source = known[options.name]
    out = options.out or Path(source.name)
    if out.exists() or out.is_symlink():
        raise UsageError(
            f"{out} is there already, and stays: `jmer new {options.name} --out "
            f"{shlex.quote(str(_free(out)))}` writes another file."
        )
    command = f"jmer run {shlex.quote(str(out))}"
    before = re.compile(rf"jmer run {re.escape(options.name)}(\.py)?(?![\w./-])")
    text = before.sub(lambda match: command, source.read_text("utf-8"))
    write_text(out, text)
    print(f"{out}: edit it, then `{command}`")
    return 0


def _free(out: Path) -> Path:
    """A name beside `out` that nothing has yet."""
    numbered = (out.with_stem(f"{out.stem}-{n}") for n in itertools.count(2))
    return next(path for path in numbered if not (path.exists() or path.is_symlink()))
