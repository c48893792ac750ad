"""Processes that meet, or do not; and what is heard of one that ends."""

import contextlib
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from jmer.errors import JmerError
from jmer.train import channel as channels
from jmer.train import meeting
from jmer.train.channel import HEADER, Channel, Link, Lost
from jmer.train.launcher import Launch
from jmer.train.meeting import meet

MOST = 60.0  # seconds that nothing here takes, on however busy a machine


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(meeting, "QUIET_SECONDS", 0.0)
    monkeypatch.setattr(channels, "BEAT_SECONDS", 0.02)
    # The end of a process by force would be that of the tests.
    monkeypatch.setattr(channels, "GRACE_SECONDS", 10 * MOST)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Party:
    """Processes that are threads here, and what they say."""

    def __init__(self, count: int, **options):
        self.count, self.said, self.port = count, [], free_port()
        self.options = {"seconds": MOST, "say": self.said.append} | options

    def meet(self, index: int, **changes) -> Channel:
        count, job = changes.pop("count", self.count), changes.pop("job", "")
        place = ("127.0.0.1", self.port)
        launch = Launch(index, count, *place, "--coordinator", job)
        return meet(launch, **self.options | changes)

    def all(self) -> list[Channel]:
        with ThreadPoolExecutor(self.count) as pool:
            return list(pool.map(self.meet, range(self.count)))


@contextlib.contextmanager
def met(count: int, **options):
    party = Party(count, **options)
    there = party.all()
    try:
        yield there
    finally:
        for one in there:
            one.close()


def everywhere(there: list[Channel], function) -> list:
    """What it returns or raises on each."""

    def caught(one: Channel):
        try:
            return function(one)
        except JmerError as error:
            return error

    with ThreadPoolExecutor(len(there)) as pool:
        return list(pool.map(caught, there))


@pytest.mark.parametrize("count", [2, 5])
def test_all_have_what_each_says_in_order(count):
    with met(count) as there:
        assert [one.index for one in there] == list(range(count))
        for number in range(3):
            # Of different lengths, and none at all.
            words = [b"x" * (1000 * i * number) for i in range(count)]
            told = everywhere(there, lambda one, w=words: one.gather(w[one.index]))
            assert told == [words] * count


def test_one_that_waits_says_for_whom():
    party = Party(3)
    with ThreadPoolExecutor(3) as pool:
        first, third = pool.submit(party.meet, 0), pool.submit(party.meet, 2)
        waiting = f"2 of 3 processes have come to 127.0.0.1:{party.port}: waiting for"
        while not any(waiting in text for text in party.said):
            assert not first.done()
        second = pool.submit(party.meet, 1)
        there = [future.result(MOST) for future in (first, second, third)]
    assert any(f"{waiting} 1 process (1)" in text for text in party.said)
    for one in there:
        one.close()


def test_too_few_end_with_who_is_missing():
    party = Party(4, seconds=0.5)
    found = everywhere([0, 2], party.meet)
    assert all(isinstance(error, JmerError) for error in found)
    assert "2 of 4 processes have come" in str(found[0])
    assert "missing: 1, 3 (" in str(found[0]) and "add --alone" in str(found[0])
    assert str(found[1]) == str(found[0])


def test_nobody_there():
    party = Party(2, seconds=0.1)
    with pytest.raises(JmerError, match=r"found nobody at 127\.0\.0\.1:\d+ for 0.1"):
        party.meet(1)
    assert any("waits for process 0 at" in text for text in party.said)
    launch = Launch(1, 2, "no.such.host.invalid", 1234, "--coordinator")
    with pytest.raises(JmerError, match=r"nobody at no\.such\.host\.invalid:1234"):
        meet(launch, seconds=0.1, say=party.said.append)


def test_a_port_in_use_is_said_at_once():
    party = Party(2)
    with (
        socket.create_server(("127.0.0.1", party.port)),
        pytest.raises(JmerError, match=rf"port {party.port} .* is in use by another"),
    ):
        party.meet(0)


