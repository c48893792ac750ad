"""What a notebook has of jmer: runs that are made there, looked at and drawn."""

import dataclasses
import html.parser
import signal
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from test_report import EVIL, NASTY, make_run

import jmer
from jmer.cli import main
from jmer.data.random_clips import RandomClips
from jmer.errors import JmerError, UsageError
from jmer.experiment import Experiment
from jmer.files import read_json
from jmer.interactive import view as views
from jmer.interactive.run import run as run_now
from jmer.interactive.view import Bar, NotebookView
from jmer.models.ststnet import STSTNetConfig
from jmer.optim import SgdConfig
from jmer.runner import progress, stages
from jmer.runner.interrupt import Interruption
from jmer.runner.stages import SAVES, stage

TEXT = (
    "from jmer.data.random_clips import RandomClips\n"
    "from jmer.experiment import Experiment\n"
    "from jmer.models.ststnet import STSTNetConfig\n"
    "from jmer.optim import SgdConfig\n"
    "EXPERIMENT = Experiment(model=STSTNetConfig(size=7, filters=(2,)),\n"
    "    data=RandomClips(shapes=(('apex_flow', (7, 7, 3)),), subjects=3,\n"
    "        per_subject=4), optim=SgdConfig(lr=0.01), epochs=2, batch_size=6)\n"
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with an experiment, `mine.py`, and its run by the command line."""
    folder = tmp_path_factory.mktemp("notebook")
    (folder / "mine.py").write_text(TEXT)
    assert main(["run", str(folder / "mine.py"), "--run-dir", str(folder / "cli")]) == 0
    return folder


@pytest.fixture(scope="module")
def run(place):
    return jmer.run(place / "mine.py", run_dir=str(place / "here"))


@pytest.fixture(scope="module")
def fabricated(tmp_path_factory):
    return jmer.load_run(make_run(tmp_path_factory.mktemp("fabricated") / "run"))


def test_everything_is_listed():
    listed = dir(jmer)
    assert {*jmer.__all__, "__version__", "run", "load_run"} <= {*listed}
    assert not {"importlib", "TYPE_CHECKING", "Any", "_PLACES"} & {*listed}
    assert all(hasattr(jmer, name) for name in listed)


def test_a_run_has_the_bits_of_the_command_line(place, run):
    by_command = jmer.load_run(place / "cli")
    assert isinstance(run, type(by_command)) and run.folder == place / "here"
    for name in ("label", "predicted", "probabilities"):
        ours, theirs = (getattr(each.predictions, name) for each in (run, by_command))
        np.testing.assert_array_equal(ours, theirs)
    assert run.experiment["identity"] == by_command.experiment["identity"]
    assert run.experiment["command"].startswith(f"jmer run {place / 'mine.py'} --run-")


def test_the_command_line_goes_on_with_it(place, run, capsys):
    words = ["run", str(place / "mine.py"), "--run-dir", str(run.folder)]
    assert main(words) == 0
    assert "nothing to train" in capsys.readouterr().out


def test_fields_are_replaced(place, monkeypatch):
    monkeypatch.chdir(place)
    base = jmer.load_experiment("mine.py")
    found = {}

    def instead(experiment, **options):
        found.update(options, experiment=experiment)
        raise KeyboardInterrupt

    monkeypatch.setattr("jmer.interactive.run.run_experiment", instead)
    changes = {"epochs": 3, "optim": {"lr": 1}, "seeds": [1, 2], "start_from": "runs/a"}
    with pytest.raises(KeyboardInterrupt):
        jmer.run("mine.py", **changes, **{"model.size": 9})
    made = found["experiment"]
    assert (made.epochs, made.optim.lr, made.seeds) == (3, 1.0, (1, 2))
    assert made.start_from == Path("runs/a") and made.model.size == 9
    assert found["run_dir"] == Path("runs/mine") and found["name"] == "mine"
    words = "--epochs 3 --optim.lr 1 --seeds 1 2 --start-from runs/a --model.size 9"
    assert found["command"] == f"jmer run mine.py --run-dir runs/mine {words}"
    with pytest.raises(KeyboardInterrupt):
        jmer.run(base, protocol="hold-out", model=STSTNetConfig(size=8))
    assert found["run_dir"] == Path("runs/ststnet_random")
    assert type(found["experiment"].protocol).__name__ == "HoldOut"
    assert found["command"] == "jmer.run(EXPERIMENT, run_dir='runs/ststnet_random')"
    with pytest.raises(KeyboardInterrupt):
        jmer.run("mine.py", small=True, epochs=9)
    assert found["experiment"].small and found["experiment"].epochs == 9
    assert any("extract.clips" in one for one in found["changed"])


@pytest.mark.parametrize(
    ("experiment", "fields", "text"),
    [
        ("quickstrat", {}, "did you mean 'quickstart'"),
        ("", {}, "no file|no Python file|is a folder"),
        ("\N{SNOWMAN}.py", {}, "does not exist"),
        (7, {}, "takes an Experiment"),
        (None, {}, "takes an Experiment"),
        ("stanet_table1", {}, "is a sweep of 3 runs"),
        ("quickstart", {"optim_lr": 3}, "optim-lr is no field"),
        ("quickstart", {"epochs": "many"}, "epochs='many' must be a whole number"),
        ("quickstart", {"optim": {"rl": 3}}, "optim.rl is no field"),
        ("quickstart", {"model": "ststnet"}, "model='ststnet' must be"),
        ("quickstart", {"protocol": "lopo"}, "loso"),
        ("quickstart", {"inner_fraction": 0.3}, "makes no difference"),
    ],
)
def test_mistakes_are_one_line(experiment, fields, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=text) as caught:
        jmer.run(experiment, **fields)
    assert "\n" not in str(caught.value)
    assert not any(tmp_path.iterdir())


def test_an_experiment_of_another_place(place, run):
    with pytest.raises(JmerError, match="is the run of another experiment: epochs"):
        jmer.run(place / "mine.py", run_dir=run.folder, epochs=3)


def test_an_interrupted_run_goes_on(place, run, monkeypatch, capsys):
    def asked(self):
        now = stages.current()
        return now is not None and now.what == "training"

    options = {"run_dir": place / "stopped"}
    with monkeypatch.context() as patched:
        patched.setattr(Interruption, "asked", asked)
        with pytest.raises(KeyboardInterrupt):
            jmer.run(place / "mine.py", **options)
    assert "the same call goes on" in capsys.readouterr().out
    gone_on = jmer.run(place / "mine.py", **options)
    np.testing.assert_array_equal(
        gone_on.predictions.probabilities, run.predictions.probabilities
    )


def test_a_kernel_outlives_two_signals():
    before = signal.getsignal(signal.SIGINT)
    with (
        pytest.raises(KeyboardInterrupt),
        Interruption(lambda text: None, ends=False),
        stage("x", SAVES, patient=True),
    ):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_shapes_are_named(run):
    wanted = r"it takes apex_flow \[n, 7, 7, 3\]"
    good = np.zeros((2, 7, 7, 3))
    subject = run.tasks[0].subject
    shares = run.predict(good, subject=subject)
    assert shares.shape == (2, 3) and shares.dtype == np.float32
    np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-6)
    named = run.predict(apex_flow=good.astype(np.uint8), subject=subject)
    np.testing.assert_array_equal(shares, named)
    for bad in ((), (good, good), (good[0],), (good[..., :2],), (3,), (good[:0],)):
        with pytest.raises(UsageError, match=wanted):
            run.predict(*bad, subject=subject)
    with pytest.raises(UsageError, match="did you mean 'apex_flow'"):
        run.predict(apex_flw=good, subject=subject)
    for bad in (good * np.nan, good.astype(str), good.astype(object)):
        with pytest.raises(UsageError, match="must be finite numbers"):
            run.predict(bad, subject=subject)
    with pytest.raises(JmerError, match="Subjects: s000, s001, s002"):
        run.predict(good, subject="s9")
    model = run.model(subject=subject)
    assert model(good.astype(np.float32)).shape == (2, 3)
    assert type(model).__name__ == "STSTNet"
    with pytest.raises(UsageError, match=wanted):
        model(np.zeros((2, 7, 3), np.float32))


def test_clips_are_a_table(run):
    clips = run.clips
    assert len(clips) == 12 and len(clips[:5]) == 5 and len(list(clips)) == 12
    first = clips[0]
    assert (first.subject, first.fold, first.seed) == ("s000", "s000", 0)
    assert first.right == (first.label == first.predicted)
    assert sum(first.probabilities.values()) == pytest.approx(1, abs=1e-6)
    assert max(first.probabilities, key=first.probabilities.get) == first.predicted
    right = clips.where(right=True)
    assert len(right) + len(clips.where(right=False)) == 12
    assert [x.label for x in right] == right.column("predicted").tolist()
    assert len(clips.where(subject="nobody")) == 0
    assert "none of them" in repr(clips.where(subject="nobody"))
    with pytest.raises(JmerError, match="did you mean 'subject'"):
        clips.where(subjct="s000")
    with pytest.raises(JmerError, match=r"is no class.*there are: negative"):
        clips.where(label="joy")
    with pytest.raises(IndexError, match="12 tested clips"):
        clips[12]
    assert set(clips.columns) >= {"dataset", "clip", "prob_negative"}


def test_pandas_is_asked_for_by_its_extra(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(JmerError, match=r"pip install 'jmer\[pandas\]'"):
        run.to_dataframe()
    made = SimpleNamespace(DataFrame=dict)
    monkeypatch.setitem(sys.modules, "pandas", made)
    frame = run.to_dataframe()
    assert tuple(frame) == run.clips.columns
    assert {len(column) for column in frame.values()} == {12}


def test_a_data_frame(run):
    pandas = pytest.importorskip("pandas")
    frame = run.to_dataframe()
    assert isinstance(frame, pandas.DataFrame) and len(frame) == 12
    assert frame.right.sum() == len(run.clips.where(right=True))
    assert set(frame.label) == {"negative", "positive", "surprise"}


def test_figures_are_new_or_drawn_into_what_is_given(run):
    from matplotlib.figure import Figure

    for draw in (run.plot_confusion, run.plot_learning, run.plot_subjects):
        figure = draw()
        content, about = figure._repr_png_()
        assert isinstance(figure, Figure) and content.startswith(b"\x89PNG")
        assert about["width"] == round(figure.get_figwidth() * 100)
        own = Figure()
        axes = own.add_subplot()
        assert draw(axes) is axes and axes.has_data()
        assert len(own.axes) == 1
    labels = [text.get_text() for text in own.axes[0].get_xticklabels()]
    assert sorted(labels) == ["s000", "s001", "s002"]


def test_an_evaluation_has_no_learning_curves(place, run):
    folder = place / "evaluated"
    words = ["evaluate", str(place / "mine.py"), "--weights", str(run.folder)]
    assert main([*words, "--run-dir", str(folder)]) == 0
    found = jmer.load_run(folder)
    with pytest.raises(JmerError, match="is an evaluation: it trained nothing"):
        found.plot_learning()
    assert found.plot_confusion() and found._repr_html_()


class Tags(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.names, self.attributes = [], set(), []

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        self.names.add(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("what", ["run", "clips"])
def test_a_notebook_shows_it_whatever_names_hold(fabricated, what):
    shown = fabricated if what == "run" else fabricated.clips
    page = shown._repr_html_()
    tags = Tags()
    tags.feed(page)
    assert not tags.open  # every element ends
    known = {"div", "table", "thead", "tbody", "tr", "td", "th", "span", "b", "p"}
    assert tags.names <= known
    assert {name for name, _ in tags.attributes} <= {"style"}
    assert EVIL not in page and "<script" not in page and "url(" not in page
    # In whatever colours the notebook has: neither a colour nor a paper of its own.
    assert not [v for _, v in tags.attributes if "color:" in v.replace("-color", "")]


def test_the_card_says_what_counts(fabricated):
    page = fabricated._repr_html_()
    assert "UF1" in page and "95 % intervals over subjects" in page
    assert "6 subjects" in page and "recognised as" in page
    diverged = [{"fold": "a", "seed": 0, "variant": 0, "epoch": 1}]
    found = dataclasses.replace(fabricated)
    found.__dict__["metrics"] = {
        **fabricated.metrics,
        "subject_independent": False,
        "diverged": diverged,
        "classes": [*NASTY] * 9,
    }
    page = found._repr_html_()
    assert "same people are in training" in page and "1 task diverged" in page
    assert "recognised as" not in page  # too many to read


class Handle:
    def __init__(self):
        self.seen, self.came = [], threading.Event()

    def show(self, bar):
        self.seen.append(bar)
        return self

    def update(self, bar):
        self.seen.append(bar)
        self.came.set()


def test_a_notebook_has_a_bar(monkeypatch, capsys):
    monkeypatch.setattr(views, "PAUSE", 0.001)
    handle = Handle()
    monkeypatch.setattr(views, "notebook", lambda: handle.show)
    with views.views() as make:
        view = make()
        assert isinstance(view, NotebookView)
        with stage("compiling"):
            handle.came.clear()
            assert handle.came.wait(10)
            assert "compiling" in repr(handle.seen[-1])
        view.begin(4, 0, 10, 3.0)
        view.evaluated(4, 5, 5, 0.5)
        view.finished(4)
        progress.announce("<hello>")
    last = handle.seen[-1]
    assert repr(last) == "50 %  4/4 tasks"
    assert capsys.readouterr().out == "<hello>\n"
    assert 'value="0.5000"' in last._repr_html_()
    assert "<x>" not in Bar(None, "<x>")._repr_html_()


def test_a_terminal_has_no_notebook(monkeypatch):
    assert views.notebook() is None
    shell = SimpleNamespace(get_ipython=lambda: object())
    monkeypatch.setitem(sys.modules, "IPython", shell)
    assert views.notebook() is None
    assert type(views.make_view()).__name__ == "PlainView"
    progress.forget(progress._view)


def test_the_experiment_of_an_object_is_its_own(place):
    experiment = Experiment(
        model=STSTNetConfig(size=7, filters=(2,)),
        data=RandomClips(shapes=(("apex_flow", (7, 7, 3)),), subjects=3, per_subject=4),
        optim=SgdConfig(lr=0.01),
        epochs=2,
        batch_size=6,
    )
    again = run_now(experiment, run_dir=place / "cli")  # which the command line began
    assert again.folder == place / "cli"
    about = read_json(place / "cli/experiment.json")
    assert about["command"].startswith("jmer.run(EXPERIMENT, run_dir=")
