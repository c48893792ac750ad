"""From a source to a prepared set: looked at first, made once, and never by halves."""

import contextlib
import functools
import io
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jmer.data.asking import data_option
from jmer.data.config import DataConfig
from jmer.data.exclusion import refusal
from jmer.data.maker import builder_of
from jmer.data.parallel import ClipWatch
from jmer.data.prepared import COMPLETE, complete, unchanged
from jmer.data.sums import write_sums
from jmer.errors import JmerError
from jmer.files import writing
from jmer.files.ending import undoing
from jmer.files.lock import owned, tell

if TYPE_CHECKING:
    from jmer.data.builder import ClipBuilder

OWN = re.compile(r".+(\.json|\.labels\.txt|\.array_record-\d+-of-\d+)|\.sums\.json\..+")
"""Names of files in a prepared set, and of what writing them may leave."""


def check(
    config: DataConfig, *, watch: ClipWatch | None = None
) -> tuple[list[str], str]:
    """All that keeps the source from being prepared, and a summary if nothing does.
    Every frame is read, as preparing does; `watch` is told how many clips are.

    Raises: JmerError if there is no source to look at.
    """
    builder = builder_of(config)
    config.require_files()
    if watch is not None:
        builder.watch = watch
    problems = [*builder.problems(), *builder.flaws()]
    if problems:
        return problems, ""
    notes = [f"note: {note}" for note in builder.notes()]
    return [], "\n".join([builder.summary(), *notes])


def prepare(
    config: DataConfig,
    *,
    overwrite: bool = False,
    watch: ClipWatch | None = None,
    beam: Sequence[str] | None = None,
    wait: bool = True,
    say: Callable[[str], Any] = tell,
    stopping: Callable[[], bool] = lambda: False,
) -> Path:
    """Builds the set unless it is there already; returns its folder.

    A set appears under its name only when it is complete. `watch` is told how many
    clips are made, and of how many where that is known. With options of `beam`
    (`--runner=DirectRunner`), Apache Beam makes them, on the workers of its runner.
    What another process is preparing is waited for, and used as it is.

    Raises: JmerError for an unusable source, naming the first problem; InUse, without
    `wait`, if another process is preparing the set; KeyboardInterrupt once `stopping`
    says so while it waits.
    """
    builder = builder_of(config)
    folder = Path(builder.data_dir)
    if not overwrite and complete(folder):
        return unchanged(builder)
    before = _made(folder)
    lock = folder.with_name(f".{folder.name}.lock")
    what = f"the prepared set {folder}"
    advice = "Wait for it to end, or stop it; without --no-wait, this command waits."
    with owned(lock, what, wait=wait, advice=advice, say=say, stopping=stopping):
        # Anew: another process may have made the set while this one waited.
        builder = builder_of(config)
        if complete(folder) and not (overwrite and _made(folder) == before):
            return unchanged(builder)
        if watch is not None:
            builder.watch = watch
        return _build(builder, beam, say)


def _made(folder: Path) -> int | None:
    """When a set became complete, in ns; None if it is not."""
    try:
        return (folder / COMPLETE).stat().st_mtime_ns
    except OSError:
        return None


def _build(
    builder: "ClipBuilder", beam: Sequence[str] | None, say: Callable[[str], Any]
) -> Path:
    config, folder = builder.data, Path(builder.data_dir)
    config.require_files()
    # An unusable source does not cost what was prepared from an earlier one.
    if problems := builder.problems():
        raise refusal(config, problems)
    discard = functools.partial(_discard_remains, folder)
    discard()
    # TFDS speaks of downloads, of which there are none.
    settings = _beam_config(builder, beam)
    silent = contextlib.redirect_stdout(io.StringIO())
    with undoing(discard), _building(folder), silent:
        _remove(folder)
        builder.download_and_prepare(download_config=settings)
        write_sums(folder)
    for note in builder.notes():
        say(f"note: {note}")
    return folder


def _remove(folder: Path) -> None:
    """Removes what there is of a set, to make room for it.

    Raises: JmerError, with nothing removed, if something else lies there as well.
    """
    if not folder.exists():
        return
    for path in sorted(folder.iterdir()):
        if not (path.is_file() and OWN.fullmatch(path.name)):
            raise JmerError(
                f"{path} is no part of a prepared set, and what lies in {folder} would "
                f"be replaced by one: move it elsewhere, or choose another "
                f"{data_option('data_dir')}."
            )
    shutil.rmtree(folder)


def _beam_config(builder: "ClipBuilder", options: Sequence[str] | None) -> Any:
    """How TFDS is to make the examples. Raises: JmerError if Beam is not installed."""
    if options is None:
        return None
    try:
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError as error:
        raise JmerError(
            "--beam needs Apache Beam: pip install 'jmer[beam]', or leave --beam out."
        ) from error
    from tensorflow_datasets.core.download import DownloadConfig

    builder.on_beam = True
    return DownloadConfig(beam_options=PipelineOptions(list(options)))


@contextlib.contextmanager
def _building(folder: Path) -> Iterator[None]:
    try:
        with writing(folder):
            yield
    except (RuntimeError, ValueError) as error:  # array_record's own, of a full disk
        raise JmerError(
            f"cannot write {folder}: {' '.join(str(error).split())[:300]}. Make room "
            f"there or choose another data directory; nothing half-written is kept."
        ) from error


def _discard_remains(folder: Path) -> None:
    """Removes what an interrupted preparation of the same set left behind."""
    for remains in folder.parent.glob(f"incomplete.*_{folder.name}"):
        shutil.rmtree(remains, ignore_errors=True)
