"""The model card of the demonstration's networks, written from what was measured."""

from typing import Any

HEAD = """# The networks of `jmer predict demo`

**A demonstration. Neither network was trained or validated on a real micro-expression,
nor on any real face: what they say of a person means nothing. Do not decide anything
about anybody by it.**

Made by `jmer pretrain demo` with jmer {version}; licence Apache-2.0, as jmer.
"""
TRAINED = """
## What they were trained on

Faces that nobody has: painted by a program (`jmer.synthetic`), moved by the action
units that it knows, put into a scene, and written as H.264. No picture of a person was
used.

- {videos} videos of {seconds:g} seconds, {subjects} people, {rates} frames a second,
  {width}x{height}. Each shows one expression of {shortest:g} to {longest:g} seconds, up
  to {blinks} blinks and up to {moves} quick move of the head; head and light drift.
- Classes: {classes}.
- The face is found in the onset frame by MTCNN, turned and scaled.
- `spotter`: visual memory (Nag et al. 2019) at its smallest, {spotter:,} parameters;
  frames of 32x32 and their flow, 40 ms apart; {folds} trainings.
- `classifier`: STSTNet (Liong et al. 2019), {classifier:,} parameters; flow and strain
  from onset to apex at 28x28, with moments that err by up to 40 ms; {folds} trainings.
"""
MEASURED = """
## Scores

On synthetic people alone.

| | {folds} folds of the run, people held out | unseen people, whole videos |
|---|---|---|
| people, videos | {subjects}, {videos} | {unseen_subjects}, {unseen_videos} |
| spotting: AUC of frames | {own_auc:.3f} | {auc:.3f} |
| spotting: F1 of intervals (precision, recall) | {own_f1} | {f1} |
| false alarms a minute, of videos without an expression | | {alarms} |
| names at the true moments: UF1, UAR | {own_named} | {named} |
| spotted and named: STRS | {own_strs:.3f} | {strs:.3f} |

The first STRS is that of the classes which the spotter itself tells; the other one is
of both networks together, as `jmer predict demo` has it. An interval is found if it
overlaps a true one by half of what either covers. By chance, UF1 and UAR are 0.333.
"""
LIMITS = """
## What they cannot know

- Real faces: skin, wrinkles, hair, glasses, shadows, and what no generator shows.
- Real timing: expressions here last {shortest:g} to {longest:g} seconds, on one curve.
- Longer, posed and spoken expressions; faces from the side, several, or small (below
  about 60 pixels); frame rates below 25.
"""


def card(scores: dict[str, Any], about: dict[str, Any]) -> str:
    """Markdown; `scores` as `make_demo` has them, `about` what fills the rest."""
    spotter, unseen = scores["spotter"], scores["unseen"]
    own, named = spotter["spotting"], scores["classifier"]
    alarms = unseen["false_alarms_per_minute"]
    filled = {
        **about,
        "spotter": spotter["parameters"],
        "classifier": named["parameters"],
        "folds": spotter["n_folds"],
        "subjects": spotter["n_subjects"],
        "videos": spotter["n_samples"],
        "unseen_subjects": unseen["subjects"],
        "unseen_videos": unseen["videos"],
        "own_auc": own["auc"],
        "auc": unseen["auc"],
        "own_f1": _intervals(own["intervals"]),
        "f1": _intervals(unseen["intervals"]),
        "alarms": "none" if alarms is None else f"{alarms:.1f}",
        "own_named": f"{named['uf1']:.3f}, {named['uar']:.3f}",
        "named": f"{unseen['named']['uf1']:.3f}, {unseen['named']['uar']:.3f}",
        "own_strs": own["strs"],
        "strs": unseen["strs"],
    }
    return (HEAD + TRAINED + MEASURED + LIMITS).format(**filled)


def _intervals(of: dict[str, float]) -> str:
    return f"{of['f1']:.3f} ({of['precision']:.3f}, {of['recall']:.3f})"
