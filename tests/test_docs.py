"""The documentation keeps its word: commands, names, links, messages and examples."""

import argparse
import doctest
import importlib
import inspect
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pages
import pytest
import tyro
from fabricated import make_run
from pages import ROOT

import jmer
from jmer import cli
from jmer.optim import OptimConfig

PAGES = pages.pages()
IDS = [str(page.relative_to(ROOT)) for page in PAGES]
REFERENCE = [page for page in PAGES if page.parent.name == "reference"]
# By the libraries: the command prints it and does nothing else.
MADE_ELSEWHERE = ("Unrecognized options: …",)


class Parsed(BaseException):
    """What a command was told, once its own parser has understood it."""


@pytest.fixture
def only_parsed(monkeypatch):
    """Commands end where their parser has done its work."""

    def ending(parser):
        def parse(*args, **options):
            raise Parsed(parser(*args, **options))

        return parse

    monkeypatch.setattr(tyro, "cli", ending(tyro.cli))
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "120")
    whole = argparse.ArgumentParser.parse_args

    def parse_args(self, *args, **options):
        found = whole(self, *args, **options)
        if self.prog == "jmer bench":
            raise Parsed(found)
        return found

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_args)


def misunderstood(words: list[str], whole: bool, capsys) -> str:
    """What the command line says against a command; empty if it understands it, or all
    but what a span of code leaves out.
    """
    listed = [line.split() for line in cli.OVERVIEW.splitlines() if line[:2] == "  "]
    if words and any(line[: len(words)] == words for line in listed):
        return ""  # the name of a command, or its first word
    try:
        code = cli.main(words)
    except Parsed as parsed:
        if words[0] == "run":
            return sweep_problem(words[1], parsed.args[0])
        return ""
    except SystemExit as ended:
        code = ended.code
    said = capsys.readouterr()
    text = f"{said.out}{said.err}" or f"exit code {code}"
    return "" if code == 0 or (not whole and "Required option" in text) else text


def sweep_problem(file: str, options) -> str:
    from jmer import shipped
    from jmer.errors import JmerError
    from jmer.sweep.cells import load_sweep

    if not options.sweep and not options.cells:
        return ""
    try:
        sweep = load_sweep(shipped.find(file)).over(options.experiment, options.sweep)
        sweep.choose(options.cells)
    except JmerError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_commands_are_understood(page, only_parsed, capsys, tmp_path, monkeypatch):
    wrong = {}
    text = page.read_text()
    own = {name: tmp_path / name for name in pages.written(text)}
    for name, content in pages.written(text).items():
        own[name].parent.mkdir(exist_ok=True)
        own[name].write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    for words, whole in pages.commands(text):
        words = [str(own.get(word, word)) for word in words]
        if said := misunderstood(words, whole, capsys):
            wrong[" ".join(words)] = said
    assert not wrong


@pytest.mark.parametrize(
    "text",
    [
        "```\njmer run experiments/no_such_file.py\n```",
        "```\njmer run experiments/quickstart.py \\\n    --optim.rl 3\n```",
        "```\nsrun -n 2 jmer run FILE --epochs many\n```",
        "```\njmer weights import ststnet\n```",
        "```\ngcloud ssh --command 'jmer run FILE --nothing 1'\n```",
        "```\njmer run experiments/quickstart.py --sweep optim.rl=1,2\n```",
        "```\npip install x && .venv/bin/jmer raport runs/a\n```",
        "```{code-cell}\n%%bash\njmer bench FILE --peer tensorflow\n```",
        "Type `jmer data chek casme2`.",
        "`jmer list\nmodles`",
    ],
)
def test_a_command_that_is_none_is_seen(text, only_parsed, capsys):
    ((words, whole),) = pages.commands(text)
    assert misunderstood(words, whole, capsys)


