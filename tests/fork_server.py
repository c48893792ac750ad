"""Runs jmer's commands in forks of a process that has imported everything, and kills
them at a chosen operation on a file, in the midst of a write, or after a time.

The modules to import are its arguments; then a line of JSON comes in for each command,
and one goes out: `killing.py` is who asks. Nothing here may start JAX's backend, whose
threads a fork would not have.
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

    def __init__(self, folder: str, end: int | None, number: int):
        self.folder, self.end, self.number = folder, end, number
        self.seen: list[str] = []
        sys.addaudithook(self.audit)
        real = os.fsync

        def fsync(descriptor: Any) -> None:
            self.note("fsync")
            real(descriptor)

        os.fsync = fsync  # the system tells nobody of it

    def audit(self, event: str, given: tuple[Any, ...]) -> None:
        if event in CHANGES or (event == "open" and given[2] & WRITING):
            if isinstance(given[0], int):
                return
            path = Path(os.fsdecode(given[0]))
            if path.absolute().is_relative_to(self.folder):
                self.note(f"{event} {path}")

    def note(self, what: str) -> None:
        self.seen.append(what)
        if len(self.seen) == self.end:
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
    operations = Operations(
        request["folder"], request.get("operation"), request["signal"]
    )
    if size := request.get("size"):
        # The system kills it in the midst of the write that makes a file longer.
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    code = 99
    try:
        from jmer.cli import main

        code = main(request["words"])
        sys.stdout.flush()
        if tell := request.get("tell"):
            Path(tell).write_text(json.dumps(operations.seen))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def answer(request: dict[str, Any]) -> dict[str, Any]:
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        command(request)
    if seconds := request.get("seconds"):
        time.sleep(seconds)
        os.kill(child, request["signal"])
    _, status, used = os.wait4(child, 0)
    return {
        "code": os.waitstatus_to_exitcode(status),
        "seconds": time.monotonic() - start,
        "cpu": used.ru_utime + used.ru_stime,
    }


def main() -> None:
    speak = os.fdopen(os.dup(1), "w")
    for name in sys.argv[1:]:
        importlib.import_module(name)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), file=speak, flush=True)


if __name__ == "__main__":
    main()
