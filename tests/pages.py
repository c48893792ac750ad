"""What the pages of the documentation say, taken apart so that it can be checked.

Every check returns what is wrong, in words; an empty list is a page that is true.
"""

import ast
import functools
import importlib
import inspect
import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from jmer.own.packages import DATASETS, NETWORKS

ROOT = Path(__file__).resolve().parent.parent
FENCE = re.compile(r"^(`{3,})([^\n]*)\n(.*?)^\1[ ]*$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
LINK = re.compile(r"(?<!\\)\]\(([^)\s]+)\)")
DIRECTIVE = re.compile(r"^\.\. auto(\w+):: (\S+)$", re.MULTILINE)
ELLIPSIS = "…"
# A value for what a page leaves open.
STANDS_FOR = {"FILE": "experiments/quickstart.py"}


def pages(root: Path = ROOT) -> list[Path]:
    """All pages of a checkout, those of the root first."""
    built = root / "docs/_build"
    return [
        *(root / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
        root / "experiments/benchmarks/README.md",
        *sorted(p for p in (root / "docs").rglob("*.md") if built not in p.parents),
    ]


def prose(text: str) -> str:
    """The text without its fenced blocks."""
    return FENCE.sub("", text)


# Commands


def commands(text: str) -> Iterator[tuple[list[str], bool]]:
    """The words after `jmer` of every command, and whether a reader may type it as it
    is: in blocks of a shell, yes; a span of code may leave out what is required.
    """
    for _, kind, body in FENCE.findall(text):
        shell = kind.strip() in ("", "bash", "sh") or "%%bash" in body
        for line in body.replace("\\\n", " ").splitlines() if shell else ():
            for words in in_line(line):
                yield words, True
    for span in SPAN.findall(prose(text)):
        span = " ".join(span.split())
        if span.split()[0] == "jmer" and ELLIPSIS not in span:
            for words in in_line(span):
                yield words, False


def in_line(line: str) -> Iterator[list[str]]:
    try:
        words = shlex.split(line, comments=True)
    except ValueError:  # a line of a document within the block
        return
    inner = [word for word in words if " jmer " in f" {word}" and " " in word]
    for word in inner:  # a command that another one is told to run
        yield from in_line(word)
    start: list[int] = [
        i for i, word in enumerate(words) if re.fullmatch(r"(.*/)?jmer", word)
    ]
    for i in start:
        found = []
        for word in words[i + 1 :]:
            if word in ("&&", "|", ";", ">", "2>&1"):
                break
            found.append(STANDS_FOR.get(word, word))
        yield found


def written(text: str) -> dict[str, str]:
    """The files that a page writes when it is built, by name."""
    cells = [body for _, kind, body in FENCE.findall(text) if "code-cell" in kind]
    found = {}
    for cell in cells:
        first, _, rest = cell.partition("\n")
        if first.startswith("%%writefile "):
            found[first.split()[1]] = rest
    return found


# Names, files and links


def names(text: str) -> set[str]:
    """Dotted names of jmer's modules and what is in them."""
    return set(re.findall(r"\b(?:jmer|data_builders)(?:\.[A-Za-z_]\w*)+", text))


def find(name: str) -> Any:
    """What a dotted name stands for. Raises: AttributeError or ImportError."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError as error:
            if error.name and ".".join(parts[:length]).startswith(error.name):
                continue
            raise
        if ROOT not in Path(found.__file__ or "").parents:
            raise ImportError(f"it is not this checkout's: {found.__file__}")
        for part in parts[length:]:
            found = getattr(found, part)
        return found
    raise ImportError(name)


def missing_names(text: str) -> list[str]:
    wrong = []
    groups = {NETWORKS, DATASETS}  # of entry points, and no modules
    for name in sorted(names(text) - groups):
        try:
            find(name)
        except (AttributeError, ImportError) as error:
            wrong.append(f"{name}: {error}")
    return wrong


def missing_files(text: str, root: Path = ROOT) -> list[str]:
    """Files of the checkout that are named and not there; `*` stands for any part."""
    tree = r"(?:jmer|data_builders|experiments|tests|docs|\.ci)/[\w./*-]*[\w*/]"
    found = {*re.findall(rf"(?<![\w./-]){tree}", text)}
    found |= {
        f"experiments/{name}" for name in re.findall(r"`([\w*]+_[\w*]+\.py)`", text)
    }
    # What a reader makes, and what is written with a name of his own.
    theirs = re.compile(r"_build|NAME|__init__\.py|my_")
    return sorted(
        name
        for name in found
        if not theirs.search(name) and not any(root.glob(name.rstrip("/")))
        if not any(root.glob(f"experiments/**/{Path(name).name}"))
    )


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub and MyST make it."""
    plain = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return plain.replace(" ", "-")


def anchors(text: str) -> set[str]:
    heads = re.findall(r"^#{1,6} (.+)$", prose(text), re.MULTILINE)
    return {slug(head) for head in heads}


def broken_links(page: Path) -> list[str]:
    """Relative links of a page that lead nowhere, and pages of a list of contents."""
    text, wrong = page.read_text(encoding="utf-8"), []
    for target in LINK.findall(prose(text)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = page.parent / file if file else page
        if not there.exists():
            wrong.append(f"{target}: no such file")
        elif anchor and anchor not in anchors(there.read_text()):
            wrong.append(f"{target}: no such heading")
    for _, kind, body in FENCE.findall(text):
        if kind.strip() != "{toctree}":
            continue
        entries = [line for line in body.splitlines() if line and line[0] != ":"]
        wrong += [
            f"{entry}: no such page"
            for entry in entries
            if not (page.parent / f"{entry}.md").is_file()
        ]
    return wrong


def unknown_terms(text: str, glossary: str) -> list[str]:
    """Words that are marked as terms, and are none of the glossary."""
    marked = re.findall(r"\{term\}`([^`]+)`", text)
    terms = [re.sub(r".*<(.*)>", r"\1", " ".join(word.split())) for word in marked]
    heads = set(re.findall(r"^(\S.*)$", FENCE.findall(glossary)[0][2], re.MULTILINE))
    return sorted({term for term in terms if term not in heads})


# The reference


def public(text: str) -> list[tuple[str, str]]:
    """Kind and name of what a page of the reference documents."""
    return DIRECTIVE.findall(text)


def undocumented(name: str, kind: str = "") -> list[str]:
    """What lacks a docstring: the name itself, its public methods and properties, and,
    of a configuration, its fields.
    """
    thing = find(name)
    if kind == "data":
        return [] if name.rpartition(".")[2] in field_docs(home(name)) else [name]
    wrong = [] if own_doc(thing) else [name]
    if not inspect.isclass(thing):
        return wrong
    for key, value in vars(thing).items():
        method = inspect.isfunction(inspect.unwrap(getattr(value, "__func__", value)))
        inner = isinstance(value, property | functools.cached_property) or method
        told = inspect.getdoc(getattr(thing, key)) or key in field_docs(thing)
        if key[0] != "_" and inner and not told:
            wrong.append(f"{name}.{key}")
    call = vars(thing).get("__call__")
    if name.startswith("jmer.nn.") and call is not None and not call.__doc__:
        wrong.append(f"{name}.__call__")
    if name.endswith(("Config", "Experiment", "Spec", "Recipe")):
        fields = field_docs(thing)
        mine = vars(thing).get("__annotations__", {})
        wrong += [f"{name}.{key}" for key in mine if key not in fields]
    return wrong


def own_doc(thing: Any) -> str | None:
    """Its docstring, but not that of a class it inherits from, nor one that
    `dataclass` makes of the signature.
    """
    doc = thing.__dict__.get("__doc__") if inspect.isclass(thing) else thing.__doc__
    made = inspect.isclass(thing) and (doc or "").startswith(f"{thing.__name__}(")
    return None if made else doc


def home(name: str) -> ModuleType:
    return importlib.import_module(name.rpartition(".")[0])


def field_docs(kind: type | ModuleType) -> set[str]:
    """Names of the fields of a class, or of the values of a module, that a text
    follows; those of base classes too.
    """
    told = set()
    places = kind.__mro__[:-1] if isinstance(kind, type) else (kind,)
    for one in places:
        try:
            tree: Any = ast.parse(inspect.getsource(one))
        except (OSError, TypeError, SyntaxError):
            continue
        body = tree.body[0].body if isinstance(one, type) else tree.body
        for field, text in itertools.pairwise(body):
            if not isinstance(text, ast.Expr):
                continue
            if isinstance(field, ast.AnnAssign):
                told.add(ast.unparse(field.target))
            elif isinstance(field, ast.Assign):
                told |= {ast.unparse(target) for target in field.targets}
    return told


# Messages


@functools.cache
def texts() -> tuple[str, ...]:
    """Every text in the code, with `…` for what is put into it."""
    found = []
    for folder in ("jmer", "data_builders"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.JoinedStr):
                    parts = [
                        part.value if isinstance(part, ast.Constant) else ELLIPSIS
                        for part in node.values
                    ]
                    found.append("".join(map(str, parts)))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.append(node.value)
    return tuple(found)


def unknown_messages(text: str, known: tuple[str, ...]) -> list[str]:
    """Headings that quote an error which no code has."""
    wrong = []
    for message in re.findall(r"^### `(.+)`$", text, re.MULTILINE):
        parts = [re.escape(part.strip()) for part in message.split(ELLIPSIS)]
        pattern = re.compile(".*".join(part for part in parts if part), re.DOTALL)
        if not any(pattern.search(one) for one in known):
            wrong.append(message)
    return wrong
