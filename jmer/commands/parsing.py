"""From words to options."""

import shlex
from pathlib import Path
from typing import Any

import tyro

from jmer.errors import UsageError


def read_file(command: str, words: list[str]) -> tuple[Path, list[str]]:
    """The name of the experiment file, and the words after it."""
    if not words or words[0].startswith("-"):
        usage = f"usage: jmer {command} FILE [options]"
        if words and words[0] in ("-h", "--help"):
            print(f"{usage}\n\n`jmer {command} FILE --help` explains the options.")
            raise SystemExit(0)
        raise UsageError(f"the experiment file comes first. {usage}")
    return Path(words[0]), words[1:]


def parse(kind: type, prog: str, words: list[str], default: Any = None) -> Any:
    """The options in `words`; tyro prints help and mistakes, and exits by itself.

    Raises: UsageError for an option that had another name before.
    """
    _refuse_former_names(prog, words, default)
    options: dict[str, Any] = {} if default is None else {"default": default}
    return tyro.cli(
        kind,
        args=words,
        prog=prog,
        config=(tyro.conf.FlagCreatePairsOff,),
        **options,
    )


def _refuse_former_names(prog: str, words: list[str], default: Any) -> None:
    experiment = getattr(default, "experiment", None)
    data = getattr(experiment or default, "data", None)
    prefix = "--data." if experiment else "--"
    for name, before in getattr(data, "formerly", {}).items():
        old, new = f"{prefix}{before}", f"{prefix}{name}"
        renamed = [
            new + word[len(old) :] if word.partition("=")[0] == old else word
            for word in words
        ]
        if renamed != words:
            raise UsageError(
                f"{old} is called {new} now: type `{prog} {shlex.join(renamed)}`"
            )
