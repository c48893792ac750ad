"""The one exception that a user is meant to read."""


class JmerError(Exception):
    """A mistake outside the program: names the file or value, and the remedy.

    The command line prints the message alone and exits with `exit_code`; the
    traceback is shown under `--debug`.
    """

    exit_code = 1


class UsageError(JmerError):
    """An option or an experiment that cannot be run as written."""

    exit_code = 2
