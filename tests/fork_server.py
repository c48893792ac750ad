"""Runs jmer's commands in forks of a process that has imported everything, and kills
them at a chosen operation on a file, in the midst of a write, or after a time.

The modules to import are its arguments; then a line of JSON comes in and one goes out:
for a list of commands to be run at once, how they ended; for a program to be started,
its number, and for such a number its exit code. `killing.py` is who asks. Nothing here
may start JAX's backend, whose threads a fork would not have.
"""

import importlib
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


class Operations:
    """Counts what this process does to the files below a folder."""

    def __init__(self, request: dict[str, Any]):
        self.folder, self.number = request["folder"], request["signal"]
        self.end, self.name = request["operation"], request["name"]
        self.token = request["token"]
        self.seen: list[str] = []
        sys.addaudithook(self.audit)
        real = os.fsync

        def fsync(descriptor: Any) -> None:
            self.note("fsync")
            real(descriptor)

        # The system tells nobody of it.
        os.fsync = fsync  # type: ignore[assignment]

    def audit(self, event: str, given: tuple[Any, ...]) -> None:
        if event in CHANGES or (event == "open" and given[2] & WRITING):
            if isinstance(given[0], int):
                return
            path = Path(os.fsdecode(given[0]))
            if path.absolute().is_relative_to(self.folder):
                self.note(f"{event} {path}")

    def note(self, what: str) -> None:
        self.seen.append(what)
        if len(self.seen) == self.end or (self.name and self.name in what):
            if self.name:  # of several processes the first one
                self.name = None
                try:
                    Path(self.token).unlink()
                except FileNotFoundError:
                    return
            os.kill(os.getpid(), self.number)


def command(request: dict[str, Any]) -> None:
    """In the fork: never returns."""
    out = os.open(request["output"], NEW)
    os.dup2(out, 1)
    os.dup2(out, 2)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(request["folder"])
    os.environ["JMER_CACHE"] = str(Path("cache").absolute())
    sys.argv = ["jmer", *request["words"]]
    operations = Operations(request)
    if size := request["size"]:
        # The system kills it in the midst of the write that makes a file longer.
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    code = 99
    try:
        from jmer.cli import main

        code = main(request["words"])
        sys.stdout.flush()
        if tell := request["tell"]:
            Path(tell).write_text(json.dumps(operations.seen), encoding="utf-8")
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def program(request: dict[str, Any]) -> NoReturn:
    """In the fork: all that `python -m jmer` does, from its streams to its end."""
    files = (os.devnull, os.O_RDONLY), *((request[n], NEW) for n in ("output", "error"))
    for number, (file, flags) in enumerate(files):
        os.dup2(os.open(file, flags), number)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(request["folder"])
    os.environ.update(request["environment"])
    sys.argv = ["jmer", *request["words"]]
    from jmer.cli import main

    sys.exit(main())


def started(request: dict[str, Any]) -> int:
    if (child := os.fork()) == 0:
        program(request)
    return child


def code_of(child: int) -> int | None:
    """Of a program that was started; None while it runs."""
    ended, status = os.waitpid(child, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def run(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """How each of these ended, which ran at once."""
    start, children = time.monotonic(), []
    for request in requests:
        children.append(os.fork())
        if children[-1] == 0:
            command(request)
    for child, request in zip(children, requests, strict=True):
        if seconds := request["seconds"]:
            time.sleep(seconds)
            os.kill(child, request["signal"])
    ended = []
    for child in children:
        _, status, used = os.wait4(child, 0)
        ended.append(
            {
                "code": os.waitstatus_to_exitcode(status),
                "seconds": time.monotonic() - start,
                "cpu": used.ru_utime + used.ru_stime,
            }
        )
    return ended


def main() -> None:
    speak = os.fdopen(os.dup(1), "w")
    for name in sys.argv[1:]:
        importlib.import_module(name)
    answers: dict[type, Callable[[Any], Any]] = {list: run, dict: started, int: code_of}
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(answers[type(asked)](asked)), file=speak, flush=True)


if __name__ == "__main__":
    main()
