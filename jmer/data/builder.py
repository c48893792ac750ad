"""What all TFDS builders of jmer share. The only module that imports TFDS."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar

import numpy as np
import tensorflow_datasets as tfds

from jmer.data.asking import source_option
from jmer.data.config import DataConfig
from jmer.data.exclusion import refusal
from jmer.data.machine import clips_at_once
from jmer.data.parallel import ClipWatch, in_order
from jmer.data.problems import Problem, problem_of
from jmer.data.span import Session, Span
from jmer.data.sums import CHECKSUMS
from jmer.errors import JmerError
from jmer.files import content_hash

if TYPE_CHECKING:
    import apache_beam as beam

T = TypeVar("T")
Keyed = tuple[str, dict[str, Any]]
"""An example, and the key that it is stored by."""
Examples: TypeAlias = "Iterator[Keyed] | beam.PTransform"
"""One after another, or made by Beam's workers."""

# Nothing is downloaded, and jmer shows its own progress.
tfds.disable_progress_bar()


@dataclasses.dataclass(kw_only=True)
class TfdsConfig(tfds.core.BuilderConfig):
    """The TFDS configuration that holds a data set's own."""

    data: DataConfig | None = None


# TFDS has no types, so that mypy asks `object` what it makes of the word.
class ClipBuilder(  # type: ignore[call-arg]
    tfds.core.GeneratorBasedBuilder, skip_registration=True
):
    """A builder of one split, `full`, whose examples are annotated clips.

    A subclass gives the classes, the features, the source files and the examples.
    """

    VERSION: ClassVar[str]
    """Raised whenever the same source would be prepared differently."""

    data: DataConfig
    """The configuration of the set."""

    on_beam = False
    """Whether Apache Beam makes the examples, on the workers of its runner."""
    watch: ClipWatch = staticmethod(lambda done, total: None)
    """Is told how many clips are made, of how many."""

    def __init_subclass__(cls, **options: Any) -> None:
        # jmer finds a builder beside its configuration, and not by a name that somebody
        # else's data set may have too.
        super().__init_subclass__(**{"skip_registration": True, **options})

    def __init__(self, *, config: TfdsConfig, **options: Any):
        assert config.data is not None
        self.data = config.data
        super().__init__(config=config, **options)

    @property
    def some_train_only(self) -> bool:
        """Whether examples say `train_only`: of clips that are never tested."""
        return False

    def class_names(self) -> tuple[str, ...]:
        """The labels, in the order of their indices."""
        raise NotImplementedError

    def tensors(self) -> Mapping[str, tuple[tuple[int, ...], type]]:
        """Shape and type of each input feature."""
        raise NotImplementedError

    def problems(self) -> list[str]:
        """What keeps the source from being used: file, value and remedy of each."""
        return []

    def flaws(self) -> list[Problem]:
        """What else keeps it from being used: what is only seen where each item is
        read, which `prepare` does while it makes the examples. Tells `watch`."""
        if self.problems():
            return []
        return [found for found in self._read(self.look) if isinstance(found, Problem)]

    def look(self, item: Any) -> object:
        """Reads one of `items`, as `example` does.

        Raises: JmerError for what cannot be used.
        """
        return self.example(item)

    def notes(self) -> list[str]:
        """What is no problem, and should be known: what was made of doubtful data."""
        return []

    def sources(self) -> list[Path]:
        """The files that the set is made from, below `manual_dir`."""
        return []

    def spans(self) -> list[Span]:
        """Which frames of which recording each clip has, where that is known."""
        return []

    def sessions(self) -> list[Session]:
        """In which sitting of its subject each clip was recorded, of those of which
        that is known."""
        return []

    def examples(self) -> Iterator[dict[str, Any]]:
        """One dictionary a clip; names of clips are unique within their subject. What
        has no `frame_rate` gets 0. Of a set that defines `items`, not needed."""
        raise NotImplementedError

    def items(self) -> Iterable[Any]:
        """What to make an example of each: small, and able to be pickled, where
        `example` is what takes the time.
        """
        return self.examples()

    def example(self, item: Any) -> dict[str, Any]:
        """The example of one of `items`; called in several threads or processes."""
        return item

    def summary(self) -> str:
        """What `jmer data check` says of a source without problems."""
        raise NotImplementedError

    def _info(self) -> tfds.core.DatasetInfo:
        scalar = tfds.features.Scalar(np.int32)
        tensors = {
            name: tfds.features.Tensor(shape=shape, dtype=dtype, encoding="zlib")
            for name, (shape, dtype) in self.tensors().items()
        }
        if self.some_train_only:
            tensors["train_only"] = tfds.features.Scalar(np.bool_)
        info = self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    **tensors,
                    "label": tfds.features.ClassLabel(names=self.class_names()),
                    "subject": tfds.features.Text(),
                    "dataset": tfds.features.Text(),
                    "clip_id": tfds.features.Text(),
                    "onset": scalar,
                    "apex": scalar,
                    "offset": scalar,
                    "action_units": tfds.features.Text(),
                    "frame_rate": tfds.features.Scalar(np.float32),
                }
            ),
            metadata=tfds.core.MetadataDict(
                recipe=self.data.prepared_by, code=str(self.VERSION)
            ),
        )
        # No set of ours is in TFDS's bucket; each look there leaves a temporary folder.
        info.initialize_from_bucket = lambda: None
        return info

    def _split_generators(self, dl_manager: object) -> dict[str, Examples]:
        del dl_manager  # nothing is downloaded: the owners give the data to a person
        self.info.metadata["sources"] = self.digests()
        self.info.metadata["files"] = self.file_digests()
        self.info.metadata[CHECKSUMS] = "all"
        self.info.metadata["spans"] = [list(span) for span in self.spans()]
        if known := self.sessions():  # sets without any stay what they were
            self.info.metadata["sessions"] = [list(session) for session in known]
        return {"full": self._generate_examples()}

    def _generate_examples(self) -> Examples:
        if self.on_beam:
            return self._pipeline()
        return self._one_after_another()

    def _pipeline(self) -> "beam.PTransform":
        import apache_beam as beam

        # Shuffled, so that neighbours go to different workers.
        items = beam.Create(list(self.items())) | beam.Reshuffle()
        return items | beam.Map(self._keyed)

    def _one_after_another(self) -> Iterator[Keyed]:
        refused = list[Problem]()

        def make(item: Any) -> Keyed | None:
            if not refused:
                return self._keyed(item)
            self.look(item)  # the set will not be made, but its flaws are all named
            return None

        for made in self._read(make):
            if isinstance(made, Problem):
                refused.append(made)
            elif made is not None and not refused:
                yield made
        if refused:
            raise refusal(self.data, refused)

    def _read(self, function: Callable[[Any], T]) -> Iterator[T | Problem]:
        """The function of each of `items` in their order, or what is wrong with it."""

        def tried(item: Any) -> T | Problem:
            try:
                return function(item)
            except JmerError as error:
                return problem_of(error)

        items = self.items()
        total = len(items) if isinstance(items, Sized) else None
        made = in_order(tried, items, clips_at_once())
        try:
            for done, one in enumerate(made, start=1):
                yield one
                self.watch(done, total)
        except JmerError as error:  # of what yields the items one after another
            yield problem_of(error)

    def _keyed(self, item: Any) -> Keyed:
        example = self.example(item)
        key = f"{example['dataset']}/{example['subject']}/{example['clip_id']}"
        return key, {"frame_rate": 0.0, **example}

    def digests(self) -> dict[str, str]:
        """A hash of the content of each source file, by its path in `manual_dir`."""
        return self.digests_of(self.sources())

    def digests_of(self, files: Sequence[Path]) -> dict[str, str]:
        """Hashes of files below `manual_dir`, by where they lie in it.

        Raises: JmerError for a file that cannot be read.
        """
        root = self.data.manual_dir or Path()
        return {str(file.relative_to(root)): content_hash(file) for file in files}

    def file_digests(self) -> dict[str, str]:
        """A hash of the content of each file that the configuration names, by field.

        Raises: JmerError for a file that cannot be read.
        """
        named = {name: getattr(self.data, name) for name in self.data.files}
        return {name: content_hash(file) for name, file in named.items() if file}

    def require_manual_dir(self) -> Path:
        """The folder of the original data.

        Raises: JmerError if none is given or it is no folder.
        """
        root = self.data.manual_dir
        if root is None:
            raise JmerError(
                f"data set {self.data.name} is not prepared in {self.data.data_dir}, "
                f"and no source is given: say where the original files are with "
                f"{source_option()}."
            )
        there = False
        with contextlib.suppress(OSError):  # such as a name that is too long
            there = root.is_dir()
        if not there:
            raise JmerError(
                f"manual directory {root} does not exist or is no folder: give the "
                f"folder that holds the files of {self.data.name}."
            )
        return root
