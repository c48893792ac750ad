"""Remedies as a user takes them out of an error: whole commands, and options."""

import ast
import contextlib
import io
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from jmer.cli import main

ROOT = Path(__file__).resolve().parent.parent
# What looks like a command or an option of the command line.
REMEDY = re.compile(
    r"(?<![\w/.-])jmer [a-z]+|(?<![\w-])--[a-z{]|pip install|`\{command\}`"
)
# Written by a call instead: the name of the option is that of the command at work.
NAMED = {"data_option", "source_option", "other_choices"}
NAMED |= {"command_for", "without", "check_command"}
# The name of an option or of a command alone, which parsers are made of.
NAME = re.compile(r"--[\w.{}-]*(=\{.*\})?|jmer( ([a-z]+|\{[^`]*\}))+|jmer data check")
WORD = r"(?:'[^']*'|\"[^\"]*\"|[^\s'\",;:`])+"


def said(words: Sequence[str]) -> tuple[int, str]:
    """The exit code of `jmer WORDS`, and all that it says."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            code = main(list(words))
        except SystemExit as ended:
            code = int(ended.code or 0)
    return code, out.getvalue()


def error(words: Sequence[str]) -> str:
    """What `jmer WORDS` is refused with: one line."""
    code, text = said(words)
    assert code in (1, 2), text
    lines = [line for line in text.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and "Traceback" not in text, text
    return lines[0]


def works(words: Sequence[str]) -> str:
    """What `jmer WORDS` says, which ends well."""
    code, text = said(words)
    assert code == 0, f"{shlex.join(words)}\n{text}"
    return text


def commands(text: str) -> list[list[str]]:
    """The commands in backquotes, as a shell reads them, without `jmer`."""
    spans = re.findall(r"`(jmer [^`]+)`", text)
    return [shlex.split(span)[1:] for span in spans]


def option(text: str, name: str) -> list[str]:
    """An option and its value, as a shell reads them; the sentence's end is left."""
    found = re.search(rf"(?<![\w-]){re.escape(name)} {WORD}", text)
    assert found, f"{name} is not in: {text}"
    return shlex.split(re.sub(r"[.)]$", "", found[0]))


def strings(file: Path) -> Iterator[str]:
    """The texts of a file that are no docstrings, what is filled in as `{…}`."""
    tree = ast.parse(file.read_text("utf-8"))
    nodes = list(ast.walk(tree))
    passed = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            passed |= {id(part) for part in node.values}
    for node in nodes:
        if id(node) in passed:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value)
                if isinstance(part, ast.Constant)
                else f"{{{ast.unparse(part.value)}}}"  # type: ignore[attr-defined]
                for part in node.values
            )


def remedies() -> list[tuple[str, str]]:
    """File and text of all that looks like a remedy in jmer and its data sets."""
    files = [*(ROOT / "jmer").rglob("*.py"), *(ROOT / "data_builders").rglob("*.py")]
    return [
        (file.relative_to(ROOT).as_posix(), text)
        for file in sorted(files)
        for text in strings(file)
        if not NAME.fullmatch(text)
        and (REMEDY.search(text) or any(f"{name}(" in text for name in NAMED))
    ]
