"""Estimates beside measurements: which programs belong together, ratios, order."""

import io
import json
import math

import pytest
from rich.console import Console
from scipy import stats

from jmer.bench.beside_estimates import Pair, pairs, rank_correlation, seconds, show
from jmer.bench.kept import SCHEMA
from jmer.cli import main
from jmer.errors import JmerError
from jmer.files import write_json


def record(chunk, rank, target="v5e-4", unit="cycles", **changed):
    return {
        "experiment": "net", "program": f"p{chunk}", "target": target,
        "batches": "own", "dtype": "bfloat16", "lowering": "backend", "chunk": chunk,
        "devices": 4, "rank": rank, "rank_unit": unit, **changed,
    }  # fmt: skip


def cell(chunk, median, **changed):
    return {
        "label": f"{chunk} at a time", "batches": "own", "dtype": "bfloat16",
        "lowering": "backend", "chunk": chunk, "devices": 4,
        "seconds_per_fold_epoch": {"min": median / 2, "median": median, "max": 9.0},
        **changed,
    }  # fmt: skip


@pytest.fixture(name="files")
def _files(tmp_path):
    def written(records, cells, name="net"):
        table, measured = tmp_path / "table.json", tmp_path / f"{name}.json"
        write_json(table, {"schema": SCHEMA, "targets": records, "refused": []})
        write_json(measured, {"schema": 1, "name": name, "cells": cells})
        return table, measured

    return written


def test_programs_are_those_that_are_laid_out_alike(files):
    table, measured = files(
        [record(1, 6e6), record(2, 3e6), record(4, 9e6), record(8, 1e6)],
        [cell(1, 0.002), cell(2, 0.004), cell(4, 1.0, lowering="patches"), cell(16, 1)],
    )
    found = pairs(table, [measured])
    assert [pair.label for pair in found] == [
        "net, v5e-4: 1 at a time", "net, v5e-4: 2 at a time",
    ]  # fmt: skip
    # 6,000,000 cycles at 1.5 GHz are 4 ms, of which four devices do a quarter each.
    assert found[0].estimated == pytest.approx(0.001)
    assert [pair.ratio for pair in found] == pytest.approx([2.0, 8.0])


def test_bytes_are_at_the_bandwidth_of_the_chip():
    assert seconds(record(1, 3352e9, "h100", "bytes", devices=1)) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([1, 2, 3], [10, 30, 20]),
        ([1.0, 1.0, 2.0, 5.0], [4.0, 3.0, 3.0, 9.0]),
        ([3, 2, 1], [1, 2, 3]),
    ],
)
def test_rank_correlation_is_spearmans(a, b):
    assert rank_correlation(a, b) == pytest.approx(stats.spearmanr(a, b).statistic)


def test_one_program_has_no_order():
    assert math.isnan(rank_correlation([1.0], [2.0]))
    stream = io.StringIO()
    show([Pair("only", 1.0, 2.0)], Console(file=stream, width=120))
    assert "2.00" in stream.getvalue() and "nan" not in stream.getvalue()


def test_the_table_says_ratios_and_order(files, capsys):
    table, measured = files(
        [record(1, 6e6), record(2, 3e6)], [cell(1, 0.002), cell(2, 0.0012)]
    )
    assert main(["bench", "--estimates", str(table), str(measured)]) == 0
    text = capsys.readouterr().out
    assert "2.40" in text and "median 2.20, 2.00 to 2.40" in text
    assert "rank correlation 1.00" in text


def test_what_has_nothing_in_common_is_told(files, capsys):
    table, measured = files([record(1, 6e6)], [cell(2, 1.0)])
    with pytest.raises(JmerError, match="no program in common"):
        pairs(table, [measured])
    _, other = files([record(1, 6e6)], [cell(1, 1.0)], name="another")
    with pytest.raises(JmerError, match="no program in common"):
        pairs(table, [other])
    assert main(["bench", "--estimates", str(table)]) == 2
    assert "needs a table" in capsys.readouterr().err
    measured.write_text(json.dumps({"cells": 3}))
    assert main(["bench", "--estimates", str(table), str(measured)]) == 1
    assert "net.json" in capsys.readouterr().err


def test_estimates_and_measurements_are_not_read_as_one_another(files, capsys):
    table, measured = map(str, files([record(1, 6e6)], [cell(1, 0.002)]))
    for words, wrong in (
        (["--estimates", measured, table], measured),
        (["--estimates", table, table], table),
        (["--compare", measured, table], table),
        (["--compare", table, measured], table),
    ):
        assert main(["bench", *words]) == 1
        has = "what compilers say" if wrong == table else "what jmer bench FILE"
        assert f"error: {wrong} has {has}" in capsys.readouterr().err
