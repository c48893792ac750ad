"""Names that the training gives to its loops, by which its compiled text is read."""

STEPS = "steps"
EPOCHS = "epochs"
EVALUATION = "evaluation"
CHUNKS = "chunks"


def at_most(turns: int) -> str:
    """The name for a loop whose bound is computed, and no more than this."""
    return f"{_TURNS}{turns}"


def most_turns(name: str) -> int | None:
    """What `at_most` said in such a name; None if it is none."""
    number = name.removeprefix(_TURNS)
    return int(number) if number != name and number.isdigit() else None


_TURNS = "turns_"
