"""What the words of a report mean, in a sentence each."""

from jmer.report.render.blocks import Section, Terms
from jmer.scores.labels import CLASSES, UNITS, LabelKind

MEANINGS = {
    "UF1": (
        "Unweighted F1: the F1 of each class, averaged with the same weight, so that a "
        "rare class counts as much as a common one. 1 is perfect."
    ),
    "UAR": (
        "Unweighted average recall: the share of each class's clips that is found, "
        "averaged over classes. Guessing scores 1 by the number of classes."
    ),
    "ACC": (
        "Accuracy: the share of all clips that is right. High for who always names the "
        "commonest class."
    ),
    "F1 of units": (
        "Of each action unit the harmonic mean of its recall and precision, averaged "
        "over units; a unit that nobody shows and nobody finds counts as 0."
    ),
    "F1 macro": (
        "Of each action unit the mean of two F1, of the unit and of its absence, "
        "averaged over units. High wherever units are rare."
    ),
    "F1 micro": "The F1 of all units of all clips, as if they were one unit.",
    "F1": "Of a class: the harmonic mean of its recall and its precision.",
    "LOSO": (
        "Leave one subject out: a training for each person, which is tested on that "
        "person's clips and has seen none of them."
    ),
    "Fold": "One division of the clips into those to train on and those to test on.",
    "Seed": (
        "The number that all chance of a training follows from: first weights, "
        "batches, dropout. Several seeds tell how much is luck."
    ),
    "Inner selection": (
        "The epoch is chosen on clips that a fold holds out of its own training clips, "
        "never on the test subject."
    ),
    "Oracle": (
        "What the same trainings would score if the epoch were chosen on the test "
        "subject: inflated, and no result. Much published code reports it."
    ),
    "Interval": (
        "Where the score would lie in 95 of 100 cases if other people of the same kind "
        "had been filmed: subjects are drawn again, with replacement (bootstrap)."
    ),
    "p": (
        "How often a difference at least as large comes about if the two runs are "
        "equally good: their answers are exchanged, subject by subject. Corrected for "
        "the number of comparisons (Holm)."
    ),
}
OF_COMPARISONS = ("p",)
OF_CLASSES = ("UF1", "UAR", "F1")
OF_UNITS = ("F1 of units", "F1 macro", "F1 micro")


def words(kind: LabelKind = CLASSES, *, comparison: bool = False) -> Section:
    """The section that explains them: those that a report of that kind has."""
    strange = OF_CLASSES if kind is UNITS else OF_UNITS
    shown = [
        (word, meaning)
        for word, meaning in MEANINGS.items()
        if word not in strange and (comparison or word not in OF_COMPARISONS)
    ]
    return Section("Words", (Terms(tuple(shown)),), folded=True)
