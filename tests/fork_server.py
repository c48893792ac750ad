"""Runs jmer's commands in forks of a process that has imported everything, and kills
them at a chosen operation on a file, in the midst of a write, or after a time.

The modules to import are its arguments; then a line of JSON comes in for commands to be
run at once, and one goes out: `killing.py` is who asks. Nothing here may start JAX's
backend, whose threads a fork would not have.
"""

import importlib
import json
import os
import resource
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


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
    out = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
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


def answer(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
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
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), file=speak, flush=True)


if __name__ == "__main__":
    main()
