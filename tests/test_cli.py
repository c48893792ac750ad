"""Commands: what they print, and the codes they exit with."""

import json

import pytest

from jmer import __version__
from jmer.cli import COMMANDS, main


def test_overview_and_version(capsys):
    assert main(["--help"]) == 0
    assert "exit codes" in capsys.readouterr().out
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"jmer {__version__}\n"
    assert main([]) == 2


@pytest.mark.parametrize("group", ["data", "weights"])
def test_a_group_of_commands_has_help(group, capsys):
    for words, code in ((["--help"], 0), (["-h"], 0), ([], 2), (["--help", "x"], 0)):
        assert main([group, *words]) == code
        said = capsys.readouterr().out
        named = [line.split()[:2] for line in said.splitlines() if line[:2] == "  "]
        known = [name.split() for name in COMMANDS if name.split()[0] == group]
        assert named == known and "jmer run" not in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["dance"], "no command is called 'dance'"),
        (["run"], "the experiment file comes first"),
        (["run", "nowhere.py"], "nowhere.py does not exist"),
        (["run", "--seeds", "1"], "the experiment file comes first"),
        (["data", "check"], "NAME: casme, casme2, casme_cubed"),
        (["data", "prepare", "nothing"], "no data set is called 'nothing'"),
    ],
)
def test_wrong_usage_is_one_line_and_code_2(words, said, capsys):
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and said in error and error.count("\n") == 1


def test_debug_shows_the_traceback():
    with pytest.raises(Exception, match=r"nowhere\.py"):
        main(["run", "nowhere.py", "--debug"])


def test_models_as_json(capsys):
    assert main(["list", "models", "--json"]) == 0
    records = {r["name"]: r for r in json.loads(capsys.readouterr().out)}
    ststnet = records["ststnet"]
    fields = ["name", "paper", "parameters", "trained", "input", "from"]
    assert list(ststnet) == fields and ststnet["from"] == "jmer"
    assert ststnet["parameters"] == ststnet["trained"] == 1683


@pytest.mark.parametrize("what", ["experiments", "models", "datasets"])
def test_lists(what, capsys):
    assert main(["list", what]) == 0
    assert "STSTNet" in capsys.readouterr().out or what == "datasets"


def test_help_of_an_experiment_names_every_field(capsys, request):
    file = request.config.rootpath / "experiments/quickstart.py"
    with pytest.raises(SystemExit) as stop:
        main(["run", str(file), "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    options = (
        "--run-dir --overwrite --epochs --batch-size --seeds --batches --selection "
        "--engine.strategy --engine.pack --data.manual-dir --data.data-dir --optim.lr "
        "--model.dropout --data.difficulty"
    )
    assert not [option for option in options.split() if option not in text]
    assert "{own,shared}" in text and "{last,inner}" in text
    assert "{auto,vmap,map,loop}" in text


def test_a_bad_option_is_code_2(capsys, request):
    file = str(request.config.rootpath / "experiments/quickstart.py")
    with pytest.raises(SystemExit) as stop:
        main(["run", file, "--epochs", "many"])
    assert stop.value.code == 2
    assert "--epochs" in capsys.readouterr().err
    assert main(["run", file, "--epochs", "0"]) == 2
    assert "epochs=0 must be at least 1" in capsys.readouterr().err


def test_check_says_what_is_wrong_and_fails(tmp_path, capsys):
    options = ["--manual-dir", str(tmp_path), "--data-dir", str(tmp_path / "d")]
    assert main(["data", "check", "megc2019_flow28", *options]) == 1
    assert str(tmp_path) in capsys.readouterr().err


def test_report_of_no_run(tmp_path, capsys):
    assert main(["report", str(tmp_path)]) == 1
    assert "metrics.json" in capsys.readouterr().err