def test_commands_are_found_wherever_they_are():
    found = [words for page in PAGES for words, _ in pages.commands(page.read_text())]
    assert len(found) > 100
    assert {words[0] for words in found if words} > {"run", "data", "audit", "bench"}


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_names_and_files_are_there(page):
    if page.name == "CHANGELOG.md":
        return  # it names what was, too
    text = page.read_text()
    assert not pages.missing_names(text)
    assert not pages.missing_files(text)


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_somewhere(page):
    assert not pages.broken_links(page)


def test_terms_are_in_the_glossary():
    glossary = (ROOT / "docs/glossary.md").read_text()
    for page in PAGES:
        assert not pages.unknown_terms(page.read_text(), glossary), page


def test_every_page_is_in_a_list_of_contents():
    docs = ROOT / "docs"
    listed = {
        (page.parent / f"{line}.md").resolve()
        for page in PAGES
        for _, kind, body in pages.FENCE.findall(page.read_text())
        if kind.strip() == "{toctree}"
        for line in body.split()
    }
    there = {page for page in PAGES if docs in page.parents}
    assert there - listed == {docs / "index.md"}


def test_what_is_not_there_is_seen(tmp_path):
    assert pages.missing_names("`jmer.train.step.Trainer.stepp`")
    assert pages.missing_names("`jmer.no_such_room.thing`")
    assert not pages.missing_names("`jmer.train.step.Trainer.step`")
    assert pages.missing_files("see `jmer/train/stepp.py`")
    assert pages.missing_files("| `stanette_*.py` |")
    assert not pages.missing_files("`stanet_*.py`, tests/test_folds.py.")
    page = tmp_path / "page.md"
    page.write_text("# One, two\n\n[a](#one-two) [b](#three) [c](other.md)\n")
    assert pages.broken_links(page) == [
        "#three: no such heading",
        "other.md: no such file",
    ]
    page.write_text("```{toctree}\n:maxdepth: 1\n\npage\nother\n```\n")
    assert pages.broken_links(page) == ["other: no such page"]
    glossary = "```{glossary}\ntask\n  One training.\n```\n"
    text = "{term}`task`, {term}`tasks <task>`, {term}`taks`"
    assert pages.unknown_terms(text, glossary) == ["taks"]


def test_the_map_has_every_room():
    text = (ROOT / "docs/architecture.md").read_text()
    rooms = [path for path in (ROOT / "jmer").iterdir() if path.name[0] != "_"]
    rooms = [path for path in rooms if path.is_dir() or path.suffix == ".py"]
    assert len(rooms) > 20
    shown = [f"`jmer/{r.name}/`" if r.is_dir() else f"`jmer/{r.name}`" for r in rooms]
    assert not [room for room in shown if room not in text]


@pytest.mark.parametrize("page", REFERENCE, ids=lambda page: page.stem)
def test_public_names_are_documented(page):
    listed = pages.public(page.read_text())
    assert listed or page.stem == "index"
    assert not [
        lacking for kind, name in listed for lacking in pages.undocumented(name, kind)
    ]


def test_what_lacks_a_docstring_is_seen(monkeypatch):
    monkeypatch.setattr("jmer.scores.metrics.uf1.__doc__", None)
    assert pages.undocumented("jmer.scores.metrics.uf1") == ["jmer.scores.metrics.uf1"]
    monkeypatch.setattr("jmer.data.clips.ClipSet.summary.__doc__", "")
    monkeypatch.setattr("jmer.data.clips.ClipSet.__doc__", "ClipSet(name: str)")
    assert pages.undocumented("jmer.data.clips.ClipSet") == [
        "jmer.data.clips.ClipSet",
        "jmer.data.clips.ClipSet.summary",
    ]
    monkeypatch.setitem(OptimConfig.__annotations__, "rate", float)
    assert pages.undocumented("jmer.optim.OptimConfig") == [
        "jmer.optim.OptimConfig.rate"
    ]


