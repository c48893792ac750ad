"""Where a data set lies, and the recipe by which it is prepared."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from jmer.errors import Needs, UsageError
from jmer.files.places import expanded, from_environment
from jmer.files.recorded import unasked
from jmer.own import origin as of_class
from jmer.shipped.beside import is_beside


def default_data_dir() -> Path:
    """Where TFDS keeps prepared sets: `$TFDS_DATA_DIR`, or its usual folder."""
    return from_environment("TFDS_DATA_DIR", Path("~/tensorflow_datasets"))


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """One data set. A subclass adds the fields of its recipe and lives in a package
    with its builder, `<name>_dataset_builder.py`: ours in `data_builders/<name>/`.
    """

    name: ClassVar[str]
    """Name of the builder."""
    subject_sizes: ClassVar[tuple[int, ...]] = ()
    """Clips of each subject, where that is known without the data: benchmarks then have
    folds of the true sizes."""
    files: ClassVar[tuple[str, ...]] = ()
    """Fields that name a file which preparing reads: what is prepared depends on its
    content, and not on its place."""

    source_is_given: ClassVar[bool] = False
    """Whether there is always a source, since a field without default names it."""
    formerly: ClassVar[Mapping[str, str]] = {}
    """Older names of fields. Sets were prepared by them, and still are: the folder of a
    recipe stays the same."""

    later: ClassVar[Mapping[str, Any]] = {}
    """Fields that sets did not have when the first were prepared, and what was done
    then: a recipe that asks for the same is theirs."""

    manual_dir: Path | None = None
    """Folder of the data set as its owners distribute it."""
    data_dir: Path = dataclasses.field(default_factory=default_data_dir)
    """Folder of prepared sets (default: $TFDS_DATA_DIR or ~/tensorflow_datasets)."""

    def __new__(cls, *args: Any, **fields: Any) -> Self:
        for name, before in cls.formerly.items():
            if before in fields:
                raise UsageError(
                    f"{before}={fields[before]!r} is called {name} now: write "
                    f"{cls.__name__}({name}={fields[before]!r})"
                )
        return super().__new__(cls)

    @property
    def idle(self) -> tuple[str, ...]:
        """Fields of `later` that make no difference, as the other fields are."""
        return ()

    @property
    def needs(self) -> Needs:
        """What fields need that make a difference beside others alone; see `Needs`."""
        return {}

    @property
    def stored_as(self) -> str:
        """Type of its features."""
        return "float32"

    @property
    def recipe(self) -> dict[str, Any]:
        """The fields that decide what is prepared: all but places."""
        fields = dataclasses.asdict(self)
        left_out = {*self.places, *unasked(self)}
        return {name: v for name, v in fields.items() if name not in left_out}

    @property
    def prepared_by(self) -> dict[str, Any]:
        """The recipe as prepared sets have it, with the older names of fields."""
        return {self.formerly.get(name, name): v for name, v in self.recipe.items()}

    @property
    def places(self) -> tuple[str, ...]:
        """The fields that only say where something lies."""
        return ("manual_dir", "data_dir", *self.files)

    def without_source(self) -> Self:
        """The same set, of which only what is prepared is looked at."""
        return dataclasses.replace(self, manual_dir=None)

    def require_files(self) -> None:
        """Makes sure of `files`, before anything is prepared.

        Raises: JmerError if one is needed and not given, or cannot be used.
        """

    @property
    def config_name(self) -> str:
        """Folder name of the recipe among the prepared ones of this data set."""
        if not self.recipe:
            return "default"
        text = json.dumps(self.prepared_by, sort_keys=True)
        return f"recipe-{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    @property
    def place(self) -> str:
        """Where the class is defined, `package.module:Name`; see `find.config_at`."""
        return of_class.place_of(type(self))

    @staticmethod
    def place_of(text: str) -> Path:
        """A place as people type it, with `~` and `$VARIABLE` written out."""
        return expanded(Path(text))

    @property
    def word(self) -> str:
        """What `jmer data` calls the set: its name, or its place if it is not ours, by
        its file where no module leads there."""
        if self.place.startswith("data_builders."):
            return self.name
        kind = type(self)
        file = of_class.file_of(kind) if is_beside(kind.__module__) else None
        return self.place if file is None else f"{file}:{kind.__qualname__}"

    @property
    def origin(self) -> dict[str, str]:
        """What a run records of where its data come from: class and recipe, and of one
        that is not ours the file."""
        return {**of_class.origin(type(self)), "config": self.config_name}
