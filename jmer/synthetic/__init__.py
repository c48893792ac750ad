"""Procedural faces that show micro-expressions and know their own truth.

Needs NumPy and OpenCV only. `generate` yields the clips of a `SyntheticSpec`;
`clips.render_clip` makes one of them, and may run in parallel.
"""

from jmer.synthetic.clips import SyntheticClip, generate
from jmer.synthetic.spec import SyntheticSpec

__all__ = ["SyntheticClip", "SyntheticSpec", "generate"]
