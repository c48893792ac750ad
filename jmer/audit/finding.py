"""What an audit says: a verdict for each rule."""

from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["violation", "warning", "unknown", "ok"]

RULES = {
    "subjects": "no subject is on both sides of a fold",
    "clips": "no clip is on both sides of a fold",
    "sets": "no data set is on both sides of a fold that is one",
    "twice": "no clip is tested twice",
    "never": "every clip is tested that should be",
    "known": "the tested clips are those of the data set",
    "labels": "each clip has one label, that of the data set",
    "frames": "no frames of a video are on both sides of a fold",
    "sessions": "no sitting of a subject is on both sides of a fold",
    "images": "no image belongs to two subjects",
    "alike": "no image looks like another subject's, altered",
    "unseen": "clips that a fold must not see do not change its training",
    "unchanged": "the files are those that jmer wrote",
    "selection": "nothing was chosen by the score on the test clips",
    "metrics": "the figures are those of the predictions",
    "pooling": "predictions are pooled over folds before they are scored",
    "balance": "the result is better than always the same answer",
    "size": "there are enough subjects and clips",
}
"""All rules, in the order in which they are reported."""


@dataclass(frozen=True)
class Finding:
    """Whether a rule is kept, in a sentence or two.

    `details` has a row for each case, with the same names in all of them. A verdict is
    `unknown` where there is nothing to check the rule by.
    """

    rule: str
    verdict: Verdict
    text: str
    details: tuple[dict[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ValueError(f"{self.rule} is none of {tuple(RULES)}")


@dataclass(frozen=True)
class Audit:
    """All findings about `title`; `about` says what was read, a line each."""

    title: str
    about: tuple[str, ...]
    findings: tuple[Finding, ...]

    def __post_init__(self) -> None:
        order = list(RULES)
        ordered = sorted(self.findings, key=lambda finding: order.index(finding.rule))
        object.__setattr__(self, "findings", tuple(ordered))

    def having(self, verdict: Verdict) -> tuple[Finding, ...]:
        """The findings of that verdict, in the order of the rules."""
        return tuple(f for f in self.findings if f.verdict == verdict)

    @property
    def sound(self) -> bool:
        """Whether no rule is broken."""
        return not self.having("violation")
