"""The command that makes the networks of `jmer predict demo`."""

import dataclasses
from pathlib import Path
from typing import Any

from jmer.commands.parsing import parse
from jmer.errors import MOST_SEED, FieldCheck


@dataclasses.dataclass(frozen=True)
class DemoOptions:
    """Make the two networks of `jmer predict demo`, all of synthetic faces: videos, a
    network that spots (demo/spotter), one that names (demo/classifier), and their
    scores on videos of people whom neither has seen. The same command goes on where a
    stopped one ended.

    Needs jmer[video] and jmer[faces].
    """

    out: Path | None = None
    """Folder of all that is made (default: `demo` in jmer's cache, where `jmer predict
    demo` looks for what did not come with jmer): `videos`, `spotter` and `classifier`
    (two runs), `unseen`, `scores.json`, and `shipped`, which is what comes with jmer.
    """
    subjects: int = 12
    """People in the training videos."""
    videos: int = 144
    """Training videos of two seconds each."""
    unseen_subjects: int = 8
    """Other people, in the videos that are scored."""
    unseen_videos: int = 24
    """Videos of theirs with two expressions each; half as many more show none."""
    spotter_epochs: int | None = None
    """Passes over the training videos (default: as demo/spotter says)."""
    classifier_epochs: int | None = None
    """Likewise, as demo/classifier says."""
    seed: int = 0
    """Of people, videos and first weights."""

    def __post_init__(self) -> None:
        check = FieldCheck(self)
        check.at_least(3, "subjects")
        check.at_least(2, "unseen_subjects")
        check.at_least(6, "videos", "unseen_videos")
        for few, many in (("subjects", "videos"), ("unseen_subjects", "unseen_videos")):
            least = getattr(self, few)
            enough = getattr(self, many) >= least
            check.must(many, enough, f"be at least {least}, one for each person")
        check.at_least(1, "spotter_epochs", "classifier_epochs")
        check.whole("seed", most=MOST_SEED)


def pretrain_demo(words: list[str]) -> int:
    options = parse(DemoOptions, "jmer pretrain demo", words, DemoOptions())
    from jmer.predict.demo import own_place
    from jmer.predict.making import Demo, make_demo
    from jmer.runner.interrupt import Interruption
    from jmer.runner.plan import keep_compiled_programs
    from jmer.runner.progress import announce, counting, views
    from jmer.train.mesh import use_cpu_cores

    use_cpu_cores(None)
    keep_compiled_programs()
    fields = {f.name: getattr(options, f.name) for f in dataclasses.fields(options)}
    fields["out"] = options.out or own_place()
    with Interruption(announce) as interruption, views() as make_view:
        scores = make_demo(
            Demo(**fields), make_view, counting, stopping=interruption.asked
        )
    print(summary(scores))
    print(f"runs, scores and the model card: {fields['out']}")
    return 0


def summary(scores: dict[str, Any]) -> str:
    """Two lines of what was measured on people whom the networks have not seen."""
    unseen = scores["unseen"]
    spotted, named = unseen["intervals"], unseen["named"]
    return (
        f"unseen people: AUC of frames {unseen['auc']:.4f}; intervals: F1 "
        f"{spotted['f1']:.4f}; STRS {unseen['strs']:.4f}\n"
        f"names at the true moments: UF1 {named['uf1']:.4f}, UAR {named['uar']:.4f}"
    )