def test_another_program_at_the_port():
    party = Party(2)

    def ssh(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n" * 10)
            connection.recv(9999)

    with socket.create_server(("127.0.0.1", party.port)) as server:
        threading.Thread(target=ssh, args=(server,), daemon=True).start()
        with pytest.raises(JmerError, match=r"another program answers at|has ended"):
            party.meet(1)


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        ({"count": 3}, "was started as one of 3, but process 0 as one of 2"),
        ({"job": "76.0"}, r"of another job \(76\.0\)"),
        ({"index": 1}, "came to .* twice"),
    ],
)
def test_who_does_not_belong_is_sent_away_and_the_others_meet(change, pattern):
    party = Party(3 if "index" in change else 2)
    with ThreadPoolExecutor(4) as pool:
        there = [pool.submit(party.meet, 0)]
        if "index" in change:
            there.append(pool.submit(party.meet, 1))
            while not any("2 of 3" in text for text in party.said):
                assert not there[0].done()
        with pytest.raises(JmerError, match=pattern):
            party.meet(**{"index": 1} | change)
        there += [pool.submit(party.meet, i) for i in range(len(there), party.count)]
        for one in there:
            one.result(MOST).close()
    assert any(pattern.split(r"\(")[0].split(".*")[0] in text for text in party.said)


@pytest.mark.parametrize(
    "content",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"",
        HEADER.pack(b"JMER", 2**31) + b"x",
        HEADER.pack(b"JMER", 3) + b"[1]",
        HEADER.pack(b"JMER", 11) + b'{"index":1}',
        HEADER.pack(b"MEET", 2) + b"{}",
    ],
)
def test_strangers_do_no_harm(content):
    party = Party(2)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(party.meet, 0)
        while not party.said:
            assert not first.done()
        with socket.create_connection(("127.0.0.1", party.port)) as stranger:
            stranger.sendall(content)
        second = pool.submit(party.meet, 1)
        for one in (first, second):
            one.result(MOST).close()


def test_a_strange_name_does_no_harm():
    party = Party(2)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(party.meet, 0)
        while not party.said:
            assert not first.done()
        stranger = Link(socket.create_connection(("127.0.0.1", party.port)))
        about = {"index": -1, "count": 2, "job": "", "host": 3, "process": 2**70}
        stranger.send(b"JMER", json.dumps(about).encode())
        second = pool.submit(party.meet, 1)
        for one in (first, second):
            one.result(MOST).close()
        stranger.close()


@pytest.mark.parametrize("index", [0, 1])
def test_one_that_is_to_end_does_not_wait(index):
    with pytest.raises(KeyboardInterrupt):
        Party(2, stopping=lambda: True).meet(index)


def test_one_that_waits_for_words_may_end():
    stop = []
    with met(2, stopping=lambda: bool(stop)) as there, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(there[1].gather, b"")
        stop.append(True)
        with pytest.raises(KeyboardInterrupt):
            waiting.result(MOST)


def cut(one: Channel) -> None:
    """What the system does to the connections of a process that is killed."""
    one._closed = True
    for link in one._links.values():
        link.close()


@pytest.mark.parametrize("victim", [0, 1, 2])
def test_the_others_learn_of_one_that_dies(victim):
    with met(3) as there:
        rest = [one for one in there if one.index != victim]
        cut(there[victim])
        for error in everywhere(rest, lambda one: one.gather(b"")):
            assert isinstance(error, Lost)
            name = f"process {victim} of 3 ({socket.gethostname()}, process id "
            assert str(error).startswith(name)
            assert "has died without a word" in str(error)
            assert str(error).endswith("goes on from the last checkpoint.")


@pytest.mark.parametrize("victim", [0, 2])
def test_the_last_words_of_one_that_ends_are_told(victim):
    with met(3) as there:
        there[victim].close("OSError: [Errno 28] No space left on device.")
        rest = [one for one in there if one.index != victim]
        for error in everywhere(rest, lambda one: one.gather(b"")):
            assert "No space left on device. The same command" in str(error)


def test_one_that_is_silent_is_lost(monkeypatch):
    with met(2) as there:
        there[1]._closed = True  # no sign of life any more
        monkeypatch.setattr(channels, "SILENCE_SECONDS", 0.0)
        with pytest.raises(Lost, match=r"process 1 of 2 .* has not answered for"):
            there[0].gather(b"")


def test_one_that_is_done_is_missed_only_by_who_waits_for_it():
    with met(2) as there:
        there[1].close()
        with pytest.raises(Lost, match="is done, and this one is not"):
            there[0].gather(b"")
        assert there[0].lost is None