def test_the_reference_has_all_that_is_public():
    """Whatever a package offers by `__all__`, and every part of an experiment."""
    from jmer.data.splits import Protocol
    from jmer.models.base import networks

    listed = {
        id(pages.find(name))
        for page in REFERENCE
        for _, name in pages.public(page.read_text())
    }
    for module in ("jmer", "jmer.data", "jmer.nn", "jmer.report", "jmer.papers"):
        for name in importlib.import_module(module).__all__:
            thing = pages.find(f"{module}.{name}")
            if inspect.isfunction(thing) or inspect.isclass(thing):
                assert id(thing) in listed, f"{module}.{name}"
    kinds = [*networks(), *below(OptimConfig), *below(Protocol)]
    ours = [kind for kind in kinds if kind.__module__.startswith("jmer.")]
    assert not [kind for kind in ours if id(kind) not in listed]


def below(kind: type) -> list[type]:
    return [k for one in kind.__subclasses__() for k in (one, *below(one))]


def test_messages_are_those_of_the_code():
    text = (ROOT / "docs/howto/troubleshooting.md").read_text()
    known = pages.texts() + MADE_ELSEWHERE
    assert text.count("\n### `") > 20
    assert not pages.unknown_messages(text, known)
    damaged = text.replace("it is no run.", "it is no running.")
    assert len(pages.unknown_messages(damaged, known)) == 1


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Where examples run: a folder with two finished runs."""
    folder = tmp_path_factory.mktemp("place")
    make_run(folder / "runs/ststnet", name="ststnet", wrong_every=3)
    make_run(folder / "runs/stanet", name="stanet", wrong_every=6)
    return folder


def modules_with_examples() -> list[str]:
    found = []
    for package in ("jmer", "data_builders"):
        for module in pkgutil.walk_packages([str(ROOT / package)], f"{package}."):
            file = ROOT.joinpath(*module.name.split("."))
            file = file / "__init__.py" if module.ispkg else file.with_suffix(".py")
            if ">>> " in file.read_text():
                found.append(module.name)
    return found


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_of_docstrings_are_true(name, place, monkeypatch):
    monkeypatch.chdir(place)
    module = importlib.import_module(name)
    found = doctest.testmod(module, extraglobs={"jmer": jmer, "np": np})
    assert found.failed == 0 and found.attempted > 0
    assert "+SKIP" not in inspect.getsource(module)


def test_examples_are_collected():
    assert len(modules_with_examples()) > 8
    wrong = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "x", None, 0)
    silent = doctest.DocTestRunner(verbose=False)
    assert silent.run(wrong, out=lambda text: None).failed == 1


def test_examples_of_pages_are_true(place, monkeypatch):
    monkeypatch.chdir(place)
    for page in PAGES:
        found = doctest.testfile(
            str(page), module_relative=False, globs={"jmer": jmer, "np": np}
        )
        assert found.failed == 0, page


def test_the_readme_is_short_and_has_its_marks():
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 150
    for mark, word in (("quickstart", "jmer run"), ("test", "pytest")):
        _, _, after = text.partition(f"<!-- {mark} -->\n```\n")
        assert word in after.partition("```")[0]


@pytest.mark.slow
def test_the_readmes_block_runs_as_typed_after_the_quickstart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "sets"))
    assert cli.main(["run", str(ROOT / "experiments/quickstart.py")]) == 0
    _, _, after = (ROOT / "README.md").read_text().partition("```python\n")
    found = {}
    exec(after.partition("```")[0], found)
    assert found["run"].folder == Path("runs/quickstart")


@pytest.mark.slow
def test_the_pages_are_built_without_a_warning(tmp_path):
    for library in ("sphinx", "myst_nb", "furo"):
        pytest.importorskip(library, reason=f"{library} (pip install 'jmer[docs]')")
    names = ("JMER_TYPECHECK", "XLA_FLAGS")  # of the tests, not of a reader
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "-q", ROOT / "docs", tmp_path / "html"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if k not in names},
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "html/howto/notebook.html").is_file()
