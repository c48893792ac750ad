"""What lies in a bundle, and what its manifest says of arrays."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"
OLDEST, FORMAT = 1, 2
"""Of the manifest; a reader refuses a later one. Of classes it is 1, of action units,
which a reader of 1 would take for classes, 2."""
CLASSES, UNITS = "classes", "action units"
"""What a manifest says under `labels`, which is not there for classes."""
PLATFORMS = ("cpu", "cuda", "tpu")
FEATURES, NETWORK = "features", "network"
"""Programs: the part that is the same for all members, where there is one, and the
rest, which is called once a member with that member's weights."""
MODULE, ARTIFACT, ONNX = ".stablehlo", ".jax_export", ".onnx"
"""Endings: StableHLO as JAX stores it portably; the same with its calling convention
around it, as `jax.export.deserialize` reads it; ONNX."""
LOGITS = "logits"


@dataclasses.dataclass(frozen=True)
class ArraySpec:
    """An array of a program: its shape is that of one clip, and a batch comes first."""

    name: str
    """How a call names it."""
    shape: tuple[int, ...]
    """Of one clip."""
    dtype: str
    """As NumPy calls it, such as `uint8`."""

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> "ArraySpec":
        """From the manifest. Raises: KeyError, TypeError or ValueError if none."""
        batch, *shape = value["shape"]
        sides = tuple(shape)
        if batch != "b" or not all(type(n) is int and n >= 0 for n in sides):
            raise ValueError(f"shape {value['shape']}")
        return cls(str(value["name"]), sides, str(value["dtype"]))

    def record(self, **more: Any) -> dict[str, Any]:
        """For the manifest."""
        return {
            "name": self.name,
            "shape": ["b", *self.shape],
            "dtype": self.dtype,
            **more,
        }

    def __str__(self) -> str:
        sides = ", ".join(map(str, ("b", *self.shape)))
        return f"{self.name} [{sides}] {self.dtype}"


@dataclasses.dataclass(frozen=True)
class ProgramSpec:
    """A program: arrays by name in, arrays by name out."""

    name: str
    takes: tuple[ArraySpec, ...]
    gives: tuple[ArraySpec, ...]
    convention: int
    """Version of JAX's calling convention."""

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> "ProgramSpec":
        """From the manifest. Raises: KeyError, TypeError or ValueError if none."""
        return cls(
            str(value["name"]),
            _specs(value["takes"]),
            _specs(value["gives"]),
            int(value["calling_convention"]),
        )

    def record(self) -> dict[str, Any]:
        """For the manifest."""
        return {
            "name": self.name,
            "takes": [spec.record() for spec in self.takes],
            "gives": [spec.record() for spec in self.gives],
            "calling_convention": self.convention,
        }


def _specs(values: Sequence[Mapping[str, Any]]) -> tuple[ArraySpec, ...]:
    return tuple(ArraySpec.read(value) for value in values)
