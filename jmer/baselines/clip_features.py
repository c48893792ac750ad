"""What features of a clip's frames have in common: its size, and blocks of the face."""

from dataclasses import dataclass
from typing import ClassVar

from jmer.baselines.config import BaselineConfig
from jmer.errors import FieldCheck, UsageError


@dataclass(frozen=True, kw_only=True)
class ClipBaselineConfig(BaselineConfig):
    """Features of the levels of grey of a clip."""

    inputs: ClassVar[tuple[str, ...]] = ("clip",)
    prefix_batch: ClassVar[int] = 2  # which a processor's cache holds

    frames: int = 10
    """Frames of a clip."""
    size: int = 128
    """Side of a frame, in pixels."""
    blocks: int = 5
    """Blocks a side."""

    def __post_init__(self) -> None:
        super().__post_init__()
        FieldCheck(self, "model").whole("frames", "size", "blocks", least=1)
        self._require_room()

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        return ((self.frames, self.size, self.size, 3),)

    def _require_room(self, radii: tuple[int, int, int] = (0, 0, 1)) -> None:
        """Raises: UsageError if a clip has no room for its blocks, and margins of these
        radii (x, y, t)."""
        rx, ry, rt = radii
        if self.frames <= 2 * rt:
            raise UsageError(
                f"model.frames={self.frames}: radius {rt} in time needs "
                f"{2 * rt + 1} frames or more"
            )
        if self.size - 2 * max(rx, ry) < self.blocks:
            raise UsageError(
                f"model.size={self.size}: {self.blocks} blocks a side, and margins of "
                f"{max(rx, ry)}, need {self.blocks + 2 * max(rx, ry)} pixels or more"
            )


@dataclass(frozen=True, kw_only=True)
class PatternBaselineConfig(ClipBaselineConfig):
    """Features of voxels that are compared with neighbours in space and time."""

    radii: tuple[int, int, int] = (1, 1, 4)
    """How far neighbours are along x, y (pixels) and t (frames)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        fits = min(self.radii) >= 1
        FieldCheck(self, "model").must("radii", fits, "be at least 1 each")
        self._require_room(self.radii)
