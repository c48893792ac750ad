"""How sets are prepared: in the order of their clips, by threads or by Beam."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from downloads import write
from holding import held
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from jmer.data import load, prepare, summary
from jmer.data.maker import builder_of
from jmer.data.parallel import in_order
from jmer.data.stored import reorder
from jmer.errors import JmerError
from jmer.files.lock import InUse


def test_items_keep_their_order_whoever_is_fastest():
    def slow(i):
        time.sleep(0.002 * (i % 3))
        return i * i

    assert list(in_order(slow, range(40), 4)) == [i * i for i in range(40)]
    assert list(in_order(slow, [], 4)) == []


def test_workers_are_not_ahead_of_whoever_takes():
    started = []

    def count(i):
        started.append(i)
        return i

    made = in_order(count, range(100), 3)
    assert next(made) == 0
    assert len(started) <= 4
    made.close()
    assert len(started) <= 5


def test_an_error_of_a_worker_ends_it():
    def fail(i):
        if i == 5:
            raise JmerError("item 5 is broken")
        return i

    before = threading.active_count()
    found = []
    with pytest.raises(JmerError, match="item 5"):
        for value in in_order(fail, range(100), 2):
            found.append(value)
    assert found == [0, 1, 2, 3, 4]
    assert threading.active_count() == before


@pytest.mark.parametrize("name", ["casme2", "megc2019"])
def test_the_watch_counts_the_clips(name, tmp_path):
    tree = write(name, tmp_path)
    seen = []
    prepare(tree.config, watch=lambda done, total: seen.append((done, total)))
    total = len(tree.loaded)
    assert seen == [(i + 1, total) for i in range(total)]


def test_beam_makes_the_same_set(tmp_path):
    pytest.importorskip("apache_beam")
    tree = write("casme2", tmp_path, special="sf")
    expected = load(tree.config)
    options = ["--runner=DirectRunner", "--direct_num_workers=1"]
    prepare(tree.config, overwrite=True, beam=options)
    found = load(tree.config)
    assert found.fingerprint == expected.fingerprint
    assert_array_equal(found.inputs["special"], expected.inputs["special"])


def test_without_beam(tmp_path):
    tree = write("casme2", tmp_path)
    expected = load(tree.config).fingerprint
    code = (
        "import sys; sys.modules['apache_beam'] = None\n"
        "from jmer.cli import main\n"
        "sys.exit(main(['data', 'prepare', 'casme2', *sys.argv[1:]]))"
    )
    config = tree.config
    places = [f"--manual-dir={config.manual_dir}", f"--data-dir={config.data_dir}"]
    recipe = ["--size=32", "--frames=4", "--resample=uniform", "--overwrite"]
    done = subprocess.run(
        [sys.executable, "-c", code, *places, *recipe, "--beam", "runner=DirectRunner"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )
    assert done.returncode == 1
    assert "pip install 'jmer[beam]'" in done.stderr
    assert load(tree.config).fingerprint == expected  # what was there stays
    assert np.isfinite(load(tree.config).frame_rate).all()


@pytest.mark.parametrize("name", ["casme2", "megc2019"])
def test_a_summary_needs_no_set_in_memory(name, tmp_path):
    config = write(name, tmp_path, special="sf").config
    assert summary(prepared(config)) == load(config).summary()


def prepared(config):
    prepare(config)
    return config


@given(st.permutations(range(7)))
def test_arrays_are_put_in_order_where_they_lie(order):
    array = np.arange(21).reshape(7, 3)
    expected = array[order]
    reorder(array, np.array(order))
    assert_array_equal(array, expected)


def words(config, *options):
    places = ["--manual-dir", config.manual_dir, "--data-dir", config.data_dir]
    recipe = ["--size=32", "--frames=4", "--resample=uniform"]
    return ["data", "prepare", "casme2", *map(str, places), *recipe, *options]


@pytest.mark.parametrize("options", [(), ("--overwrite",)])
def test_of_three_that_prepare_a_set_one_does(tmp_path, options):
    config = write("casme2", tmp_path).config
    code = (
        "import sys\n"
        "from jmer.data import preparing as made\n"
        "real = made._build\n"
        "made._build = lambda *args: (print('builds', flush=True), real(*args))[1]\n"
        "from jmer.cli import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    lock = lock_of(config)
    with held(lock):  # until all of them wait
        running = [
            subprocess.Popen(
                [sys.executable, "-c", code, *words(config, *options)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": str(Path.cwd())},
            )
            for _ in range(3)
        ]
        for one in running:
            assert "waiting for it to end" in one.stderr.readline()
    outputs = [one.communicate(timeout=900) for one in running]
    assert [one.returncode for one in running] == [0, 0, 0], outputs
    assert sum("builds" in out for out, _ in outputs) == 1
    assert len({out.splitlines()[-1] for out, _ in outputs}) == 1
    assert not lock.exists()
    assert not list(config.data_dir.rglob("incomplete*"))


def lock_of(config):
    folder = Path(builder_of(config).data_dir)
    return folder.with_name(f".{folder.name}.lock")


def test_remains_that_a_living_process_writes_are_left(tmp_path):
    config = write("casme2", tmp_path).config
    lock = lock_of(config)
    remains = lock.with_name("incomplete.ABC_" + lock.name[1 : -len(".lock")])
    remains.mkdir(parents=True)
    with held(lock) as other, pytest.raises(InUse, match=f"process {other.pid}"):
        prepare(config, wait=False)
    assert remains.is_dir()
    prepare(config)
    assert not remains.exists()
    with held(lock):  # what is prepared needs no lock to be read
        assert len(load(config)) > 0
