"""From the name of a data set to its arrays in memory."""

import contextlib
import functools
import io
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jmer.data.asking import command_for, data_option
from jmer.data.clips import ClipSet
from jmer.data.config import DataConfig
from jmer.data.exclusion import refusal
from jmer.data.find import builder_class
from jmer.data.parallel import ClipWatch
from jmer.data.random_clips import RandomClips
from jmer.data.span import Span
from jmer.data.summary import Summary
from jmer.data.sums import (
    METADATA,
    has_sums,
    needs_sums,
    require_unchanged,
    write_sums,
)
from jmer.errors import JmerError, UsageError
from jmer.files import make_folder, writing
from jmer.files.ending import undoing
from jmer.files.lock import owned, tell
from jmer.files.places import expand_fields, is_known

if TYPE_CHECKING:
    from jmer.data.builder import ClipBuilder

SPLIT = "full"
COMPLETE = "dataset_info.json"
OWN = re.compile(r".+(\.json|\.labels\.txt|\.array_record-\d+-of-\d+)|\.sums\.json\..+")
"""Names of files in a prepared set, and of what writing them may leave."""
TYPES = {
    **dict.fromkeys(("subject", "dataset", "clip_id", "action_units"), np.str_),
    **dict.fromkeys(("label", "onset", "apex", "offset"), np.int32),
    "frame_rate": np.float32,
    "train_only": np.bool_,
}


def builder_of(config: DataConfig, *, make: bool = True) -> "ClipBuilder":
    """The TFDS builder of a configuration, which lies beside it; with `make`, its data
    directory is there afterwards.

    Raises: JmerError if there is none, or what it prepared cannot be read.
    """
    # TFDS takes a second to import, and training needs none of it.
    from absl import logging

    from jmer.data.builder import TfdsConfig

    builder = builder_class(type(config))
    expand_fields(config)
    if not is_known(config.data_dir):
        raise UsageError(
            f"there is no home directory, and so no {config.data_dir} for prepared "
            f"sets: say where they lie with {data_option('data_dir', 'DIR')}, or set "
            f"TFDS_DATA_DIR."
        )
    recipe = TfdsConfig(name=config.config_name, version=builder.VERSION, data=config)
    if make:
        make_folder(config.data_dir)
    # TFDS warns of every configuration that is not in a fixed list.
    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        return builder(
            config=recipe, data_dir=str(config.data_dir), file_format="array_record"
        )
    except JmerError:
        raise
    except Exception as error:  # TFDS reads the description of a prepared set here
        folder = config.data_dir / config.name / config.config_name
        raise JmerError(
            f"the prepared set {folder} cannot be read ({error}). Delete that folder, "
            f"then prepare it again: `{command_for(config, 'prepare')}`."
        ) from error
    finally:
        logging.set_verbosity(before)


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
        return _unchanged(builder)
    before = _made(folder)
    lock = folder.with_name(f".{folder.name}.lock")
    what = f"the prepared set {folder}"
    advice = "Wait for it to end, or stop it; without --no-wait, this command waits."
    with owned(lock, what, wait=wait, advice=advice, say=say, stopping=stopping):
        # Anew: another process may have made the set while this one waited.
        builder = builder_of(config)
        if complete(folder) and not (overwrite and _made(folder) == before):
            return _unchanged(builder)
        if watch is not None:
            builder.watch = watch
        return _build(builder, beam, say)


def _unchanged(builder: "ClipBuilder") -> Path:
    """The folder of a set that is whole. Raises: JmerError if its source is another, or
    what describes it was changed."""
    folder = Path(builder.data_dir)
    with _reading(builder.data, folder):
        require_unchanged(folder, only=(COMPLETE, METADATA))
        refuse_changed_files(builder)
        refuse_changed_sources(builder)
    return folder


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


def complete(folder: Path) -> bool:
    """Whether a prepared set is whole: TFDS writes the description last, and jmer its
    checksums after that."""
    whole = (folder / COMPLETE).exists()
    return whole and (has_sums(folder) or not needs_sums(folder))


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
    with _reading(builder.data, folder):
        require_unchanged(folder)
        return _gather(builder, stored(builder))


