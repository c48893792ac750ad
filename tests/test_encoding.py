"""Text is read and written as UTF-8, whatever the locale of the machine says."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PLACES = ("jmer", "data_builders", "experiments", "docs", ".ci")
FILES = sorted(
    file
    for place in PLACES
    for file in (ROOT / place).rglob("*.py")
    if "_build" not in file.parts
)
# Our own that are called so, and take text alone.
OURS = {"jmer.files.write_text"}


def name_of(call: ast.Call) -> str:
    match call.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def text_mode(call: ast.Call) -> bool:
    """Whether `open` and its kind are not told to take bytes."""
    said = [key.value for key in call.keywords if key.arg == "mode"] + call.args
    modes = [a.value for a in said if isinstance(a, ast.Constant)]
    return not any(isinstance(m, str) and len(m) < 4 and "b" in m for m in modes)


def asks_the_locale(call: ast.Call, ours: set[str]) -> bool:
    """Whether a call that reads or writes text leaves the encoding to the machine."""
    name, keywords = name_of(call), {key.arg for key in call.keywords}
    if "encoding" in keywords or (isinstance(call.func, ast.Name) and name in ours):
        return False
    match name, call.func:
        case "read_text" | "write_text", _:
            return len(call.args) < (1 if name == "read_text" else 2)
        case "open", ast.Attribute(
            value=ast.Name(id="os" | "archive" | "av") | ast.Attribute(attr="zip")
        ):
            return False  # descriptors, members of archives, and videos, all bytes
        case "open" | "fdopen" | "TextIOWrapper", _:
            return text_mode(call)
        case "NamedTemporaryFile" | "TemporaryFile" | "SpooledTemporaryFile", _:
            return bool(call.args or "mode" in keywords) and text_mode(call)
        case "run" | "Popen" | "check_output" | "check_call" | "loadtxt", _:
            return name == "loadtxt" or bool(keywords & {"text", "universal_newlines"})
        case "getoutput" | "getstatusoutput" | "genfromtxt" | "savetxt", _:
            return True
    return False


def of_ours(tree: ast.Module) -> set[str]:
    return {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if f"{node.module}.{alias.name}" in OURS
    }


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_no_encoding_is_left_to_the_locale(file):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    ours = of_ours(tree) | ({"write_text"} if file.match("jmer/files/*.py") else set())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert not [
        f"line {call.lineno}: {ast.unparse(call)}"
        for call in calls
        if asks_the_locale(call, ours)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "path.read_text()",
        "Path('a').write_text('b')",
        "open('a')",
        "path.open('w', newline='')",
        "gzip.open('a', 'rt')",
        "os.fdopen(3)",
        "io.TextIOWrapper(raw)",
        "subprocess.run(['a'], text=True)",
        "subprocess.check_output(['a'], universal_newlines=True)",
        "tempfile.NamedTemporaryFile('w')",
        "np.savetxt('a', b)",
    ],
)
def test_the_rule_sees_what_the_linter_does_not(text):
    (call,) = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Call)][:1]
    assert asks_the_locale(call, set())


@pytest.mark.parametrize(
    "text",
    [
        "path.read_text('utf-8')",
        "path.open('rb')",
        "open('a', encoding='utf-8')",
        "subprocess.run(['a'], capture_output=True)",
        "os.open(path, os.O_RDONLY)",
        "tempfile.NamedTemporaryFile()",
    ],
)
def test_the_rule_lets_bytes_be(text):
    call = ast.parse(text, mode="eval").body
    assert isinstance(call, ast.Call) and not asks_the_locale(call, set())
