"""The one exception that a user is meant to read."""


class JmerError(Exception):
    """A mistake outside the program: names the file or value, and the remedy.

    The command line prints the message alone and exits with `exit_code`; the
    traceback is shown under `--debug`.
    """

    exit_code = 1


def quoted(value: object) -> str:
    """A value as an error shows it: its `repr`, of a long one without the middle."""
    return shortened(repr(value))


def shortened(text: str) -> str:
    """A name as an error shows it, of a long one without the middle."""
    return text if len(text) <= 120 else f"{text[:60]}…{text[-20:]}"


class UsageError(JmerError):
    """An option or an experiment that cannot be run as written."""

    exit_code = 2