class NotPrepared(JmerError):
    """A data set is not there that may not be made unasked."""


def load_prepared(config: DataConfig) -> ClipSet:
    """The clips of a data set that is prepared: nothing is made, written or deleted, so
    that the configuration may be a stranger's. Its source is looked at if it is given.

    Raises: NotPrepared, with the command that prepares it, if it is not there;
    JmerError as `load`.
    """
    if isinstance(config, RandomClips):
        return config.clips()
    builder = prepared_builder(config)
    with _reading(config, Path(builder.data_dir)):
        refuse_changed_sources(builder)
    return _loaded(builder)


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


def summary(config: DataConfig) -> dict[str, Any]:
    """`ClipSet.summary` of a prepared set, which need not fit into memory.

    Raises: JmerError if what is stored cannot be read.
    """
    builder = builder_of(config)
    made = Summary(config.name, builder.class_names())
    with _reading(config, Path(builder.data_dir)):
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
    with _reading(config, folder):
        require_unchanged(folder, only=(COMPLETE, METADATA))
    return [Span(*span) for span in builder.info.metadata.get("spans", [])]


@contextlib.contextmanager
def _reading(config: DataConfig, folder: Path) -> Iterator[None]:
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
    with _reading(builder.data, Path(builder.data_dir)):
        return dict(builder.info.metadata.get(name, {}))


def stored(builder: "ClipBuilder") -> Iterator[dict[str, Any]]:
    """The clips of a prepared set as they lie there, one after another: the columns of
    `ClipSet` as plain values, inputs as arrays.
    """
    source = builder.as_data_source(split=SPLIT)
    expected = builder.info.splits[SPLIT].num_examples
    if len(source) != expected:
        raise ValueError(f"{len(source)} of {expected} clips are there")
    tensors = builder.tensors()
    for i in range(expected):
        example = source[i]
        clip = {name: example[name] for name in tensors}
        for name in ("subject", "dataset", "clip_id", "action_units"):
            clip[name] = example[name].decode()
        for name in ("label", "onset", "apex", "offset"):
            clip[name] = int(example[name])
        clip["frame_rate"] = float(example["frame_rate"])
        clip["train_only"] = bool(example.get("train_only", False))
        yield clip


def _gather(builder: "ClipBuilder", clips: Iterable[dict[str, Any]]) -> ClipSet:
    expected = builder.info.splits[SPLIT].num_examples
    columns: dict[str, list] = {name: [] for name in TYPES}
    # Filled in place: the arrays are most of the memory, and are there only once.
    inputs = {
        name: np.empty((expected, *shape), dtype)
        for name, (shape, dtype) in builder.tensors().items()
    }
    for i, clip in enumerate(clips):
        for name, column in columns.items():
            column.append(clip[name])
        for name, array in inputs.items():
            array[i] = clip[name]
    keys = [columns[name] for name in ("clip_id", "subject", "dataset")]
    order = np.lexsort(keys)
    for array in inputs.values():
        _reorder(array, order)
    return ClipSet(
        name=builder.data.name,
        classes=tuple(builder.class_names()),
        inputs=inputs,
        **{name: np.array(columns[name], TYPES[name])[order] for name in columns},
    )


def _reorder(array: np.ndarray, order: np.ndarray) -> None:
    """`array[:] = array[order]`, in place."""
    source = order.copy()
    for start in range(len(source)):
        if source[start] == start:
            continue
        first, place = array[start].copy(), start
        while (other := source[place]) != start:
            array[place] = array[other]
            source[place] = place
            place = other
        array[place] = first
        source[place] = place


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
        raise JmerError(
            f"{config.manual_dir / changed[0]} has changed since {builder.data_dir} "
            f"was prepared ({len(changed)} files differ). Prepare it again: "
            f"`{command_for(config, 'prepare', '--overwrite')}`, or leave "
            f"{data_option('manual_dir')} out to use what was prepared."
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


def _discard_remains(folder: Path) -> None:
    """Removes what an interrupted preparation of the same set left behind."""
    for remains in folder.parent.glob(f"incomplete.*_{folder.name}"):
        shutil.rmtree(remains, ignore_errors=True)
