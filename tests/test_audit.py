"""Each flaw is found by the rule that it breaks, and a clean result breaks none."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import jmer
from jmer.audit.page import text
from jmer.audit.run import audit_against, audit_run
from jmer.cli import main
from jmer.data.span import Span
from jmer.errors import JmerError
from jmer.explain import set_of
from jmer.results import Predictions, score

EXPERIMENT = """
from data_builders.synthetic import Synthetic
from jmer.experiment import Experiment
from jmer.models.ststnet import STSTNetConfig
from jmer.optim import SgdConfig

EXPERIMENT = Experiment(
    model=STSTNetConfig(size=8, filters=(2,)),
    data=Synthetic(subjects=4, clips=13, length=5, size=32, flow_size=8),
    optim=SgdConfig(lr=0.03),
    epochs=5,
    batch_size=4,
)
"""


def make_run(folder: Path, *options: str) -> Path:
    (folder / "tiny.py").write_text(EXPERIMENT)
    words = ["run", str(folder / "tiny.py"), "--run-dir", str(folder / "run")]
    assert main([*words, "--data.data-dir", str(folder / "tfds"), *options]) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> Path:
    return make_run(tmp_path_factory.mktemp("clean"), "--seeds", "0", "1")


@pytest.fixture
def copy(clean, tmp_path) -> Path:
    """A copy to be damaged."""
    return shutil.copytree(clean, tmp_path / "run")


@pytest.fixture(scope="module")
def clips(clean):
    return set_of(jmer.load_run(clean))


def broken(audit) -> set[str]:
    return {finding.rule for finding in audit.having("violation")}


def finding(audit, rule):
    (found,) = [f for f in audit.findings if f.rule == rule]
    return found


def test_a_clean_run_passes(clean, capsys):
    assert main(["audit", str(clean)]) == 0
    out = capsys.readouterr().out
    print(out)
    assert "no rule is broken" in out
