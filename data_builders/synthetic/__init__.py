"""The embedded set of procedural faces, for whoever has no licensed data at hand."""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar, Literal

from jmer.data.config import DataConfig
from jmer.errors import UsageError
from jmer.synthetic.spec import SyntheticSpec


@dataclass(frozen=True)
class Synthetic(SyntheticSpec, DataConfig):
    """Procedural faces with action units, true flow and intensity; needs no files."""

    name: ClassVar[str] = "synthetic"

    modality: Literal["apex-flow", "clip"] = "apex-flow"
    """apex-flow: estimated flow and strain from onset to apex. clip: frames, with the
    true flow between neighbours and the intensity of each frame."""
    flow_size: int = 28
    """Side of the onset-to-apex flow, in pixels, 4 or more."""

    def __post_init__(self):
        super().__post_init__()
        if self.flow_size < 4:
            raise UsageError(f"flow_size={self.flow_size}: must be at least 4")

    @property
    def spec(self) -> SyntheticSpec:
        """What the clips depend on, without the form in which they are stored."""
        fields = dataclasses.fields(SyntheticSpec)
        return SyntheticSpec(**{f.name: getattr(self, f.name) for f in fields})
