"""What is doubtful about the people of a set of clips."""

from collections.abc import Iterator, Sequence

from data_builders.annotation import Clip
from jmer.data.names import alike, person_keys
from jmer.errors import quoted

SHOWN = 3  # pairs of spellings in a note


def doubts(clips: Sequence[Clip]) -> list[str]:
    """Who may be one person in two spellings, and a set of one person alone."""
    names = dict.fromkeys((clip.row.dataset, clip.row.subject) for clip in clips)
    said = [*_spellings([*names])]
    if len(names) == 1:
        ((_, name),) = names
        said.append(
            f"all clips are of one subject, {quoted(name)}: leave-one-subject-out "
            f"needs two. Name each person in the annotation, or add clips of others."
        )
    return said


def _spellings(names: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Within a data set: subjects of two are two."""
    key = person_keys(subject for _, subject in names)
    pairs = [
        f"{quoted(several[0])} and {quoted(other)}"
        for dataset in dict.fromkeys(dataset for dataset, _ in names)
        for several in alike((s for d, s in names if d == dataset), key)
        for other in several[1:]
    ]
    if pairs:
        more = len(pairs) - SHOWN
        yield (
            f"subjects {', '.join(pairs[:SHOWN])}{f' ({more} more)' * (more > 0)} may "
            f"be one person in two spellings, and are taken for two: one is trained on "
            f"where the other is tested. Write them alike if they are one."
        )
