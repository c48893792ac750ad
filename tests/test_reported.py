"""A report that fails costs no results, and says what to type."""

import errno

import pytest

from jmer.commands.run import scored_at_least
from jmer.errors import JmerError
from jmer.runner.reported import NotReported, reported, said


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (RuntimeError("latex could\nnot be found"), "RuntimeError: latex could not be"),
        (JmerError("cannot write x: full."), "cannot write x: full"),
        (OSError(errno.ENOSPC, "No space left"), "No space left"),
        (MemoryError(), "MemoryError"),
        (UnicodeEncodeError("ascii", "é", 0, 1, "ordinal"), "UnicodeEncodeError"),
        (ValueError("x" * 5000), "xxx…"),
    ],
)
def test_whatever_goes_wrong_is_one_line_with_a_command(error, text, tmp_path):
    def fails(folder):
        raise error

    folder = tmp_path / "a b"
    with pytest.raises(NotReported) as found:
        reported(fails, folder, {"uf1": 0.5})
    line = str(found.value)
    assert text in line and "\n" not in line and len(line) < 900
    assert f"`jmer report '{folder}'`" in line
    assert found.value.exit_code == 3 and found.value.metrics == {"uf1": 0.5}
    assert found.value.__cause__ is error


def test_an_interruption_is_none(tmp_path):
    def stopped(folder):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reported(stopped, tmp_path)


def test_a_report_that_is_written_is_given_back(tmp_path):
    assert reported(lambda folder: folder.name, tmp_path) == tmp_path.name


def test_scores_are_shown_all_the_same(monkeypatch, tmp_path):
    shown = []
    monkeypatch.setattr(
        "jmer.commands.run.print_summary", lambda *a, **k: shown.append((a, k))
    )
    with pytest.raises(NotReported), scored_at_least(tmp_path):
        raise NotReported("no", {"uf1": 1.0})
    assert shown == [(({"uf1": 1.0}, tmp_path), {"reported": False})]
    with pytest.raises(NotReported), scored_at_least(tmp_path):
        raise NotReported("no", None)
    assert len(shown) == 1


def test_an_error_of_ours_is_not_named_by_its_class():
    assert said(JmerError("no.")) == "no"
