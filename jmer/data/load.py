"""From the name of a data set to its arrays in memory."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jmer.data.clips import ClipSet
from jmer.data.config import DataConfig
from jmer.data.maker import builder_of
from jmer.data.parallel import ClipWatch
from jmer.data.prepared import (
    DESCRIPTION,
    prepared_builder,
    reading,
    refuse_changed_sources,
)
from jmer.data.preparing import prepare
from jmer.data.random_clips import RandomClips
from jmer.data.span import Span
from jmer.data.stored import gather, stored
from jmer.data.summary import Summary
from jmer.data.sums import has_sums, require_unchanged
from jmer.files.lock import tell

if TYPE_CHECKING:
    from jmer.data.builder import ClipBuilder


def load(
    config: DataConfig,
    *,
    watch: ClipWatch | None = None,
    say: Callable[[str], Any] = tell,
    stopping: Callable[[], bool] = lambda: False,
) -> ClipSet:
    """The clips of a data set, prepared first where need be, as `prepare` does it; if
    another process is preparing it, `say` is told so, and that is waited for.

    Raises: JmerError if the set is neither prepared nor preparable, if its source has
    changed since, or if what is stored cannot be read.
    """
    if isinstance(config, RandomClips):
        return config.clips()
    folder = prepare(config, watch=watch, say=say, stopping=stopping)
    if not has_sums(folder):
        say(f"{folder} was prepared before checksums: damage to it may go unseen")
    return _loaded(builder_of(config))


def _loaded(builder: "ClipBuilder") -> ClipSet:
    folder = Path(builder.data_dir)
    with reading(builder.data, folder):
        require_unchanged(folder)
        return gather(builder, stored(builder))


def load_prepared(config: DataConfig) -> ClipSet:
    """The clips of a data set that is prepared: nothing is made, written or deleted, so
    that the configuration may be a stranger's. Its source is looked at if it is given.

    Raises: NotPrepared, with the command that prepares it, if it is not there;
    JmerError as `load`.
    """
    if isinstance(config, RandomClips):
        return config.clips()
    builder = prepared_builder(config)
    with reading(config, Path(builder.data_dir)):
        refuse_changed_sources(builder)
    return _loaded(builder)


def summary(config: DataConfig) -> dict[str, Any]:
    """`ClipSet.summary` of a prepared set, which need not fit into memory.

    Raises: JmerError if what is stored cannot be read.
    """
    builder = builder_of(config)
    made = Summary(config.name, builder.class_names())
    with reading(config, Path(builder.data_dir)):
        require_unchanged(Path(builder.data_dir))
        for clip in stored(builder):
            made.add(clip)
    return made.record()


def spans(config: DataConfig) -> list[Span]:
    """The frames that clips of a prepared set were cut from, where the set tells."""
    if isinstance(config, RandomClips):
        return []
    builder = prepared_builder(config)
    folder = Path(builder.data_dir)
    with reading(config, folder):
        require_unchanged(folder, only=DESCRIPTION)
    return [Span(*span) for span in builder.info.metadata.get("spans", [])]
