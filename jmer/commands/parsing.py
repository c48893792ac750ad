"""From words to options. Light: help and mistakes wait for no library of arrays."""

import dataclasses
import importlib
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tyro

from jmer import shipped
from jmer.commands.mistakes import on_one_line
from jmer.errors import UsageError, option, quoted
from jmer.files.places import expand_fields, expanded, require_known
from jmer.text import did_you_mean


def read_file(command: str, words: list[str]) -> tuple[Path, list[str]]:
    """The experiment file that the words begin with, and the words after it.

    Raises: UsageError if there is none; SystemExit after the usage, if asked for it.
    """
    if not words or words[0].startswith("-"):
        usage = f"usage: jmer {command} FILE [options]"
        if words and words[0] in ("-h", "--help"):
            print(
                f"{usage}\n\nFILE is an experiment: a Python file, or the name of one "
                f"that comes with jmer (`jmer list experiments`).\n"
                f"`jmer {command} FILE --help` explains the options."
            )
            raise SystemExit(0)
        raise UsageError(f"the experiment file comes first. {usage}")
    return shipped.find(expanded(Path(words[0]))), words[1:]


def read_name(
    command: str, what: str, known: Iterable[str], words: list[str]
) -> tuple[str, list[str]]:
    """The name that the words begin with, one of `known`, and the words after it.

    Raises: UsageError if there is none; SystemExit after the usage, if asked for it.
    """
    names = ", ".join(known := list(known))
    if not words or words[0].startswith("-"):
        usage = f"usage: jmer {command} NAME [options]; NAME: {names}"
        if words and words[0] in ("-h", "--help"):
            print(f"{usage}\n\n`jmer {command} NAME --help` explains the options.")
            raise SystemExit(0)
        raise UsageError(f"the name of {what} comes first. {usage}")
    name, *words = words
    if name not in known:
        article = what.partition(" ")[2]
        raise UsageError(
            f"no {article} is called {quoted(name)}{did_you_mean(name, known)}. usage: "
            f"jmer {command} NAME [options]; NAME: {names}"
        )
    return name, words


def parse(kind: type, prog: str, words: list[str], default: Any = None) -> Any:
    """The options in `words`.

    Raises: UsageError for an option that had another name before; SystemExit after
    help, and after a line on what was not understood.
    """
    words = _gathered(words)
    words, default = _with_protocol(words, default)
    _refuse_former_names(prog, words, default)
    options: dict[str, Any] = {} if default is None else {"default": default}
    with on_one_line(prog, asks_for_help=bool({"-h", "--help"} & {*words})):
        parsed = tyro.cli(
            kind,
            args=words,
            prog=prog,
            config=(tyro.conf.FlagCreatePairsOff,),
            **options,
        )
    if dataclasses.is_dataclass(parsed):
        expand_fields(parsed)
        for field in dataclasses.fields(parsed):
            value = getattr(parsed, field.name)
            for path in value if isinstance(value, tuple) else (value,):
                # Nobody chose a folder of data that no command may need.
                if isinstance(path, Path) and field.name != "data_dir":
                    require_known(path, option(field.name))
    return parsed


def note_owner(folders: Iterable[Path]) -> None:
    """Says of each run or sweep in which another process is at work that what is read
    of it may be unfinished."""
    from jmer.files.lock import holder, tell
    from jmer.runs.folder import LOCK

    for folder in folders:
        if owner := holder(folder / LOCK):
            tell(f"{folder} is in use by {owner}: what it has so far may be unfinished")


def import_modules(names: Iterable[str]) -> None:
    """Imports modules that the user names, from the folder of work too, and files: an
    experiment's, or one with a network or a data set.

    Raises: UsageError for one that is not there, or fails.
    """
    for name in names:
        if name.endswith(".py"):
            _run_file(name)
            continue
        if str(Path.cwd()) not in sys.path:
            sys.path.append(str(Path.cwd()))
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise UsageError(
                f"--import {name}: it cannot be imported ({error}). Give the name of a "
                f"module, as `import` takes it, and put its folder on PYTHONPATH."
            ) from error


def _run_file(name: str) -> None:
    from jmer.experiment import definitions
    from jmer.shipped.beside import imported

    file = expanded(Path(name))
    if not file.is_file() or shipped.is_experiment(file):
        definitions(name)
        return
    try:
        imported(file)
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"--import {name} fails: {type(error).__name__}: {error}"
        ) from error


def _refuse_former_names(prog: str, words: list[str], default: Any) -> None:
    experiment = getattr(default, "experiment", None)
    data = getattr(experiment or default, "data", None)
    of_experiment = experiment or getattr(default, "of_experiment", False)
    prefix = "--data." if of_experiment else "--"
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


def _with_protocol(words: list[str], default: Any) -> tuple[list[str], Any]:
    """The words without `--protocol NAME`, and the default with that protocol: what
    options of it there are depends on which it is.

    Raises: UsageError if none is called so, or it is named twice.
    """
    experiment = getattr(default, "experiment", default)
    if not hasattr(experiment, "protocol"):
        return words, default
    kept, names = list[str](), list[str]()
    left = iter(words)
    for word in left:
        named, equals, value = word.partition("=")
        if named != "--protocol":
            kept.append(word)
        else:
            names.append(value if equals else next(left, ""))
    if not names:
        return words, default
    from jmer.data.splits import chosen_protocol

    if len(names) > 1:
        raise UsageError(f"--protocol is given twice: {' and '.join(names)}")
    chosen = chosen_protocol(names[0], experiment.protocol)
    experiment = dataclasses.replace(experiment, protocol=chosen)
    if hasattr(default, "experiment"):
        return kept, dataclasses.replace(default, experiment=experiment)
    return kept, experiment


def _gathered(words: list[str]) -> list[str]:
    """With all clips behind one `--exclude`, which can be given several times."""
    first, kept, clips = "", list[str](), list[str]()
    inside = False
    for word in words:
        option, equals, value = word.partition("=")
        if option in ("--exclude", "--data.exclude"):
            first, inside = option, not equals
            clips += [value] if equals else []
        elif inside and not word.startswith("-"):
            clips.append(word)
        else:
            inside = False
            kept.append(word)
    return [*kept, first, *clips] if first else kept
