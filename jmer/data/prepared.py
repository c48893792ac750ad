"""A prepared set on disk: whether it is there, is whole, and is of this source."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jmer.data.asking import command_for, data_option
from jmer.data.config import DataConfig
from jmer.data.find import builder_class
from jmer.data.maker import builder_of
from jmer.data.sums import METADATA, has_sums, needs_sums, require_unchanged
from jmer.errors import JmerError

if TYPE_CHECKING:
    from jmer.data.builder import ClipBuilder

COMPLETE = "dataset_info.json"
DESCRIPTION = (COMPLETE, METADATA)
"""The files that say what a set is."""


class NotPrepared(JmerError):
    """A data set is not there that may not be made unasked."""


def complete(folder: Path) -> bool:
    """Whether a prepared set is whole: TFDS writes the description last, and jmer its
    checksums after that."""
    whole = (folder / COMPLETE).exists()
    return whole and (has_sums(folder) or not needs_sums(folder))


def prepared_builder(config: DataConfig) -> "ClipBuilder":
    """The builder of a set that is prepared. Raises: as `load_prepared`."""
    kind = builder_class(type(config))
    folder = config.data_dir / config.name / config.config_name / str(kind.VERSION)
    if not complete(folder):
        needed = ("--manual-dir", "DIR") if _has_source(kind) else ()
        known = config.manual_dir is not None
        command = command_for(config, "prepare", *(() if known else needed))
        raise NotPrepared(
            f"data set {config.name} is not prepared in {config.data_dir}: `{command}` "
            f"prepares it. If it lies elsewhere, say so with --data-dir DIR."
        )
    for file in folder.iterdir():
        if not file.is_file():
            raise JmerError(
                f"{file} is no file, as all of a prepared set are: remove it."
            )
    return builder_of(config, make=False)


def _has_source(kind: "type[ClipBuilder]") -> bool:
    """Whether sets of a builder are made from files of a person's."""
    from jmer.data.builder import ClipBuilder

    return (kind.sources, kind.digests) != (ClipBuilder.sources, ClipBuilder.digests)


def unchanged(builder: "ClipBuilder") -> Path:
    """The folder of a set that is whole. Raises: JmerError if its source is another, or
    what describes it was changed."""
    folder = Path(builder.data_dir)
    with reading(builder.data, folder):
        require_unchanged(folder, only=DESCRIPTION)
        refuse_changed_files(builder)
        refuse_changed_sources(builder)
    return folder


@contextlib.contextmanager
def reading(config: DataConfig, folder: Path) -> Iterator[None]:
    try:
        yield
    except JmerError:
        raise
    except Exception as error:  # array_record raises what its C++ library raises
        raise JmerError(
            f"the prepared set {folder} cannot be read ({error}). Prepare it again: "
            f"`{command_for(config, 'prepare', '--overwrite')}`."
        ) from error


def _noted(builder: "ClipBuilder", name: str) -> dict[str, Any]:
    """What was noted of a set when it was prepared.

    Raises: JmerError if it cannot be read.
    """
    with reading(builder.data, Path(builder.data_dir)):
        return dict(builder.info.metadata.get(name, {}))


def refuse_changed_sources(builder: "ClipBuilder") -> None:
    """Raises: JmerError if the source given differs from the one prepared."""
    config = builder.data
    if config.manual_dir is None:
        return
    builder.require_manual_dir()
    before = _noted(builder, "sources")
    if not before:
        return
    now = builder.digests()
    changed = sorted(p for p in before.keys() | now if before.get(p) != now.get(p))
    if changed:
        instead = (
            f", or leave {data_option('manual_dir')} out to use what was prepared"
            if not config.source_is_given
            else ""
        )
        raise JmerError(
            f"{config.manual_dir / changed[0]} has changed since {builder.data_dir} "
            f"was prepared ({len(changed)} files differ). Prepare it again: "
            f"`{command_for(config, 'prepare', '--overwrite')}`{instead}."
        )


def refuse_changed_files(builder: "ClipBuilder") -> None:
    """Raises: JmerError if a file that a field names differs from the one used."""
    config, before = builder.data, _noted(builder, "files")
    for name, digest in builder.file_digests().items():
        if name in before and before[name] != digest:
            raise JmerError(
                f"{name}={getattr(config, name)} is not the file that "
                f"{builder.data_dir} was prepared with. Prepare it again: "
                f"`{command_for(config, 'prepare', '--overwrite')}`, or give the file "
                f"that was used."
            )
