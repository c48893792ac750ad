"""What is printed to pipes that closed, full disks and poor encodings."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jmer.commands import streams

ROOT = Path(__file__).resolve().parent.parent


def jmer(words, end="", **variables):
    """The command as it is typed, with what the shell does to its streams."""
    command = f'exec "{sys.executable}" -m jmer {words} {end}'
    return subprocess.run(
        ["bash", "-c", command],
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
    )


@pytest.mark.parametrize(
    "words", ["list experiments", "--help", "list --help", "run quickstart --help"]
)
def test_a_full_disk_is_one_line_and_code_1(words):
    done = jmer(words, "> /dev/full")
    assert done.returncode == 1
    assert done.stderr.decode().startswith("error: cannot write the output: No space")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    "end", [">&-", "2>&-", "<&-", "<&- >&- 2>&-", "| head -c 1", "> /dev/full 2>&1"]
)
def test_closed_streams_raise_nothing(end):
    done = jmer("list experiments", end)
    assert done.returncode == ("full" in end)
    assert b"Traceback" not in done.stderr and b"Exception" not in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "gbk", "cp1254"])
def test_letters_that_an_encoding_lacks_are_replaced(encoding):
    done = jmer("run 'nö–±中'", PYTHONIOENCODING=encoding)
    assert done.returncode == 2
    said = done.stderr.decode(encoding)
    assert said.startswith("error: no experiment is called 'n")
    assert said.count("\n") == 1


def test_letters_of_ours_have_plain_ones():
    assert "a – b ± c…\xa0中".encode("ascii", "jmer.plain") == b"a - b +/- c... \\u4e2d"
    assert "r\udcff".encode("utf-8", "jmer.plain") == b"r\\udcff"


@pytest.mark.parametrize("columns", ["1", "0", "-5", "abc", "20"])
def test_no_width_hangs_or_breaks_help(columns):
    done = jmer("data prepare casme2 --help", COLUMNS=columns)
    assert done.returncode == 0 and b"--manual-dir" in done.stdout


def test_a_stream_that_fails_once_drops_the_rest():
    with Path("/dev/full").open("wb", buffering=0) as full:
        raw = streams.Lasting(full.fileno())
        assert raw.write(b"abc") == 3 and raw.write(b"de") == 2
        assert raw.failure is not None and not raw.isatty()


def test_a_reader_who_has_gone_is_no_failure():
    here, there = os.pipe()
    os.close(here)
    raw = streams.Lasting(there)
    assert raw.write(b"abc") == 3 and raw.failure is not None
    assert streams._said(raw.failure) is None
    os.close(there)
