"""The processes of a run find one another, or say who is missing."""

import contextlib
import errno
import ipaddress
import json
import os
import select
import socket
import time
from collections.abc import Callable
from typing import Any

from jmer.errors import JmerError
from jmer.text import counted
from jmer.train.channel import WAKE_SECONDS, Channel, Link, Member
from jmer.train.launcher import Launch

MOST_HELLO = 4096  # bytes of what a process says before it is known
HELLO_SECONDS = 2.0  # for a process that has come to say who it is
QUIET_SECONDS = 2.0  # of waiting, before it is said
AGAIN_SECONDS = 15.0  # before it is said again
ALONE = "If this process was started alone, add --alone."
OWN = "each with a --process-id of its own"


def meet(
    launch: Launch,
    *,
    seconds: float,
    say: Callable[[str], Any],
    stopping: Callable[[], bool] = lambda: False,
) -> Channel:
    """Waits until all processes of a launch are here, for `seconds` at most, and tells
    for whom.

    Raises: JmerError, on each process that is here, if they do not meet;
    KeyboardInterrupt once `stopping` says so.
    """
    if launch.index:
        return _Guest(launch, seconds, say, stopping).go()
    return _Host(launch, seconds, say, stopping).go()


class _Meeting:
    def __init__(
        self,
        launch: Launch,
        seconds: float,
        say: Callable[[str], Any],
        stopping: Callable[[], bool],
    ) -> None:
        self.launch, self.seconds, self.stopping = launch, seconds, stopping
        self.deadline = time.monotonic() + seconds
        self._say, self._said = say, ""
        self._next = time.monotonic() + QUIET_SECONDS

    def tell(self, text: str) -> None:
        """Says it once it takes long, and again now and then, or if it has changed."""
        now = time.monotonic()
        if now < self._next and not (self._said and text != self._said):
            return
        left = max(0, self.deadline - now)
        self._say(f"{text} ({self.launch.found}; {left:.0f} s more at most)")
        self._said, self._next = text, now + AGAIN_SECONDS

    def late(self) -> bool:
        """Raises: KeyboardInterrupt if this process is to end."""
        if self.stopping():
            raise KeyboardInterrupt
        return time.monotonic() > self.deadline

    @property
    def me(self) -> Member:
        return Member(
            self.launch.index, self.launch.count, socket.gethostname(), os.getpid()
        )


class _Host(_Meeting):
    """The first process, which the others come to."""

    def go(self) -> Channel:
        links: dict[int, Link] = {}
        members = {0: self.me}
        try:
            with self._listening() as server:
                while missing := self._missing(links):
                    self.tell(_waiting(links, missing, self.launch))
                    if self.late():
                        raise JmerError(self._too_few(missing))
                    self._take(server, links, members)
                    self._drop_gone(links)
        except BaseException as error:
            words = str(error) if isinstance(error, JmerError) else "interrupted"
            _send(links, b"STOP", words.encode())
            for link in links.values():
                link.close()
            raise
        present = [members[i] for i in range(self.launch.count)]
        _send(links, b"MEET", json.dumps(present).encode())
        return Channel(0, present, links, self.stopping)

    def _missing(self, links: dict[int, Link]) -> list[int]:
        return [i for i in range(1, self.launch.count) if i not in links]

    def _listening(self) -> socket.socket:
        """Raises: JmerError if the port is in use."""
        host, port = self.launch.host, self.launch.port
        here = host == "localhost" or _is_loopback(host)
        six = ":" in host if here else socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if six else socket.AF_INET
        # Of a machine with several networks, whichever the others come by.
        place = host if here else ("::" if six else "")
        try:
            server = socket.create_server(
                (place, port), family=family, dualstack_ipv6=six and not here
            )
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise JmerError(
                    f"process 0 cannot listen at {self.launch.address} "
                    f"({error.strerror or error}): give a --coordinator HOST:PORT of "
                    f"the machine that --process-id 0 runs on, with a port above 1023."
                ) from error
            raise JmerError(
                f"port {port} of {socket.gethostname()} is in use by another process, "
                f"maybe one of this run that was started as --process-id 0 too: give "
                f"another port with --coordinator {host}:PORT, the same to all."
            ) from error
        server.settimeout(WAKE_SECONDS)
        return server

    def _take(
        self, server: socket.socket, links: dict[int, Link], members: dict[int, Member]
    ) -> None:
        """Takes in a process that comes, or sends it away with the reason."""
        try:
            connection, _ = server.accept()
        except TimeoutError:
            return
        link = Link(connection)
        connection.settimeout(HELLO_SECONDS)
        try:
            kind, content = link.receive(MOST_HELLO)
            hello = json.loads(content)
            if kind != b"JMER" or not isinstance(hello, dict):
                raise ValueError("no process of jmer")
            theirs = [hello[name] for name in ("index", "count", "process")]
            if not all(type(value) is int for value in theirs):
                raise ValueError("no numbers")
            index, count, process = theirs
            reason = self._refuses(index, count, str(hello.get("job")), members, links)
            if reason is None:
                link.send(b"WAIT", _waiting(links, [], self.launch).encode())
                connection.settimeout(None)
                links[index] = link
                members[index] = Member(
                    index, count, str(hello.get("host"))[:80], process
                )
                missing = self._missing(links)
                _send(links, b"WAIT", _waiting(links, missing, self.launch).encode())
                return
            link.send(b"STOP", reason.encode())
            self._say(reason)
        except (OSError, EOFError, ValueError, KeyError):
            pass  # a stranger: whoever looks at all ports of a machine
        link.close()

    def _refuses(
        self,
        index: int,
        count: int,
        job: str,
        members: dict[int, Member],
        links: dict[int, Link],
    ) -> str | None:
        at = self.launch.address
        if job != self.launch.job:
            return (
                f"process {index} of another job ({job}) came to {at}, where job "
                f"{self.launch.job or 'of hand'} meets: its variables are left over "
                f"from there, or it needs another --coordinator."
            )
        if count != self.launch.count:
            return (
                f"process {index} was started as one of {count}, but process 0 as one "
                f"of {self.launch.count}: give the same --num-processes to all."
            )
        if not 0 <= index < count or index in links or index == 0:
            return (
                f"process {index} came to {at} twice (the first is "
                f"{members.get(index)}): give each a --process-id of its own."
            )
        return None

    def _drop_gone(self, links: dict[int, Link]) -> None:
        """Forgets those that came and went again."""
        ready, _, _ = select.select([x.connection for x in links.values()], [], [], 0)
        for index, link in list(links.items()):
            if link.connection in ready:
                with contextlib.suppress(OSError):
                    if link.connection.recv(1, socket.MSG_PEEK):
                        continue
                del links[index]
                link.close()

    def _too_few(self, missing: list[int]) -> str:
        launch = self.launch
        return (
            f"{launch.count - len(missing)} of {launch.count} processes have come to "
            f"{launch.address} within {self.seconds:g} s; missing: "
            f"{', '.join(map(str, missing[:8]))}{'…' if len(missing) > 8 else ''} "
            f"({launch.found}). Check that all were started, {OWN}, and can reach "
            f"{launch.host}, or give them longer with --meeting-seconds. {ALONE}"
        )


