"""From words to options."""

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
    """The options in `words`; tyro prints help and mistakes, and exits by itself."""
    options: dict[str, Any] = {} if default is None else {"default": default}
    return tyro.cli(
        kind,
        args=words,
        prog=prog,
        config=(tyro.conf.FlagCreatePairsOff,),
        **options,
    )
