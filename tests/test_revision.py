"""The revision that runs and benchmarks note."""

import shutil
import subprocess

import pytest

from jmer.runs.environment import revision

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


def git(folder, *words):
    named = ("-c", "user.name=n", "-c", "user.email=e")
    done = subprocess.run(
        ("git", *named, *words), cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def package(tmp_path):
    """A checkout with a package and a page."""
    made = tmp_path / "checkout" / "jmer"
    made.mkdir(parents=True)
    (made / "__init__.py").write_text("a = 1\n")
    (made.parent / "page.md").write_text("a page\n")
    git(made.parent, "init", "-q")
    git(made.parent, "add", ".")
    git(made.parent, "commit", "-qm", "first")
    return made


def test_the_commit_of_code_as_it_is(package):
    commit = git(package, "rev-parse", "--short=12", "HEAD")
    assert revision(package) == commit and len(commit) == 12
    (package.parent / "page.md").write_text("another\n")
    (package.parent / "new.py").write_text("")
    assert revision(package) == commit


@pytest.mark.parametrize("how", ["changed", "staged", "removed", "beside"])
def test_other_code_is_said(package, how):
    file = package / "__init__.py"
    if how == "beside":  # such as experiments and builders
        file = package.parent / "setup.cfg"
        file.write_text("")
        git(package, "add", str(file))
    elif how == "removed":
        other = package / "other.py"
        other.write_text("")
        git(package, "add", "other.py")
        git(package, "commit", "-qm", "second")
        other.unlink()
    else:
        file.write_text("a = 2\n")
    if how == "staged":
        git(package, "add", "__init__.py")
    commit = git(package, "rev-parse", "--short=12", "HEAD")
    assert revision(package) == f"{commit}-dirty"


def test_jmer_installed_within_another_project_has_none(package, tmp_path):
    inside = package.parent / ".venv" / "jmer"
    inside.mkdir(parents=True)
    (inside / "__init__.py").write_text("")
    assert revision(inside) is None
    outside = tmp_path / "alone" / "jmer"
    outside.mkdir(parents=True)
    (outside / "__init__.py").write_text("")
    assert revision(outside) is None