class _Guest(_Meeting):
    """One of the others, who come to the first."""

    def go(self) -> Channel:
        link: Link | None = None
        try:
            link = self._arrive()
            present = self._wait(link)
        except BaseException:
            if link is not None:
                link.close()
            raise
        members = [Member(*one) for one in present]
        return Channel(self.launch.index, members, {0: link}, self.stopping)

    def _arrive(self) -> Link:
        """A connection to the first process, which knows who this is.

        Raises: JmerError if there is none in time.
        """
        launch, problem = self.launch, "no answer"
        about = {
            "index": launch.index,
            "count": launch.count,
            "job": launch.job,
            "host": self.me.host,
            "process": self.me.process,
        }
        while True:
            try:
                link = self._connect()
                link.send(b"JMER", json.dumps(about).encode())
                return link
            except OSError as error:
                problem = error.strerror or str(error)
            self.tell(
                f"process {launch.index} of {launch.count} waits for process 0 at "
                f"{launch.address}: {problem}"
            )
            if self.late():
                raise JmerError(
                    f"process {launch.index} of {launch.count} has found nobody at "
                    f"{launch.address} for {self.seconds:g} s: {problem} "
                    f"({launch.found}). Check that process 0 was started on "
                    f"{launch.host} and that its port can be reached from here, or "
                    f"wait longer with --meeting-seconds. Where all have met already, "
                    f"it takes in nobody more: start them again, {OWN}. {ALONE}"
                )
            time.sleep(WAKE_SECONDS)

    def _connect(self) -> Link:
        place = (self.launch.host, self.launch.port)
        connection = socket.create_connection(place, timeout=HELLO_SECONDS)
        if connection.getsockname() == connection.getpeername():
            # Nobody listens, and the system gave this end the very port.
            connection.close()
            raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
        return Link(connection)

    def _wait(self, link: Link) -> list[Any]:
        """Who is there, once all are.

        Raises: JmerError if the first process says so, or is none of jmer.
        """
        # The first one knows best when it is late, and says so.
        self.deadline += AGAIN_SECONDS
        at = self.launch.address
        while True:
            ready, _, _ = select.select([link.connection], [], [], WAKE_SECONDS)
            if not ready:
                if self.late():
                    raise JmerError(
                        f"process 0 at {at} does not answer: it was stopped, or "
                        f"another program has that port. Give another --coordinator."
                    )
                continue
            try:
                kind, content = link.receive()
            except (EOFError, OSError) as error:
                raise JmerError(
                    f"process 0 at {at} has ended while this one waited for the others."
                ) from error
            except ValueError as error:
                raise JmerError(
                    f"another program answers at {at}: give another port with "
                    f"--coordinator {self.launch.host}:PORT, the same to all."
                ) from error
            if kind == b"MEET":
                link.connection.settimeout(None)
                return json.loads(content)
            if kind == b"STOP":
                raise JmerError(content.decode(errors="replace"))
            self.tell(content.decode(errors="replace"))


def _waiting(links: dict[int, Link], missing: list[int], launch: Launch) -> str:
    few = ", ".join(map(str, missing[:8])) + ("…" if len(missing) > 8 else "")
    whom = f": waiting for {counted(len(missing), 'process', 'processes')} ({few})"
    return (
        f"{len(links) + 1} of {launch.count} processes have come to "
        f"{launch.address}{whom if missing else ''}"
    )


def _send(links: dict[int, Link], kind: bytes, content: bytes) -> None:
    for link in links.values():
        with contextlib.suppress(OSError):
            link.send(kind, content)


def _is_loopback(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False
